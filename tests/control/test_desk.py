"""What the manager's side of the control socket answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from maestro.control import protocol as p
from maestro.control.roles import Caller, Role
from maestro.control.service import Refused
from maestro.drivers.unit_files import links
from maestro.engine.events import CannotSpawn, Happening
from maestro.manager import tasks
from maestro.testing.loop import play
from tests.control.office import GOOD, ROOT, Behind


@asynccontextmanager
async def manned(behind: Behind) -> AsyncIterator[Behind]:
    """Its manager commits what happens."""
    committing = tasks.spawn(behind.manager.run(), "committer")
    try:
        yield behind
    finally:
        committing.cancel()


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


async def asked(behind: Behind, request: p.Verb) -> p.VerbView:
    return [view async for view in behind.desk.verb(ROOT, request)][-1]


def test_a_stop_of_what_cannot_run_is_done() -> None:
    async def go() -> None:
        async with manned(Behind(bad="agent: {exce: x}\n", off=GOOD)) as behind:
            behind.files.mask("off")
            await behind.desk.daemon_reload(ROOT, p.DaemonReload())
            for dry in (False, True):
                view = await asked(behind, p.Stop(units=("bad", "off", "none"), dry_run=dry))
                assert view.changes == ("bad is not running", "off is not running")
                assert {name: error.code for name, error in view.errors.items()} == {"none": "no-such-unit"}
            refused = await asked(behind, p.Start(units=("bad", "off")))
            assert {name: error.code for name, error in refused.errors.items()} == {
                "bad": "bad-unit",
                "off": "masked",
            }

    play(go())


def test_reset_failed_without_a_name_is_for_all_that_have_failed() -> None:
    async def go() -> None:
        texts = dict.fromkeys(("web", "db", "idle"), "agent: {exec: x, restart: {policy: 'no'}}\n")
        async with manned(Behind(**texts)) as behind:
            await asked(behind, p.Start(units=("web", "db"), wait=False))
            for name in ("web", "db"):
                behind.manager.feed(CannotSpawn(f"{name}#1", "no such file"))
            assert (behind.state("web"), behind.state("db")) == ("failed", "failed")
            await behind.desk.at_once(ROOT, p.ResetFailed())
            assert (behind.state("web"), behind.state("db")) == ("dead", "dead")
            [row] = [one for one in await behind.desk.audit(ROOT, p.Audit()) if one.action[:5] == "reset"]
            assert row.action == "reset-failed db web"

    play(go())


@pytest.mark.parametrize(
    ("given", "canceled", "why"),
    [
        ("*", "web: canceled", ""),
        ("{job}", "web: canceled", ""),
        ("d*", "", "no unit d* has a pending job"),
        ("999", "", "there is no pending job 999"),
        ("db", "", "db has no pending job"),
        ("x*", "", "no unit x*"),
    ],
)
def test_what_is_canceled_are_pending_jobs(given: str, canceled: str, why: str) -> None:
    async def go() -> None:
        async with manned(Behind(web=GOOD, db=GOOD)) as behind:
            await asked(behind, p.Start(units=("web",), wait=False))
            [job] = behind.manager.world.book.jobs
            view = await behind.desk.at_once(ROOT, p.Cancel(units=(given.format(job=job),)))
            assert " ".join(view.changes) == canceled
            assert [error.message for error in view.errors.values()] == [why] * bool(why)

    play(go())


def test_what_does_not_load_has_no_result() -> None:
    async def go() -> None:
        behind = Behind(bad="agent: {exce: x}\n", idle=GOOD)
        bad, idle = await unit(behind, "bad"), await unit(behind, "idle")
        assert (bad.load, bad.result) == ("bad", "")
        assert (idle.load, idle.result) == ("loaded", "success")

    play(go())


def test_a_link_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    async def go(path: Path, said: str) -> None:
        async with manned(Behind(web=GOOD)) as behind:
            behind.files.mask = lambda *_, **__: links.make("x", str(path), may_replace=False)  # type: ignore
            with pytest.raises(Refused) as caught:
                _ = [view async for view in behind.desk.link(ROOT, p.Mask(units=("web",)))]
            assert caught.value.error.message == f"cannot change links: {said}"

    (file := tmp_path / "file").write_text("")
    (link := tmp_path / "link").symlink_to("/elsewhere")
    play(go(file, f"{file} is in the way: it is no link"))
    play(go(link, f"{link} is in the way: it is a link to /elsewhere"))
    play(go(file / "a/b", f"{file}/a: not a directory"))


def test_status_names_the_options_that_what_runs_does_not_have_yet() -> None:
    async def go() -> None:
        async with manned(Behind(web=GOOD)) as behind:
            await asked(behind, p.Start(units=("web",), wait=False))
            behind.spawned("web#1")
            assert (await unit(behind, "web")).outdated == {}
            behind.files.texts["web.agent.yaml"] = "agent: {exec: /bin/false, umask: '077'}\n"
            for _ in range(2):
                view = await behind.desk.daemon_reload(ROOT, p.DaemonReload())
                assert view.asked == {"web": {"agent.exec": "restart", "agent.umask": "restart"}}
                assert (await unit(behind, "web")).outdated == view.asked["web"]

    play(go())


def test_what_led_to_a_state_is_told_to_whoever_has_seen_it() -> None:
    """Also while it is still being committed."""

    async def go() -> None:
        behind = Behind(web=GOOD)
        async with manned(behind):
            behind.manager.tell(Happening(unit="web", kind="noted", words="it was seen"))
            asked = p.Events(cursor=0, follow=False)
            told = [view.words async for view in behind.desk.events(ROOT, asked)]
            assert told[-1] == "it was seen", told

    play(go())


def test_a_disk_that_hangs_keeps_nobody_from_the_events_it_has() -> None:
    async def go() -> None:
        behind = Behind(web=GOOD)  # whose manager commits nothing
        behind.manager.tell(Happening(unit="web", kind="noted", words="it was seen"))
        told = [view.kind async for view in behind.desk.events(ROOT, p.Events(cursor=0, follow=False))]
        assert told == ["mark"]

    play(go())
