"""Who looks after groups hears of a unit's that is elsewhere by now; what waits while all are held is done, or not, afterwards."""

from __future__ import annotations

from maestro.engine.events import CannotSpawn, Ended, Freeze, Spawn
from maestro.engine.world import World
from maestro.manager.held import Held
from maestro.manager.watchers import Watchers
from maestro.model.unit import Unit
from maestro.testing.theatre import Theatre, unit


class Watcher:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def attend(self, unit: Unit) -> None:
        self.heard.append("attend")

    def begun(self, unit: Unit) -> None:
        self.heard.append("begun")

    def ended(self, name: str, ended: Ended) -> None:
        self.heard.append("ended")

    def leave(self, name: str) -> None:
        self.heard.append("leave")


def test_a_group_in_another_slice_is_one_that_nobody_has_seen_yet() -> None:
    watchers, one, web = Watchers(), Watcher(), unit("web")
    watchers.append(one)
    watchers.attend(web, "/top/a.slice/web.agent/1")
    one.heard.clear()
    watchers.attend(web, "/top/a.slice/web.agent/2")
    assert one.heard == ["attend"]
    watchers.attend(web, "/top/b.slice/web.agent/3")
    assert one.heard == ["attend", "leave", "attend"]
    watchers.leave("web")
    watchers.attend(web, "/top/b.slice/web.agent/4")
    assert one.heard[3:] == ["leave", "leave", "attend"]


def running() -> World:
    theatre = Theatre([unit("web")])
    theatre.ask("start", "web")
    theatre.run(until=1)
    return theatre.world


def test_what_goes_on_waits_and_what_stops_does_not() -> None:
    held = Held(running())
    on = Freeze("web#1", False)
    assert not held.keeps(on), "nothing is held"
    held.on = True
    assert held.keeps(on)
    assert not held.keeps(Freeze("web#1", True))
    assert not held.keeps(Freeze("gone#1", False)), "nobody would let that go on afterwards"
    assert held.take() == [on]
    assert held.take() == []


def test_what_is_dropped_is_told() -> None:
    held, told = Held(running()), list[CannotSpawn]()
    held.on = True
    assert held.keeps(Spawn(agent="web#2", unit="web"))
    assert held.keeps(Freeze("web#1", False))
    held.drop(told.append)
    assert [one.agent for one in told] == ["web#2"]
    assert held.take() == []
