"""From unit to recipe: groups, priorities, limits, and where programs are looked for."""

from __future__ import annotations

import marshal
import os
import pwd
import resource
from typing import Any

import pytest
from msgspec.structs import asdict, replace

from maestro.manager import recipe
from maestro.manager.recipe import CannotPrepare, House
from maestro.model.amounts import NumberSet
from maestro.model.limits import CountLimit, LimitsSection, SizeLimit
from maestro.model.scheduling import Nanoseconds
from maestro.model.values import EnvironmentMap, UserName
from maestro.model.variables import VariableName
from maestro.ports import Recipe
from maestro.testing.theatre import unit

HOUSE = House(
    notify="/run/notify", control="/run/control.sock", identity="x", environ={"PATH": "/usr/bin:/bin"}, uid=0
)
ORDINARY = replace(HOUSE, uid=1000)


def make(house: House = HOUSE, **options: Any) -> Recipe:
    return recipe.make(unit("web", **options), "web#3", house)


def test_further_groups_come_to_those_of_the_user() -> None:
    assert make(supplementary_groups=(UserName("4242"),)).groups == (4242,)
    nobody = pwd.getpwnam("nobody")
    own = tuple(os.getgrouplist("nobody", nobody.pw_gid))
    found = make(user=UserName("nobody"), supplementary_groups=(UserName("4242"), UserName(str(own[0]))))
    assert found.groups == (*own, 4242)
    assert make(ORDINARY, supplementary_groups=(UserName("4242"),)).groups == (4242,), (
        "the keeper says why not"
    )
    with pytest.raises(CannotPrepare, match="no such group"):
        make(supplementary_groups=(UserName("nosuchgroup"),))


def test_what_is_not_said_of_scheduling_stays_as_the_keeper_is() -> None:
    recipe = make()
    names = (
        "nice",
        "io_priority",
        "cpu_scheduling",
        "numa",
        "oom_score_adjust",
        "timer_slack",
        "personality",
    )
    assert [getattr(recipe, name) for name in (*names, "coredump_filter", "keyring")] == [None] * 9
    assert (recipe.cpu_affinity, recipe.rlimits, recipe.ignore_sigpipe, recipe.search_path) == (
        (),
        (),
        False,
        "",
    )


def test_scheduling_in_the_kernels_numbers() -> None:
    assert make(io_scheduling_priority=6).io_priority == (2, 6)
    assert make(io_scheduling_class="idle").io_priority == (3, 0)
    assert make(io_scheduling_class="realtime").io_priority == (1, 4)
    assert make(cpu_scheduling_policy="fifo").cpu_scheduling == (os.SCHED_FIFO, 1)
    assert make(cpu_scheduling_reset_on_fork=True).cpu_scheduling == (os.SCHED_RESET_ON_FORK, 0)
    assert make(cpu_affinity=(NumberSet("2-3"), NumberSet("0,2"))).cpu_affinity == (0, 2, 3)
    limits = LimitsSection(as_=SizeLimit("1G:infinity"), locks=CountLimit("5"))
    assert make(limits=limits).rlimits == ((resource.RLIMIT_AS, 1 << 30, -1), (10, 5, 5))


def test_the_search_path_is_its_path_where_nothing_else_says() -> None:
    given: dict[str, Any] = {"exec_search_path": ("/a", "/b")}
    assert (make(**given).env["PATH"], make(**given).search_path) == ("/a:/b", "/a:/b")
    assert make(**given, environment=EnvironmentMap({"PATH": "/usr"})).env["PATH"] == "/usr"
    assert make(**given, pass_environment=(VariableName("PATH"),)).env["PATH"] == "/usr/bin:/bin"


def test_whatever_a_unit_says_passes_through_marshal_to_the_keeper() -> None:
    limits = LimitsSection(as_=SizeLimit("1G:infinity"), nofile=CountLimit("5"))
    given = make(
        limits=limits,
        exec_search_path=("/a",),
        cpu_affinity=(NumberSet("0"),),
        timer_slack=Nanoseconds("1ms"),
        pass_environment=(VariableName("PATH"),),
        supplementary_groups=(UserName("1"),),
        coredump_filter=("elf-headers",),
        environment=EnvironmentMap({"A": "1"}),
    )
    assert marshal.loads(marshal.dumps(asdict(given))) == asdict(given)
