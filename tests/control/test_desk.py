"""What the manager's side of the control socket answers."""

from __future__ import annotations

import pytest

from maestro.control import protocol as p
from maestro.control.clerk import Office
from maestro.control.desk import Desk
from maestro.control.roles import Caller, Role
from maestro.control.service import Refused
from maestro.engine.world import World
from maestro.manager import tasks
from maestro.manager.carrier import Carrier
from maestro.manager.catalogue import Catalogue
from maestro.manager.happened import Hub
from maestro.manager.loop import Manager
from maestro.manager.plugins import Plugins
from maestro.manager.transients import Transients
from maestro.testing.fakes import FakeFiles, FakeKeeper, FakeLogs, FakeStore
from maestro.testing.loop import LoopClock, play
from tests.manager.rig import HOUSE, SETTINGS

GOOD = "agent: {exec: /bin/true}\n"


class Behind:
    """A desk on fake ports."""

    def __init__(self, **texts: str) -> None:
        self.files = FakeFiles(
            **{f"{name.replace('_', '@')}.agent.yaml": text for name, text in texts.items()}
        )
        self.store, keeper, logs = FakeStore(), FakeKeeper(), FakeLogs()
        catalogue = Catalogue(self.files, SETTINGS)
        self.manager = manager = Manager(
            World(catalogue.resolve, catalogue.masked_by),
            self.store,
            LoopClock(),
            lambda: 0.0,
            Hub(self.store),
        )
        carrier = Carrier(manager, keeper, logs, HOUSE, catalogue)
        manager.employ(carrier.carry, lambda unit: None)
        catalogue.load(manager.world, {})
        self.desk = Desk(
            Office(
                manager=manager,
                catalogue=catalogue,
                carrier=carrier,
                logs=logs,
                store=self.store,
                files=self.files,
                plugins=Plugins("/nowhere"),
                transients=Transients(manager, catalogue),
                processes=lambda pid: [],
                hints={},
                root="/",
                keeper_pid=1,
                started=0.0,
                is_ending=lambda: False,
                end=lambda how, by: None,
                notices=list,
            )
        )


ROOT = Caller(uid=0, gid=0, pid=7, role=Role.ADMIN)


async def unit(behind: Behind, name: str) -> p.UnitView:
    [found] = (await behind.desk.status(ROOT, p.Status(units=(name,)))).units
    return found


def test_enabling_a_template_links_its_default_instance() -> None:
    async def go() -> None:
        install = "install: {wanted_by: [default.target], default_instance: main}\n"
        behind = Behind(w_=GOOD + install)
        committing = tasks.spawn(behind.manager.run(), "committer")
        answers = [view async for view in behind.desk.link(ROOT, p.Enable(units=("w@",)))]
        assert answers[-1].changes == ("linked w@main into default.target",)
        assert (await unit(behind, "w@main")).enabled
        committing.cancel()

    play(go())


def test_what_a_unit_is_made_of_is_shown_piece_by_piece() -> None:
    async def go() -> None:
        behind = Behind(web=GOOD)
        behind.files.texts["web.agent.yaml.d/x.yaml"] = "unit: {description: more}\n"
        behind.files.texts["gone.agent.yaml.d/y.yaml"] = ""
        view = await behind.desk.daemon_reload(ROOT, p.DaemonReload())
        assert view.changed == ("web",)
        assert [warning.path for warning in view.warnings] == ["/units/gone.agent.yaml.d/y.yaml"]
        [cat] = await behind.desk.cat(ROOT, p.Cat(units=("web",)))
        assert cat.pieces == (
            ("/units/web.agent.yaml", GOOD),
            ("/units/web.agent.yaml.d/x.yaml", "unit: {description: more}\n"),
        )
        [show] = await behind.desk.show(ROOT, p.Show(units=("web",)))
        assert show.origins == {
            "agent.exec": "/units/web.agent.yaml:1:9",
            "unit.description": "/units/web.agent.yaml.d/x.yaml:1:8",
        }

    play(go())


def test_what_does_not_load_is_shown_by_its_problems() -> None:
    async def go() -> None:
        behind = Behind(web="agent: {exce: x}\n")
        [view] = await behind.desk.show(ROOT, p.Show(units=("web",)))
        assert view.options == {}
        assert {problem.option for problem in view.problems} == {"agent.exce", "agent.exec"}

    play(go())


def test_status_has_the_documentation() -> None:
    async def go() -> None:
        behind = Behind(web=f"{GOOD}unit: {{documentation: [https://example.org]}}\n")
        assert (await unit(behind, "web")).documentation == ("https://example.org",)

    play(go())


@pytest.mark.parametrize(
    ("requires", "files", "cause"),
    [
        ("ghost", {}, "requires ghost, which does not exist: there is no ghost.agent.yaml"),
        (
            "w@eu",
            {},
            "requires w@eu, which does not exist: there is no w@eu.agent.yaml and no w@.agent.yaml",
        ),
        ("w@eu", {"w_": GOOD}, ""),
        (
            "bad",
            {"bad": "agent: {exec: x, exce: y}\n"},
            "requires bad, which does not load: /units/bad.agent.yaml:1:18: agent.exce: no such option"
            " (did you mean exec?)",
        ),
    ],
)
def test_status_says_which_requirement_is_missing(requires: str, files: dict[str, str], cause: str) -> None:
    async def go() -> None:
        behind = Behind(web=f'{GOOD}unit: {{requires: ["{requires}"]}}\n', **files)
        assert (await unit(behind, "web")).cause == cause

    play(go())


def test_daemon_reload_warns_of_what_keeps_good_units_from_starting() -> None:
    async def go() -> None:
        behind = Behind(web=GOOD)
        assert (await behind.desk.daemon_reload(ROOT, p.DaemonReload())).warnings == ()
        behind.files.texts["web.agent.yaml"] = f"{GOOD}unit: {{requires: [ghost]}}\n"
        for name, other in (("a", "b"), ("b", "a")):
            behind.files.texts[f"{name}.agent.yaml"] = f"{GOOD}unit: {{after: [{other}]}}\n"
        view = await behind.desk.daemon_reload(ROOT, p.DaemonReload())
        assert view.problems == ()
        circle, missing = view.warnings
        assert (circle.path, circle.option) == ("/units/a.agent.yaml", "unit.after")
        assert circle.message.startswith("the order runs in a circle: ")
        assert (missing.path, missing.line, missing.option) == ("/units/web.agent.yaml", 2, "unit.requires")
        assert missing.message == "ghost does not exist: there is no ghost.agent.yaml"

    play(go())


def test_a_broken_audit_log_is_told_with_the_entry() -> None:
    async def go() -> None:
        behind = Behind()
        assert await behind.desk.audit(ROOT, p.Audit(check=True)) == ()
        behind.store.broken = 7
        assert await behind.desk.audit(ROOT, p.Audit()) == ()
        with pytest.raises(Refused) as caught:
            await behind.desk.audit(ROOT, p.Audit(check=True))
        assert caught.value.error.code == "audit-broken"
        assert "entry 7" in caught.value.error.message

    play(go())


def test_checking_the_audit_log_is_for_administrators() -> None:
    async def go() -> None:
        reader = Caller(uid=5, gid=5, pid=7, role=Role.READ)
        with pytest.raises(Refused) as caught:
            await Behind().desk.audit(reader, p.Audit(check=True))
        assert caught.value.error.code == "not-allowed"

    play(go())
