"""An emergency stop waits for no disk, and nothing is started until it is over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from maestro.control import protocol as p
from maestro.control.service import Refused
from maestro.manager import tasks
from maestro.manager.emergency import Emergency
from tests.control.office import ROOT, Behind, desk_of
from tests.manager.rig import really, turns

UNIT = "agent: {exec: /bin/true, restart: {policy: always, delay: 0}}\n"


class Brake:
    """A group of all agents, of which only is known what it was told."""

    def __init__(self) -> None:
        self.held, self.killed = False, 0
        self.changed: Callable[[], None] = lambda: None

    def begin(self, changed: Callable[[], None]) -> None:
        self.changed = changed

    def hold(self, still: bool) -> bool:
        self.held = still
        return True

    def is_held(self) -> bool:
        return self.held

    def is_still(self) -> bool:
        return self.held

    def kill(self) -> bool:
        self.killed += 1
        return True


class Place(Behind):
    """Two agents of which one runs, and a store that no longer answers."""

    def __init__(self) -> None:
        super().__init__(a=UNIT, b=UNIT)
        self.brake = Brake()
        self.emergency = Emergency(self.manager, self.carrier, self.keeper, self.brake, "/no/such/mark")
        self.desk = desk_of(self, self.files, self.emergency)
        self.emergency.resume()

    async def begin(self) -> None:
        self._committer = tasks.spawn(self.manager.run(), "committer")
        async for _ in self.desk.verb(ROOT, p.Start(units=("a",), wait=False)):
            pass
        await turns()
        self.spawned("a#1")
        await turns()
        assert self.state("a") == "running"
        self.store.gate.clear()

    async def ask(self, act: str) -> None:
        await self.desk.emergency_stop(ROOT, p.EmergencyStop(act=act))  # type: ignore[arg-type]


def test_it_waits_for_no_disk() -> None:
    async def run() -> None:
        place = Place()
        await place.begin()
        await place.ask("freeze")
        assert (place.brake.held, place.state("a")) == (True, "frozen")
        await place.ask("thaw")
        assert (place.brake.held, place.state("a")) == (False, "running")
        await place.ask("stop")
        assert (place.brake.killed, place.brake.held, place.state("a")) == (1, False, "stop")

    really(run())


def test_nothing_is_started_meanwhile() -> None:
    async def run() -> None:
        place = Place()
        await place.begin()
        place.store.gate.set()
        await place.ask("freeze")
        with pytest.raises(Refused, match="every agent is held by emergency-stop"):
            async for _ in place.desk.verb(ROOT, p.Start(units=("b",))):
                pass
        place.ended("a#1", None, signal=9)  # somebody killed it, and its policy starts it again
        await turns()
        assert place.state("a") == "waiting"
        assert place.keeper.asked("spawn") == [("a#1",)]
        await place.ask("thaw")
        await turns()
        assert place.keeper.asked("spawn") == [("a#1",), ("a#2",)]

    really(run())


def test_what_others_do_in_the_kernel_is_followed() -> None:
    async def run() -> None:
        place = Place()
        await place.begin()
        place.brake.held = True
        place.brake.changed()
        assert (place.emergency.is_on, place.state("a")) == (True, "frozen")
        place.brake.held = False
        place.brake.changed()
        assert (place.emergency.is_on, place.state("a")) == (False, "running")

    really(run())
