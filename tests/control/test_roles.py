from __future__ import annotations

import itertools
from typing import Any, ClassVar

import msgspec
import pytest
from msgspec.structs import replace

from maestro.control.protocol import ErrorView, Request
from maestro.control.roles import Caller, Group, HostAccounts, Peer, Role, role_of
from maestro.control.routes import BY_NAME, ROUTES, Route, permit
from maestro.control.service import Refused
from maestro.control.tenants import owned
from maestro.model.slices import SliceSection
from maestro.model.values import UserName
from maestro.testing.theatre import unit
from tests.control.fake import FakeAccounts, fields_of

ACCOUNTS = FakeAccounts()
ALICE, BOB, EVE = 1001, 1002, 1003


@pytest.mark.parametrize(
    ("uid", "gid", "agent", "own_uid", "role"),
    [
        (0, 0, None, 0, Role.ADMIN),
        (0, 0, "researcher#17", 0, Role.AGENT),
        (ALICE, ALICE, None, 0, Role.ADMIN),
        (BOB, 801, None, 0, Role.READ),
        (BOB, 5, None, 0, Role.READ),  # after newgrp: what the accounts say counts as well
        (EVE, EVE, None, 0, Role.NONE),
        (EVE, 800, None, 0, Role.ADMIN),  # sg maestro
        (EVE, EVE, None, EVE, Role.ADMIN),  # her own daemon
        (ALICE, ALICE, "worker@eu#3", 0, Role.AGENT),
        (4242, 4242, None, 0, Role.NONE),  # no account
    ],
)
def test_role(uid: int, gid: int, agent: str | None, own_uid: int, role: Role) -> None:
    assert role_of(Peer(uid, gid, 99), agent, own_uid, ACCOUNTS) is role


def test_a_host_without_the_groups_gives_no_role() -> None:
    class Bare(FakeAccounts):
        groups: ClassVar[dict[str, Group]] = {}

    assert role_of(Peer(ALICE, ALICE, 99), None, 0, Bare()) is Role.NONE


def test_host_accounts_know_root_and_nobody_else() -> None:
    accounts = HostAccounts()
    root = accounts.user(0)
    assert root is not None
    assert root.name == "root"
    assert accounts.user(4_000_000) is None
    assert accounts.group("no-such-group-here") is None
    assert accounts.group("root") is not None


def _request(route: Route, **given: Any) -> Request:
    return msgspec.convert({**fields_of(route.request, "a"), **given}, route.request)


def _refused(route: Route, caller: Caller, own_uid: int = 0, **given: Any) -> ErrorView | None:
    """How a request is refused; None when it is permitted."""
    try:
        permit(route, _request(route, **given), caller, own_uid, ACCOUNTS)
    except Refused as refusal:
        return refusal.error
    return None


def _may(route: Route, caller: Caller, **given: Any) -> bool:
    error = _refused(route, caller, **given)
    if error is None:
        return True
    assert error.code == "not-allowed"
    assert error.message.startswith("not allowed: ")
    assert error.hint
    return False


READ_ONLY = {
    "hello",
    "status",
    "budget",
    "show",
    "cat",
    "logs",
    "events",
    "audit",
    "generations",
    "generation-files",
    "generation-diff",
    "jobs",
    "links",
    "starts",
    "why",
    "doctor",
    "usage",
    "is-enabled",
}
AGENT = {"hello", "status", "budget", "show", "logs", "usage"}
TENANT = {"run"} | (
    (
        READ_ONLY
        - {"audit", "links", "is-enabled", "doctor", "generations", "generation-files", "generation-diff"}
    )
    | {"start", "stop", "restart", "try-restart", "reload", "reload-or-restart"}
    | {"reset-failed", "freeze", "thaw", "cancel", "kill", "budget"}
)
MAY = {
    Role.ADMIN: set(BY_NAME),
    Role.TENANT: TENANT,
    Role.READ: READ_ONLY,
    Role.AGENT: AGENT,
    Role.NONE: {"hello"},
}


@pytest.mark.parametrize(("route", "role"), [*itertools.product(ROUTES, Role)], ids=str)
def test_matrix(route: Route, role: Role) -> None:
    agent = "a#1" if role is Role.AGENT else ""
    owns = ("a.slice",) if role is Role.TENANT else ()
    caller = Caller(uid=EVE, gid=EVE, pid=99, role=role, agent=agent, owns=owns)
    assert _may(route, caller) is (route.do in MAY[role])


def test_who_reads_may_act_in_slices_of_its_own() -> None:
    caller = Caller(uid=EVE, gid=EVE, pid=99, role=Role.READ, owns=("a.slice",))
    assert {route.do for route in ROUTES if _may(route, caller)} == READ_ONLY | TENANT


@pytest.mark.parametrize(
    ("owner", "group", "uid", "gid", "mine"),
    [
        ("eve", None, EVE, EVE, True),
        ("1003", None, EVE, EVE, True),
        ("bob", None, EVE, EVE, False),
        ("1003", None, BOB, EVE, False),
        (None, "maestro-read", BOB, BOB, True),
        (None, "801", EVE, 801, True),
        (None, "801", EVE, EVE, False),
        (None, "no-such-group", EVE, EVE, False),
        (None, None, 0, 0, False),
    ],
)
def test_whose_a_slice_is(owner: str | None, group: str | None, uid: int, gid: int, mine: bool) -> None:
    names = [UserName(name) if name is not None else None for name in (owner, group)]
    whose = SliceSection(owner=names[0], owner_group=names[1])
    units = {"a.slice": replace(unit("a.slice"), slice=whose), "web": unit("web", slice="a.slice")}
    assert owned(units, Peer(uid, gid, 99), ACCOUNTS) == (("a.slice",) if mine else ())


def test_a_tenant_has_that_role_only_without_a_greater_one() -> None:
    owns = ("a.slice",)
    assert role_of(Peer(EVE, EVE, 99), None, 0, ACCOUNTS, owns) is Role.TENANT
    assert role_of(Peer(BOB, BOB, 99), None, 0, ACCOUNTS, owns) is Role.READ
    assert role_of(Peer(EVE, EVE, 99), "a#1", 0, ACCOUNTS, owns) is Role.AGENT
    assert role_of(Peer(EVE, EVE, 99), "#0", 0, ACCOUNTS, owns) is Role.NONE


@pytest.mark.parametrize("do", sorted(AGENT - {"hello"}))
@pytest.mark.parametrize("units", [["b"], ["a", "b"], ["*"], ["a*"], ["a#1"]])
def test_an_agent_sees_only_its_own_unit(do: str, units: list[str]) -> None:
    caller = Caller(uid=0, gid=0, pid=99, role=Role.AGENT, agent="a#1")
    assert _may(BY_NAME[do], caller, units=["a"])
    assert not _may(BY_NAME[do], caller, units=units)


def _refusal(do: str, uid: int, own_uid: int = 0, **given: Any) -> tuple[str, str]:
    caller = Caller(uid=uid, gid=uid, pid=812, **{"role": Role.NONE, **given})
    error = _refused(BY_NAME[do], caller, own_uid)
    assert error is not None
    return error.message, error.hint


def test_a_refusal_says_what_it_takes_and_how_to_get_it() -> None:
    assert _refusal("restart", EVE) == (
        "not allowed: restart needs uid 0 or membership of group maestro; you are uid 1003 (eve)",
        "as root: usermod -aG maestro eve",
    )
    assert _refusal("status", EVE) == (
        "not allowed: status needs uid 0 or membership of group maestro-read or maestro;"
        " you are uid 1003 (eve)",
        "as root: usermod -aG maestro-read eve",
    )
    assert _refusal("stop", 4242, own_uid=ALICE)[0] == (
        "not allowed: stop needs uid 0, uid 1001 (alice) or membership of group maestro; you are uid 4242"
    )


def test_an_agent_is_told_what_it_may() -> None:
    message, hint = _refusal("restart", 0, role=Role.AGENT, agent="researcher#17")
    assert message == (
        "not allowed: restart is not for agents; you are pid 812, a process of agent researcher#17"
    )
    assert hint == "it may ask: hello, status, budget, show, logs, usage"
