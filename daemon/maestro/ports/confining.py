"""What the manager needs from the kernel to hold agents: control groups, filters of system calls, and its word on what happens in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from maestro.model.syscalls import SyscallFilter
from maestro.model.unit import Unit

# ------------------------------------------------------------------------------------------------ confinement


class Abilities(Struct, frozen=True, kw_only=True):
    """What this host lets this daemon do to confine an agent."""

    root: bool = False  # it may make namespaces as it is, and not only within one of users
    namespaces: frozenset[str] = frozenset()  # of the kinds that it can make: mnt net ipc uts pid user cgroup
    mounts: bool = False  # it can lay mounts, and make those that are there read-only
    proc: bool = False  # it can mount a /proc for a pid namespace
    landlock: int = 0  # ABI; 0: none
    seccomp: bool = False
    reason: str = ""  # why there are no namespaces, where there are none


# ------------------------------------------------------------------------------------------------ groups


class Usage(Struct, frozen=True, kw_only=True):
    """What the processes of one group use now, and have used since the group was made. None: this kernel does not say."""

    cpu: float | None = None  # seconds
    memory: int | None = None  # bytes
    memory_peak: int | None = None
    tasks: int | None = None
    read: int | None = None  # bytes from devices
    written: int | None = None
    oom_kills: int = 0
    memory_max: int | None = None  # the limits in force; None: none
    tasks_max: int | None = None
    forks_refused: int = 0  # by tasks_max
    held_back: float = 0.0  # seconds that its processes wanted a processor, by cpu_max
    crowded: str = ""  # a process that can open next to nothing more, in words


class Process(Struct, frozen=True):
    """One process of a group."""

    pid: int
    name: str
    memory: int  # bytes of its own and shared ones, as it has them in use


# Groups that the keeper is to make where they are missing, its own the last: the directory, and the files in it that are written
# then, by name and text.
Making = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


class Place(Struct, frozen=True, kw_only=True):
    """Where a process is born."""

    cgroup: str = ""  # directory of its own group; empty where this host has none
    tasks: tuple[str, ...] = ()  # files of cgroup v1 by which it enters the groups that hold it to its limits
    make: Making = ()


class CannotConfine(Exception):
    """A sentence that says which group could not be made."""


class Groups(Protocol):
    """Control groups: one for each unit, which has its limits, and in it one for each of its agents."""

    def place(self, unit: Unit, agent: str) -> Place: ...  # raises CannotConfine
    def where(self, unit: Unit, agent: str) -> str: ...  # the directory that `place` gave it
    def limit(self, unit: Unit) -> tuple[str, ...]: ...  # to what it says; what cannot be set, in words
    def throttle(self, unit: Unit, on: bool) -> None: ...  # next to no processor time, or what its words say
    def unmet(self, unit: Unit) -> tuple[str, ...]: ...  # options that this host has no means for
    def usage(self, unit: Unit) -> Usage | None: ...
    def largest(self, unit: Unit) -> Process | None: ...  # of its processes by memory
    def clear(self, unit: Unit) -> None: ...  # nothing of it runs: remove its groups


# ------------------------------------------------------------------------------------------------ system calls


class NoSeccomp(Exception):
    """System calls cannot be filtered as asked; the text says why."""


class SeccompPrograms(Struct, frozen=True, kw_only=True):
    """A filter as the kernel takes it."""

    programs: tuple[bytes, ...]  # to be loaded in this order
    deny_write_execute: bool = False  # the kernel is to be asked for that by itself: no program does it


class Seccomp(Protocol):
    """Makes programs for the kernel of what is to be filtered."""

    def missing(self) -> str:
        """Why there are no filters on this host; empty: there are."""
        ...

    def programs(self, wanted: SyscallFilter) -> SeccompPrograms:
        """Raises NoSeccomp."""
        ...


class Alarm(Protocol):
    """The kernel's word that memory has run out in the group of one of these units: nothing is polled."""

    def begin(self, ring: Callable[[tuple[str, ...]], None]) -> None: ...
    def expect(
        self, unit: Unit
    ) -> bool: ...  # its group may not be there yet; whether kills are counted in it
    def watches(self, name: str) -> bool: ...
    def watch(self, unit: Unit) -> bool: ...  # its group is there; whether it was not watched yet
    def kills(self, name: str) -> int | None: ...  # counted since its group was made; None: not to be read
    def leave(self, name: str) -> None: ...


class Brake(Protocol):
    """All agents at once, in the kernel."""

    def begin(self, changed: Callable[[], None]) -> None: ...  # is called when that may have changed
    def hold(self, still: bool) -> bool: ...  # False: this host has no group of all agents
    def is_held(self) -> bool: ...  # they are to stand still
    def is_still(self) -> bool: ...  # they do
    def kill(self) -> bool: ...


class Gauge(Protocol):
    """What the processes of one unit use. -1: this kernel does not say."""

    def cpu(self) -> int: ...  # microseconds since its group was made
    def memory(self) -> int: ...
    def tasks(self) -> int: ...
    def moved(self) -> tuple[int, int]: ...  # bytes read from devices, and written
    def close(self) -> None: ...


class Gauges(Protocol):
    def gauge(self, unit: Unit) -> Gauge | None: ...  # None: it has no group
