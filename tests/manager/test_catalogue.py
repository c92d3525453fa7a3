"""What is loaded: files, their changes, and the definitions that running agents keep."""

from __future__ import annotations

from maestro.engine.events import Asked, Reread
from maestro.engine.state import Life, State
from maestro.engine.world import World
from maestro.manager.catalogue import Catalogue
from maestro.model.option import Change
from maestro.testing.fakes import FakeFiles
from maestro.testing.loop import play
from tests.manager.rig import SETTINGS, rig

GOOD = "agent: {exec: /bin/true}\n"
OTHER = "agent: {exec: /bin/false}\n"
BAD = "agent: {exce: /bin/true}\n"


class House:
    def __init__(self, **texts: str) -> None:
        self.files = FakeFiles(**{name.replace("_", "."): text for name, text in texts.items()})
        self.catalogue = Catalogue(self.files, SETTINGS)
        self.world = World(self.catalogue.resolve, self.catalogue.masked_by)
        self.catalogue.load(self.world, {})

    def write(self, **texts: str | None) -> None:
        for name, text in texts.items():
            if text is None:
                del self.files.texts[f"{name}.agent.yaml"]
            else:
                self.files.texts[f"{name}.agent.yaml"] = text

    def run(self, name: str) -> None:
        """As if it ran."""
        self.world.restore({name: Life(state=State.RUNNING, agent=f"{name}#1", pid=9)}, [])


def house(**texts: str) -> House:
    one = House()
    one.write(**texts)
    one.catalogue.load(one.world, {})
    return one


def test_one_bad_file_harms_only_its_own_unit() -> None:
    one = house(web=GOOD, bad=BAD)
    assert set(one.world.units) - {"default.target"} == {"web"}
    assert {problem.path for problem in one.catalogue.problems} == {"/units/bad.agent.yaml"}


def test_reading_again_tells_what_has_changed() -> None:
    one = house(web=GOOD, old=GOOD, same=GOOD)
    one.write(web=OTHER, new=GOOD, old=None)
    changes = one.catalogue.reload(one.world)
    assert (changes.added, changes.changed, changes.removed) == (("new",), ("web",), ("old",))
    one.world.feed(Reread(changes.removed), 0.0, 0.0)
    assert set(one.world.units) - {"default.target"} == {"web", "same", "new"}
    again = one.catalogue.reload(one.world)
    assert (again.added, again.changed, again.removed) == ((), (), ())


def test_a_running_agent_keeps_its_last_good_definition() -> None:
    one = house(web=GOOD)
    one.run("web")
    before = one.world.units["web"]
    one.write(web=BAD)
    assert one.catalogue.reload(one.world).removed == ()
    assert one.world.units["web"] == before
    one.write(web=None)
    assert one.catalogue.reload(one.world).removed == ()
    assert one.world.units["web"] == before


def test_an_instance_is_made_of_its_template_on_demand() -> None:
    one = house()
    one.files.texts["worker@.agent.yaml"] = "agent: {exec: [/bin/echo, '%i']}\n"
    one.catalogue.reload(one.world)
    assert one.world.know("worker@eu") is not None
    assert one.world.units["worker@eu"].agent is not None
    assert tuple(one.world.units["worker@eu"].agent.exec) == ("/bin/echo", "eu")
    assert one.world.know("worker@") is None


def test_a_new_manager_finds_the_definition_of_what_runs() -> None:
    """The file went bad, then the manager was killed: what runs is held by the definition it was started from."""
    one = house(web=GOOD)
    body = one.catalogue.definition("web")
    assert body is not None
    assert one.catalogue.definition("web") is None, "the store knows it now"
    for text in (BAD, None):
        next_one = House()
        next_one.write(**({"web": text} if text else {}))
        next_one.run("web")
        next_one.catalogue.load(next_one.world, {"web": body})
        assert next_one.world.units["web"].agent is not None


def test_what_is_at_rest_is_not_raised_from_the_dead() -> None:
    one = house(web=GOOD)
    body = one.catalogue.definition("web")
    assert body is not None
    next_one = House()
    next_one.world.restore({"web": Life(state=State.DEAD, agent="web#1")}, [])
    next_one.catalogue.load(next_one.world, {"web": body})
    assert "web" not in next_one.world.units


def test_a_definition_is_noted_again_when_it_changes() -> None:
    one = house(web=GOOD)
    assert one.catalogue.definition("web")
    one.write(web=OTHER)
    one.catalogue.reload(one.world)
    assert one.catalogue.definition("web")


def test_a_file_that_changed_on_disk_is_seen() -> None:
    one = house(web=GOOD)
    assert not one.catalogue.is_changed("web")
    one.write(web=OTHER)
    assert one.catalogue.is_changed("web")
    one.catalogue.reload(one.world)
    assert not one.catalogue.is_changed("web")
    one.write(web=None)
    assert one.catalogue.is_changed("web")


def test_what_a_change_asks_of_what_runs() -> None:
    one = house(web=GOOD, idle=GOOD)
    one.run("web")
    one.write(web=OTHER + "unit: {description: new}", idle=OTHER)
    assert one.catalogue.reload(one.world).asked == {"web": {"agent.exec": Change.RESTART}}
    one.write(web=OTHER)
    assert one.catalogue.reload(one.world).asked == {"web": {"agent.exec": Change.RESTART}}, (
        "as long as it runs"
    )
    one.write(web=GOOD)
    assert one.catalogue.reload(one.world).asked == {}, "what runs has it"


def needs(one: House) -> dict[str, Change]:
    return dict(one.catalogue.outdated("web", one.world))


def test_what_runs_lacks_what_has_changed_since_it_was_started() -> None:
    one = house(web=GOOD)
    one.catalogue.definition("web")
    one.run("web")
    assert needs(one) == {}
    one.write(web=OTHER + "unit: {description: new}")
    for _ in range(2):
        one.catalogue.reload(one.world)
        assert needs(one) == {"agent.exec": Change.RESTART}
    one.write(web=BAD)
    one.catalogue.reload(one.world)
    assert needs(one) == {"agent.exec": Change.RESTART}, "the good one is still in force"
    one.world.restore({"web": Life(state=State.DEAD, agent="web#1")}, [])
    assert needs(one) == {}, "nothing runs"
    one.write(web=OTHER)
    one.catalogue.reload(one.world)
    one.catalogue.definition("web")
    one.run("web")
    assert needs(one) == {}


def test_a_new_manager_knows_what_runs_without_the_newest_options() -> None:
    one = house(web=GOOD)
    body = one.catalogue.definition("web")
    assert body is not None
    for text, lacks in ((GOOD, {}), (OTHER, {"agent.exec": Change.RESTART})):
        next_one = House()
        next_one.write(web=text)
        next_one.run("web")
        next_one.catalogue.load(next_one.world, {"web": body})
        assert needs(next_one) == lacks
        assert next_one.catalogue.reload(next_one.world).asked == ({"web": lacks} if lacks else {})


def test_what_runs_is_told_from_what_its_commands_are_made_of() -> None:
    """A command of a reload runs by the unit as it is now; the process it is for was started before."""
    text = "agent: {exec: /bin/true, exec_reload: [/bin/reload]}\n"

    async def go() -> None:
        files = FakeFiles(**{"web.agent.yaml": text})
        async with rig(files=files) as one:
            one.catalogue.load(one.manager.world, {})
            one.manager.feed(Asked("start", ("web",)))
            await one.manager.settle()
            one.spawned("web#1")
            files.texts["web.agent.yaml"] = text.replace("true", "false")
            one.carrier.reread()
            one.manager.feed(Asked("reload", ("web",)))
            await one.manager.settle()
            assert one.keeper.asked("spawn")[-1] == ("web#1/reload1",)
            assert list(one.catalogue.outdated("web", one.manager.world)) == ["agent.exec"]
            bodies = [batch.definitions["web"] for batch in one.store.batches if "web" in batch.definitions]
            assert len(bodies) == 1

    play(go())


def test_what_does_not_load_is_no_definition() -> None:
    """It is what was read before that its agent is started from."""
    one = house(web=GOOD)
    one.write(web=BAD)
    one.catalogue.reload(one.world)
    assert one.catalogue.definition("web") is None


def test_a_drop_in_is_part_of_what_is_in_force() -> None:
    one = house(web=GOOD)
    one.files.texts["web.agent.yaml.d/x.yaml"] = "unit: {description: more}\n"
    assert one.catalogue.is_changed("web")
    assert one.catalogue.reload(one.world).changed == ("web",)
    assert not one.catalogue.is_changed("web")
    body = one.catalogue.definition("web")
    assert body is not None
    one.run("web")
    one.write(web=BAD)
    one.catalogue.load(one.world, {"web": body})
    assert one.world.units["web"].unit.description == "more"
    one.files.texts["web.agent.yaml"] = GOOD
    one.files.texts["web.agent.yaml.d/x.yaml"] = "unit: {descriptoin: more}\n"
    one.catalogue.reload(one.world)
    [problem] = one.catalogue.problems
    assert str(problem).startswith("/units/web.agent.yaml.d/x.yaml:1:8: unit.descriptoin: no such option")


def test_numbers_of_agents_are_not_given_twice_when_a_file_goes_and_comes_back() -> None:
    one = house(web=GOOD)
    one.world.restore({"web": Life(state=State.DEAD, agent="web#7", spawns=7)}, [])
    one.write(web=None)
    one.catalogue.reload(one.world)
    one.write(web=GOOD)
    one.catalogue.reload(one.world)
    one.world.feed(Asked("start", ("web",)), 1.0, 0.0)
    assert one.world.life("web").agent == "web#8"


def test_a_cycle_is_told_with_file_and_line() -> None:
    one = house(
        a="unit: {after: [b]}\nagent: {exec: /bin/true}\n", b="unit: {after: [a]}\nagent: {exec: /bin/true}\n"
    )
    text = one.catalogue.cycle(one.world)
    assert "/units/a.agent.yaml:1" in text
    assert "/units/b.agent.yaml:1" in text
