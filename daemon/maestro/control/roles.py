"""Who a caller is, and what that lets them do.

Accounts are looked up through a port, so that tests need no users.
"""

from __future__ import annotations

import grp
import pwd
from enum import IntEnum
from typing import Protocol

from msgspec import Struct

from maestro.ports import SOMEBODYS

ADMIN_GROUP = "maestro"
READ_GROUP = "maestro-read"


class Role(IntEnum):
    """Each may do what the ones before it may, and more; an agent only for its own unit, a tenant within its slices.

    Within those a tenant may do what the table of routes says, beyond what a reader may.
    """

    NONE = 0
    AGENT = 1
    TENANT = 2
    READ = 3
    ADMIN = 4


class Peer(Struct, frozen=True):
    """The process at the other end, as the kernel knows it (SO_PEERCRED)."""

    uid: int
    gid: int
    pid: int


class Caller(Struct, frozen=True, kw_only=True):
    """Who asks, with which role. The same `request_id` of the same `uid` is the same request."""

    uid: int
    gid: int
    pid: int
    role: Role
    agent: str = ""  # agent id, "researcher#17", when the peer is a process of a supervised agent
    owns: tuple[str, ...] = ()  # slices whose owner it is; who only reads may have some, too
    request_id: str = ""

    @property
    def unit(self) -> str:
        """The unit of the agent that asks; empty for people."""
        return self.agent.partition("#")[0]


class Account(Struct, frozen=True):
    name: str
    gid: int


class Group(Struct, frozen=True):
    gid: int
    members: tuple[str, ...] = ()


class Accounts(Protocol):
    """The host's users and groups."""

    def user(self, uid: int) -> Account | None: ...

    def group(self, name: str) -> Group | None: ...


class HostAccounts:
    """As pwd and grp say, asked at each connection:

    Whoever leaves a group has lost its role at the next one.
    """

    def user(self, uid: int) -> Account | None:
        try:
            entry = pwd.getpwuid(uid)
        except (KeyError, OSError):
            return None
        return Account(entry.pw_name, entry.pw_gid)

    def group(self, name: str) -> Group | None:
        try:
            entry = grp.getgrgid(int(name)) if name.isdigit() else grp.getgrnam(name)
        except (KeyError, OSError):
            return None
        return Group(entry.gr_gid, tuple(entry.gr_mem))


def role_of(
    peer: Peer, agent: str | None, own_uid: int, accounts: Accounts, owns: tuple[str, ...] = ()
) -> Role:
    """The role of a peer. Being an agent comes first: a root agent must not restart itself either."""
    if agent == SOMEBODYS:
        return Role.NONE  # of an agent that nobody can name, or gone: it has no unit of its own to ask about
    if agent is not None:
        return Role.AGENT
    if peer.uid in (0, own_uid) or _in_group(peer, ADMIN_GROUP, accounts):
        return Role.ADMIN
    if _in_group(peer, READ_GROUP, accounts):
        return Role.READ
    return Role.TENANT if owns else Role.NONE


def is_user(peer: Peer, name: str, accounts: Accounts) -> bool:
    """Whether that is the name, or the number, of the peer's user."""
    if name.isdigit():
        return peer.uid == int(name)
    user = accounts.user(peer.uid)
    return user is not None and user.name == name


def is_member(peer: Peer, name: str, accounts: Accounts) -> bool:
    """Whether the peer is in the group of this name, or number."""
    return (name.isdigit() and peer.gid == int(name)) or _in_group(peer, name, accounts)


def _in_group(peer: Peer, name: str, accounts: Accounts) -> bool:
    group = accounts.group(name)
    if group is None:
        return False
    if peer.gid == group.gid:
        return True
    user = accounts.user(peer.uid)
    return user is not None and (user.gid == group.gid or user.name in group.members)


def who(uid: int, accounts: Accounts) -> str:
    """`uid 1001 (alice)`."""
    user = accounts.user(uid)
    return f"uid {uid} ({user.name})" if user is not None else f"uid {uid}"


def who_may(least: Role, own_uid: int, accounts: Accounts) -> str:
    """`uid 0 or membership of group maestro`: what a role takes."""
    users = "uid 0" if own_uid == 0 else f"uid 0, {who(own_uid, accounts)}"
    groups = ADMIN_GROUP if least is Role.ADMIN else f"{READ_GROUP} or {ADMIN_GROUP}"
    return f"{users} or membership of group {groups}"


def how_to_get(least: Role, uid: int, accounts: Accounts) -> str:
    """What to type to get the role."""
    group = ADMIN_GROUP if least is Role.ADMIN else READ_GROUP
    user = accounts.user(uid)
    make = "" if accounts.group(group) is not None else f"groupadd {group} && "
    return f"as root: {make}usermod -aG {group} {user.name if user is not None else 'USER'}"
