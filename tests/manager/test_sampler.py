"""What units use is kept for a minute, and a quiet one is seldom looked at."""

from __future__ import annotations

import asyncio

import pytest

from maestro.engine.world import World
from maestro.manager.sampler import KEPT, Sampler
from maestro.model.unit import Unit
from maestro.testing.theatre import unit

pytestmark = pytest.mark.timeout(20)


class Fake:
    """A gauge that counts how often it is read."""

    def __init__(self) -> None:
        self.used, self.bytes, self.looks, self.closed = 0, 1 << 20, 0, False

    def cpu(self) -> int:
        self.looks += 1
        return self.used

    def memory(self) -> int:
        return self.bytes

    def tasks(self) -> int:
        return 3

    def moved(self) -> tuple[int, int]:
        return self.used, -1

    def close(self) -> None:
        self.closed = True


class Host:
    """One of them for each unit, and a clock that each turn moves on by a second."""

    def __init__(self, *names: str) -> None:
        self.gauges = {name: Fake() for name in names}
        self.now = 100.0
        self.sampler = Sampler(World(lambda name: None), self, lambda: self.now, 0)
        for name in names:
            self.sampler.begun(unit(name))

    def gauge(self, one: Unit) -> Fake:
        return self.gauges[one.name]

    def turn(self, *busy: str, times: int = 1) -> None:
        for _ in range(times):
            self.now += 1
            for name in busy:
                self.gauges[name].used += 500_000
            self.sampler.look()


def test_what_was_used_each_second() -> None:
    host = Host("web")
    host.turn("web", times=12)
    seen = host.sampler.read("web")
    assert seen is not None
    assert (seen.cpu, seen.cpu_share, seen.memory, seen.tasks) == (6.0, 0.5, 1 << 20, 3)
    assert (seen.read_rate, seen.written, seen.write_rate) == (500_000, None, None)


def test_a_quiet_one_is_seldom_looked_at() -> None:
    host = Host("busy", "quiet")
    host.turn("busy", times=80)
    assert host.gauges["busy"].looks == 80
    assert host.gauges["quiet"].looks < 16


def test_one_that_wakes_up_is_looked_at_each_second_again() -> None:
    host = Host("web")
    host.turn(times=40)
    host.turn("web", times=9)  # found out by then
    before = host.gauges["web"].looks
    host.turn("web", times=10)
    assert host.gauges["web"].looks == before + 10


def test_who_asks_is_told_what_is_now() -> None:
    host = Host("web")
    host.turn(times=40)
    host.gauges["web"].bytes = 5 << 20
    host.now += 1
    seen = host.sampler.read("web")
    assert seen is not None
    assert (seen.memory, seen.age, seen.cpu_share) == (5 << 20, 0.0, 0.0)
    before = host.gauges["web"].looks
    host.turn(times=2)
    assert host.gauges["web"].looks == before + 2, "while somebody looks, each second counts"


def test_the_last_minute_is_kept() -> None:
    host = Host("web")
    host.turn("web", times=3 * KEPT)
    ring = host.sampler.rings["web"]
    times = [ring.newest(back)[0] for back in range(KEPT)]
    assert times == [int(host.now - back) * 1000 for back in range(KEPT)]


def test_while_nothing_changes_the_last_sample_is_made_later() -> None:
    host = Host("web")
    host.turn("web", times=3)
    ring, woken = host.sampler.rings["web"], host.now
    host.turn(times=20 * KEPT)
    assert len(ring.samples) == 4 * len(ring.newest())
    assert ring.newest()[1:] == ring.newest(1)[1:]
    assert ring.newest()[0] > (host.now - 10) * 1000 > ring.newest(1)[0] == woken * 1000


def test_a_group_that_is_made_anew_has_used_nothing_negative() -> None:
    host = Host("web")
    host.turn("web", times=5)
    host.gauges["web"].used = 0
    host.turn()
    seen = host.sampler.read("web")
    assert seen is not None
    assert (seen.cpu, seen.cpu_share) == (0.0, None)


def test_one_that_is_left_is_forgotten() -> None:
    host = Host("web")
    host.sampler.leave("web")
    assert host.gauges["web"].closed
    assert host.sampler.read("web") is None


def test_the_clock_of_the_loop_makes_the_turns() -> None:
    async def run() -> int:
        host = Host()
        host.gauges["web"] = gauge = Fake()
        sampler = Sampler(World(lambda name: None), host, asyncio.get_running_loop().time, 0.001)
        sampler.begun(unit("web"))
        while gauge.looks < 3:
            gauge.used += 1
            await asyncio.sleep(0.001)
        sampler.leave("web")
        return gauge.looks

    assert asyncio.run(run()) >= 3
