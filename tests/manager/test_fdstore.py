"""What an agent leaves for its unit's next process, and who may."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.engine.events import Asked
from maestro.manager import recipe
from maestro.testing.loop import play
from maestro.testing.theatre import unit
from tests.manager.rig import HOUSE, Rig, rig


async def begin(one: Rig) -> None:
    one.manager.feed(Asked("start", ("web",)))
    await one.manager.settle()
    one.spawned("web#1")
    await one.manager.settle()


def orders(
    fields: dict[str, str], fds: list[int], pid: int = 100, **options: Any
) -> list[tuple[object, ...]]:
    async def go() -> list[tuple[object, ...]]:
        async with rig(unit(**{"file_descriptor_store_max": 4, **options})) as one:
            await begin(one)
            one.keeper.family[101] = "web#1"
            one.carrier.stored(pid, one.keeper.family.get(pid, "other#1"), fields, fds)
            return [order for order in one.keeper.orders if order[0] in ("store", "unstore")]

    found: list[tuple[object, ...]] = play(go())
    return found


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"FDSTORE": "1"}, [("store", "web", "stored", True, 4)] * 2),
        ({"FDSTORE": "1", "FDNAME": "a"}, [("store", "web", "a", True, 4)] * 2),
        ({"FDSTORE": "1", "FDNAME": "a:b"}, [("store", "web", "stored", True, 4)] * 2),
        ({"FDSTORE": "1", "FDNAME": "a", "FDPOLL": "0"}, [("store", "web", "a", False, 4)] * 2),
        ({"FDSTOREREMOVE": "1", "FDNAME": "a"}, [("unstore", "web", "a")]),
        ({"FDSTOREREMOVE": "1"}, []),
        ({"FDSTORE": "0", "FDNAME": "a"}, []),
    ],
)
def test_what_is_ordered(fields: dict[str, str], expected: list[tuple[object, ...]]) -> None:
    assert orders(fields, [5, 6]) == expected


def test_nothing_is_kept_of_who_may_leave_nothing() -> None:
    keep = {"FDSTORE": "1"}
    assert orders(keep, [5], file_descriptor_store_max=0) == []
    assert orders(keep, [5], pid=4242) == []
    assert len(orders(keep, [5], pid=101)) == 1
    for access, mains, others in (("none", 0, 0), ("main", 1, 0), ("exec", 1, 0), ("all", 1, 1)):
        assert len(orders(keep, [5], notify_access=access)) == mains
        assert len(orders(keep, [5], pid=101, notify_access=access)) == others


def test_what_is_kept_goes_when_the_unit_is_stopped_for_good() -> None:
    async def go() -> None:
        async with rig(unit(file_descriptor_store_max=4)) as one:
            await begin(one)
            one.manager.feed(Asked("restart", ("web",)))
            await one.manager.settle()
            one.ended("web#1", None, signal=15)
            await one.manager.settle()
            assert one.keeper.asked("drop_store") == []
            one.spawned("web#2", 200)
            one.manager.feed(Asked("stop", ("web",)))
            await one.manager.settle()
            one.ended("web#2", None, signal=15)
            await one.manager.settle()
            assert one.keeper.asked("drop_store") == [("web",)]

    play(go())


def test_the_recipe_asks_for_what_is_kept() -> None:
    made = recipe.make(unit("web", file_descriptor_store_max=4), "web#1", HOUSE)
    assert (made.store, made.env["FDSTORE"], made.env["NOTIFY_SOCKET"]) == ("web", "4", HOUSE.notify)
    assert recipe.make(unit("web"), "web#1", HOUSE).store == ""
    probe = recipe.make_probe(unit("web", file_descriptor_store_max=4), "probe:web#1", ("/bin/x",), HOUSE)
    assert (probe.store, "FDSTORE" in probe.env) == ("", False)
