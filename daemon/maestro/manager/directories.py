"""An agent's own directories, in its recipe: what the keeper's child makes, and what it is told of it."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable
from typing import TYPE_CHECKING

from maestro.manager.accounts import gid_of
from maestro.manager.cannot import CannotPrepare
from maestro.manager.dynamic_users import NoneLeft
from maestro.model.directories import KINDS, DirectoryName
from maestro.model.unit import AgentSection, Unit

if TYPE_CHECKING:
    from maestro.manager.recipe import House

Identity = tuple[int | None, int | None, tuple[int, ...], str]  # uid, gid, supplementary groups, home
Made = tuple[str, str, str, int, int | None, int | None, bool, tuple[str, ...]]
_PRIVATE = "private"


def user_name(unit: Unit) -> str:
    """What its user is called; empty where nothing is said of one."""
    agent = unit.agent
    assert agent is not None
    return str(agent.user) if agent.user is not None else unit.name if agent.dynamic_user else ""


def has_dynamic_user(unit: Unit) -> bool:
    """As in systemd, an account that exists under the name or number is taken instead."""
    agent = unit.agent
    return agent is not None and agent.dynamic_user and not _is_account(agent.user)


def allot(unit: Unit, house: House) -> None:
    """Choose its number, if it is to have one, so that it is kept before anything runs as it."""
    if has_dynamic_user(unit) and house.uid == 0 and not user_name(unit).isdigit():
        try:
            house.users.find(user_name(unit), house.users.range_of(unit))
        except NoneLeft:
            return  # told when the recipe is made


def is_wanted(user: str, units: Iterable[Unit]) -> bool:
    """Whether one of these has a dynamic user of this name."""
    dynamic = (unit for unit in units if unit.agent is not None and unit.agent.dynamic_user)
    return any(user_name(unit) == user for unit in dynamic)


def dynamic_identity(unit: Unit, house: House) -> Identity | None:
    """Who it runs as, if that is somebody who exists for it alone."""
    if unit.agent is None or not has_dynamic_user(unit):
        return None
    if house.uid != 0:
        raise CannotPrepare(
            f"cannot give it a dynamic user: this daemon runs as uid {house.uid}, and only root may change users"
        )
    if user_name(unit).isdigit():
        raise CannotPrepare(
            f"cannot run as user {user_name(unit)}: no account has this number, and a dynamic user is given one by "
            "Maestro; write a name, or leave agent.user out"
        )
    try:
        uid = house.users.find(user_name(unit), house.users.range_of(unit))
    except NoneLeft as why:
        raise CannotPrepare(f"cannot give it a dynamic user: {why}") from None
    return uid, uid, further_groups(unit.agent), "/"


def further_groups(agent: AgentSection) -> tuple[int, ...]:
    """Those that it is in besides its user's."""
    return tuple(dict.fromkeys(map(group, agent.supplementary_groups)))


def group(name: str) -> int:
    """The number of a group, which need not exist where it is named by that."""
    gid = gid_of(name)
    if gid is None:
        raise CannotPrepare(f"cannot run as group {name}: no such group")
    return gid


def prepare(unit: Unit, house: House, uid: int | None, gid: int | None) -> tuple[Made, ...]:
    """Its directories as the child is to make them:

    what it is called in a message, base directory, name, mode, owner and group (None: ours), whether it lies
    below `private`, and the names that become links to it.
    """
    agent = unit.agent
    assert agent is not None
    if house.uid == 0:
        uid, gid = uid or 0, gid or 0
    found: list[Made] = []
    for kind in (one for one in KINDS if agent.directories(one)):
        links: dict[str, tuple[str, ...]] = {}
        for one in _in_order(agent, kind):
            links[one.path] = (*links.get(one.path, ()), *filter(None, (one.link,)))
        base, mode, private = base_of(kind, house), agent.directory_mode(kind), _is_private(unit, kind, house)
        owner = (None, None) if kind == "configuration" else (uid, gid)
        found += [
            (f"{kind} directory", base, path, mode, *owner, private, names) for path, names in links.items()
        ]
    return tuple(found)


def environment(unit: Unit, house: House) -> dict[str, str]:
    """Where it finds its directories, and its credentials."""
    agent = unit.agent
    assert agent is not None
    told = {
        f"{kind.upper()}_DIRECTORY": ":".join(dict.fromkeys(paths(unit, kind, house)))
        for kind in KINDS
        if agent.directories(kind)
    }
    if agent.has_credentials:
        told["CREDENTIALS_DIRECTORY"] = credentials_of(unit.name, house)
    return told


def paths(unit: Unit, kind: str, house: House) -> list[str]:
    """The directories of a kind, by the names that lead to them whether they are private or not; as in systemd."""
    assert unit.agent is not None
    base = base_of(kind, house)
    return [os.path.join(base, one.path) for one in _in_order(unit.agent, kind)]


def writable(unit: Unit, house: House) -> tuple[str, ...]:
    """Those that its sandbox leaves open, where they are: the configuration is for it to read."""
    found = []
    for kind in KINDS:
        private = f"{_PRIVATE}/" if _is_private(unit, kind, house) else ""
        base = f"{base_of(kind, house)}/{private}"
        if unit.agent is not None and kind != "configuration":
            found += [base + one.path for one in _in_order(unit.agent, kind)]
    return tuple(dict.fromkeys(found))


def private_places(house: House) -> tuple[str, ...]:
    """What holds the directories of agents that nobody else is to get to."""
    if house.uid != 0 or not house.may_mount:
        return ()
    return tuple(os.path.join(base_of(kind, house), _PRIVATE) for kind in KINDS if kind != "configuration")


def _in_order(agent: AgentSection, kind: str) -> list[DirectoryName]:
    """Each after those that it lies in; and as systemd tells them."""
    return sorted(agent.directories(kind), key=lambda one: one.path)


def base_of(kind: str, house: House) -> str:
    base: str = getattr(house.places, kind)
    return base


def credentials_of(name: str, house: House) -> str:
    return os.path.join(house.places.credentials, name)


def _is_private(unit: Unit, kind: str, house: House) -> bool:
    """Nobody else gets to it, not even of its own user; it does because its own view of the place is another."""
    alone = has_dynamic_user(unit) or (unit.sandbox.level == "strict" and house.uid == 0)
    return kind != "configuration" and house.may_mount and alone


def removed(unit: Unit, house: House) -> list[tuple[str, str]]:
    """What goes when it has ended, as base directory and name: directories, and links to them."""
    if unit.agent is None:
        return []
    base, found = house.places.runtime, list[tuple[str, str]]()
    for one in unit.agent.runtime_directory:
        if _is_private(unit, "runtime", house):
            found.append((base, f"{_PRIVATE}/{one.path}"))
        found += [(base, name) for name in (one.path, one.link) if name]
    return found


def _is_account(user: str | None) -> bool:
    if user is None:
        return False
    try:
        pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        return False
    return True
