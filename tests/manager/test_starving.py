"""Which kills for want of memory are news: the counters are those of groups, which come and go."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from maestro.engine.state import State
from maestro.manager.no_groups import NoGroups
from maestro.manager.starving import Starving
from maestro.model.unit import ResourcesSection, Unit
from maestro.testing.loop import play
from maestro.testing.theatre import FOREVER, Theatre, unit
from tests.manager.rig import rest


class Alarm:
    """Implements `ports.Alarm` by a number."""

    def __init__(self) -> None:
        self.count: int | None = 0
        self.watched: list[str] = []

    def begin(self, ring: Callable[[tuple[str, ...]], None]) -> None: ...
    def expect(self, unit: Unit) -> bool:
        return self.count is not None

    def watches(self, name: str) -> bool:
        return name in self.watched

    def watch(self, unit: Unit) -> bool:
        self.watched.append(unit.name)
        return True

    def leave(self, name: str) -> None: ...
    def kills(self, name: str) -> int | None:
        return self.count


class Scene:
    def __init__(self) -> None:
        going_on = replace(unit("web"), resources=ResourcesSection(oom_policy="continue"))
        self.theatre = Theatre([going_on], lambda *_: FOREVER)
        self.theatre.ask("start", "web")
        self.theatre.run(until=0)
        self.alarm = Alarm()
        self.begin()
        self.starving.attend(self.unit)

    @property
    def unit(self) -> Unit:
        return self.theatre.world.units["web"]

    def begin(self) -> None:
        """As a new manager."""
        self.starving = Starving(self.theatre.world, NoGroups(), self.alarm, self.theatre.feed)

    def look(self, count: int | None) -> int:
        """How many kills were told by then, in all."""
        self.alarm.count = count
        self.starving._look("web")
        assert self.theatre.life("web").state is State.RUNNING
        return self.told()

    def told(self) -> int:
        return len([one for one in self.theatre.news if one.kind == "oom-kill"])


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_each_is_told_once(scene: Scene) -> None:
    assert [scene.look(count) for count in (0, 1, 1, 3)] == [0, 1, 1, 2]


def test_a_counter_that_cannot_be_read_is_no_counter_at_nought(scene: Scene) -> None:
    """The manager may have no descriptor left: what it has told already would be news after that."""
    assert [scene.look(count) for count in (2, None, 2)] == [1, 1, 1]


def test_in_a_group_that_was_made_anew_the_first_is_news(scene: Scene) -> None:
    assert [scene.look(count) for count in (1, 0, 1)] == [1, 1, 2]
    assert scene.theatre.life("web").oom_kills == 1


def test_a_new_manager_knows_that_the_group_is_another_one(scene: Scene) -> None:
    """The unit went to another slice with a restart, and the manager was dead when its memory ran out there."""
    assert scene.look(1) == 1
    scene.starving.leave("web")
    scene.alarm.count = 0
    scene.starving.attend(scene.unit)
    assert scene.theatre.life("web").oom_kills == 0
    scene.alarm.count = 1
    scene.begin()
    scene.starving.resume()
    assert scene.told() == 2


def test_what_was_killed_before_it_was_watched_is_told(scene: Scene) -> None:
    """A thousand that begin come before the watching of each: until then the counter is all there is."""

    async def go() -> None:
        scene.starving.begun(scene.unit)
        scene.alarm.count = 1
        assert (scene.alarm.watched, scene.told()) == ([], 0)
        await rest(1)
        assert (scene.alarm.watched, scene.told()) == (["web"], 1)
        scene.starving.begun(scene.unit)  # again, after a restart
        await rest(1)
        assert scene.alarm.watched == ["web"]

    play(go())


def test_one_that_is_gone_by_then_is_not_watched(scene: Scene) -> None:
    async def go() -> None:
        scene.starving.begun(scene.unit)
        scene.starving.leave("web")
        await rest(1)
        assert scene.alarm.watched == []

    play(go())


def test_one_that_begins_again_and_again_keeps_nobody_from_being_watched(scene: Scene) -> None:
    """An agent that ends as soon as it has begun, say, or a client that has one run after the other."""

    async def go() -> None:
        scene.starving.begun(scene.unit)
        for number in range(60):
            scene.starving.begun(unit(f"other{number}"))
            await rest(0.05)
        assert "web" in scene.alarm.watched
        assert len(scene.alarm.watched) > 10

    play(go())
