"""Transient units of tenants: within the tenant's slice, as its user, and of nothing that the daemon would do for it with more rights.

What the request says is read twice: alone, for what the tenant itself has written, and among all that is loaded, for what becomes of it.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Sequence

from msgspec import Struct

from maestro.control.roles import Caller
from maestro.control.service import refused
from maestro.control.tenants import Reach
from maestro.manager.accounts import gid_of, uid_of
from maestro.model.load import Loaded
from maestro.model.properties import verbatim
from maestro.model.slices import SUFFIX, is_within, outer
from maestro.model.tenancy import Grounds, objections
from maestro.model.unit import Unit

MOST_UNITS = 256  # transient ones that the slices of a tenant have at a time
_HINT = "an administrator can write it into a unit of your slice"


class Commission(Struct, frozen=True):
    """A request of a tenant, as the daemon takes it."""

    name: str
    properties: tuple[str, ...]
    slice: str
    uid: int
    gid: int


def commission(
    caller: Caller, name: str, properties: Sequence[str], loaded: Loaded, reach: Reach
) -> Commission:
    """What a tenant has asked for, with what its units have in any case. `loaded` is its own words alone. Raises `Refused`."""
    alone = loaded.unit
    if alone is None:  # not looked over: what is set for it below could mend just what is wrong
        said = "; ".join(f"{one.option}: {one.message}" for one in loaded.problems)
        hint = next((one.hint for one in loaded.problems if one.hint), "")
        raise refused("bad-unit", f"cannot run {name}: {said}", hint)
    named = getattr(alone.resources, "slice", None)
    slice_ = _slice(str(named) if named is not None else None, reach)
    uid, gid = _identity(alone, caller, _range(slice_, reach))
    return Commission(
        name=own_name(name, slice_),
        properties=(*properties, *_given(alone, slice_, uid, gid)),
        slice=slice_,
        uid=uid,
        gid=gid,
    )


def look_over(made: Commission, loaded: Loaded, reach: Reach) -> None:
    """Refuse what a tenant may not have. `loaded` is its own words alone, by the unit's name, which they may refer to."""
    alone = loaded.unit
    if alone is None:
        raise refused("bad-unit", f"cannot run {made.name}: {'; '.join(map(str, loaded.problems))}")
    _refuse(made.name, list(objections(alone, Grounds(made.slice, reach.acts))))


def check(made: Commission, loaded: Loaded) -> None:
    """Whether the unit, with all that administrators have laid over it, is still the tenant's."""
    unit = loaded.unit
    if unit is None or unit.agent is None:
        return
    said = {
        "agent.user": (unit.agent.user, str(made.uid)),
        "agent.group": (unit.agent.group, str(made.gid)),
        "resources.slice": (getattr(unit.resources, "slice", None), made.slice),
        "sandbox.no_new_privileges": (unit.sandbox.no_new_privileges, True),
    }
    other = [option for option, (found, wanted) in said.items() if found != wanted]
    _refuse(made.name, [f"{option} is set by {unit.origins[option].path}" for option in other])


def own_name(name: str, slice_: str) -> str:
    """Names of a tenant's units begin as its slice is called: nobody else's unit is meant by them."""
    prefix = f"{slice_.removesuffix(SUFFIX).replace('@', '_')}-"
    name = name.removesuffix(".agent")
    return name if name.startswith(prefix) else f"{prefix}{name}"


def _given(alone: Unit, slice_: str, uid: int, gid: int) -> Iterable[str]:
    yield f"resources.slice={verbatim(slice_)}"
    yield f'agent.user="{uid}"'
    yield f'agent.group="{gid}"'
    if "sandbox.no_new_privileges" not in alone.origins:
        yield "sandbox.no_new_privileges=true"
    if "agent.keyring_mode" not in alone.origins:
        yield "agent.keyring_mode=private"


def _refuse(name: str, why: list[str]) -> None:
    if why:
        raise refused("not-allowed", f"not allowed: cannot run {name}: {'; '.join(why)}", _HINT)


def _slice(named: str | None, reach: Reach) -> str:
    """The slice that is meant: the tenant's own, or one in it."""
    owned = reach.acts_in or ()
    outermost = [one for one in owned if not any(one != other and is_within(one, other) for other in owned)]
    listed = ", ".join(outermost)
    if named is None:
        if len(outermost) == 1:
            return outermost[0]
        raise refused("bad-request", f"you own several slices: {listed}", "name one: --slice SLICE")
    if any(is_within(named, one) for one in owned):
        return named
    message = f"not allowed: resources.slice: {named} is not yours, you may run agents in {listed}"
    raise refused("not-allowed", message, f"leave it out, or write --slice {outermost[0]}")


# ------------------------------------------------------------------------------------------- who it runs as


def _range(slice_: str, reach: Reach) -> range:
    """The numbers of users that are set aside for the slice; those of a slice above that is not the tenant's are others', too."""
    for name in (slice_, *reversed(outer(slice_))):
        unit = reach.units.get(name)
        if unit is None or not any(is_within(name, one) for one in reach.acts_in or ()):
            continue
        if (found := unit.slice.uid_range) is not None:
            return range(found.first, found.last + 1)
    return range(0)


def _identity(alone: Unit, caller: Caller, within: range) -> tuple[int, int]:
    """uid and gid that it gets. Whoever asks, never root's."""
    agent = alone.agent
    assert agent is not None
    uid = caller.uid
    if agent.user is not None:
        uid = _known(uid_of(agent.user), "agent.user", f"user {agent.user}", "leave --uid out")
    if uid == 0 or (uid != caller.uid and uid not in within):
        also = f", or as one from {within[0]} to {within[-1]}" if within else ""
        message = f"not allowed: agent.user: it cannot run as {agent.user}; you may run agents as yourself, uid {caller.uid}{also}"
        raise refused("not-allowed", message, "leave --uid out")
    groups = _groups(uid, caller)
    gid = groups[0]
    if agent.group is not None:
        gid = _known(gid_of(agent.group), "agent.group", f"group {agent.group}", "leave --gid out")
    if gid not in groups and gid not in within:
        message = f"not allowed: agent.group: user {uid} is not in group {agent.group}"
        raise refused("not-allowed", message, "leave --gid out")
    return uid, gid


def _groups(uid: int, caller: Caller) -> list[int]:
    """The groups that a user is in, its own first; that of one without an account has the same number."""
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        return [caller.gid if uid == caller.uid else uid]
    own = caller.gid if uid == caller.uid else account.pw_gid
    return [own, *os.getgrouplist(account.pw_name, account.pw_gid)]


def _known(number: int | None, option: str, what: str, hint: str) -> int:
    if number is None:
        raise refused("bad-request", f"{option}: there is no {what}", hint)
    return number
