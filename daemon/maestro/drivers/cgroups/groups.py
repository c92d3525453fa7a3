"""The groups of units and agents in the hierarchies of a layout.

A unit's group lies in those of the slices that it is in, the outermost first. It has its limits, and below it each of its
agents has one of its own, without any: so a command beside the main process counts to the same limits, and can be told
from it. Identity is by path: whose a process is says the name of the group that it is in, and needs no table.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from msgspec.structs import replace

from maestro.drivers.cgroups import files, limits
from maestro.drivers.cgroups.layout import Host, Layout, directories, enable, inherit_processors
from maestro.drivers.cgroups.limits import Setting
from maestro.drivers.cgroups.usage import used
from maestro.drivers.cgroups.usual import Lines, Usual
from maestro.keeper import cgroup
from maestro.model import slices
from maestro.model.amounts import CpuWeight
from maestro.model.unit import Unit, UnitSection
from maestro.model.values import Percentage
from maestro.ports import CannotConfine, Place, Process, Usage

_PROBE = "probe:"  # the prefix of the ids of probes' processes
_THROTTLED, _LEAST = Percentage(5), CpuWeight("1")
_MOST_LOOKED_AT = 1000  # processes of a unit, for the largest
_MOST_ASKED = 100  # for their descriptors, which takes 25 µs each
_ALWAYS = ("memory", "pids")  # v1: what a unit is in without asking for a limit, so that its use is known
_log = logging.getLogger(__name__)


class ControlGroups:
    """Raises CannotConfine where a group cannot be made; what is only a limit that cannot be set is told in words."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.kind = layout.kind
        self._settings = limits.V2 if layout.kind == "v2" else limits.V1
        self.unit_of: Callable[[str], Unit | None] = lambda name: (
            None
        )  # the unit of a name, as it is in force
        # Of a thousand units only what differs is kept: not the paths, which follow from it.
        self._made: dict[str, tuple[str, ...]] = {}  # unit -> controllers of v1 in which it has a group
        self._fresh: set[str] = set()  # units whose groups are the keeper's to make
        self._usual = Usual(self._settings)
        self._above = (
            dict(_found(layout.tracking)) if layout.tracking else {}
        )  # agent's unit -> the slices that its group is in
        mount = layout.mount
        self._top = "" if mount is None else _in_proc(layout.tracking, mount.at, mount.root)

    # ---------------------------------------------------------------------------------- places

    def place(self, unit: Unit, agent: str) -> Place:
        """Make the agent's group, and the unit's where it is not there yet, with its limits."""
        if not self.layout.tracking:
            return Place()
        untouched = unit.name not in self._above
        self._settle(unit)
        group = self.where(unit, agent)
        if (untouched or unit.name in self._fresh) and (usual := self._usual(unit)) is not None:
            self._fresh.add(unit.name)
            return self._leave_to_keeper(unit, group, usual)
        self._fresh.discard(unit.name)
        try:
            if unit.name not in self._made:
                self._make(unit)
            cgroup.make(group)
        except FileNotFoundError:  # somebody removed the unit's
            self._made.pop(unit.name, None)
            return self._place_again(unit, agent)
        except OSError as error:
            raise CannotConfine(f"cannot make its control group {group}: {error.strerror}") from None
        return self._at(unit, group)

    def _leave_to_keeper(self, unit: Unit, group: str, limits: Mapping[str, Lines]) -> Place:
        """Nobody needs these groups before the process is born, and the keeper has the time to make them."""
        if unit.name not in self._made:
            self._made[unit.name] = _these(one for one in _ALWAYS if one in self.layout.v1)
        v1 = tuple((self._v1(unit, one), limits.get(one, ())) for one in self._made[unit.name])
        own = tuple(line for one in self.layout.v2 for line in limits.get(one, ()))
        return replace(self._at(unit, group), make=((self._of(unit), own), *v1, (group, ())))

    def _place_again(self, unit: Unit, agent: str) -> Place:
        group = self.where(unit, agent)
        try:
            self._make(unit)
            cgroup.make(group)
        except OSError as error:
            raise CannotConfine(f"cannot make its control group {group}: {error.strerror}") from None
        return self._at(unit, group)

    def _settle(self, unit: Unit) -> None:
        """It goes to another slice when nothing of it runs any more: a command beside the main process goes where that is."""
        before, now = self._above.get(unit.name), slices.chain(unit)
        if before is not None and before != now and not self.processes(unit):
            self.clear(unit)
        self._above.setdefault(unit.name, now)

    def _at(self, unit: Unit, group: str) -> Place:
        tasks = tuple(f"{self._v1(unit, one)}/tasks" for one in self._made[unit.name])
        return Place(cgroup=group, tasks=(f"{group}/tasks", *tasks) if self.kind == "v1" else tasks)

    def where(self, unit: Unit, agent: str) -> str:
        return f"{self._of(unit)}/{_leaf(agent)}" if self.layout.tracking else ""

    def _of(self, unit: Unit) -> str:
        return "/".join((self.layout.tracking, *self._way(unit)))

    def _v1(self, unit: Unit, controller: str) -> str:
        return "/".join((self.layout.v1[controller], *self._way(unit)))

    def _way(self, unit: Unit) -> tuple[str, ...]:
        """Its slice may be another by now than that in which it runs."""
        above = self._above.get(unit.name)
        own = unit.name if unit.kind == "slice" else f"{unit.name}.agent"
        return (*(slices.chain(unit) if above is None else above), own)

    def _slices(self, unit: Unit) -> list[Unit]:
        """Those that its group is in, the outermost first; one that does not load limits nothing."""
        names = self._way(unit)[:-1]
        return [self.unit_of(one) or Unit(name=one, kind="slice", unit=UnitSection()) for one in names]

    def _make(self, unit: Unit) -> None:
        for one in self._slices(unit):
            if one.name not in self._made or not os.path.isdir(self._of(one)):
                self._make_one(one)
                if self.kind == "v2":
                    self._let_limit(one)
        self._make_one(unit)

    def _let_limit(self, one: Unit) -> None:
        """What is in a slice can have limits of its own of each kind only if the slice's group says so."""
        why: list[str] = []
        enable(self._of(one), why)
        for words in why:
            _log.warning("%s: %s", one.name, words)

    def _make_one(self, unit: Unit) -> None:
        fresh = files.made(self._of(unit))
        self._made[unit.name] = ()
        for one in self._wanted(unit):
            self._join(unit, one, fresh=fresh)
        for words in self._apply(unit, fresh=fresh):
            _log.warning("%s: %s", unit.name, words)

    def _wanted(self, unit: Unit) -> Iterator[str]:
        sections = [one.resources for one in (unit, *self._slices(unit))]
        set_for = {s.controller for s in self._settings for section in sections if s.is_set(section)}
        return (one for one in self.layout.v1 if one in _ALWAYS or one in set_for)

    def _join(self, unit: Unit, controller: str, *, fresh: bool = False) -> None:
        """Make the unit's group in a hierarchy of v1, and move in what of it runs already: of a fresh one, nothing."""
        group = self.layout.v1[controller]
        for name in self._way(unit):
            group = f"{group}/{name}"
            cgroup.make(group)
            if controller == "cpuset":
                inherit_processors(group)
        self._made[unit.name] = _and(self._made[unit.name], controller)
        for pid in () if fresh else self.processes(unit):
            files.write_softly(f"{group}/cgroup.procs", str(pid))

    # ---------------------------------------------------------------------------------- limits

    def limit(self, unit: Unit) -> tuple[str, ...]:
        """Hold what runs of the unit to what it says by now; returns what could not be set, in words."""
        if unit.name in self._fresh:  # ordered to be made, and perhaps not made yet
            self._fresh.discard(unit.name)
            for path in (self._of(unit), *(self._v1(unit, one) for one in self._made[unit.name])):
                try:
                    cgroup.make(path)
                except OSError as error:
                    return (f"cannot make its control group {path}: {error.strerror}",)
        if not self.layout.tracking or not os.path.isdir(self._of(unit)):
            return ()  # it will be when it starts
        for member in (unit, *self._members(unit)):
            self._made.setdefault(member.name, self._joined(member))
            for one in self._wanted(member):
                if one not in self._made[member.name]:
                    self._join(member, one)
        return tuple(self._apply(unit))

    def throttle(self, unit: Unit, on: bool) -> None:
        """Give what runs of the unit next to no processor time, or what it may have by its own words again."""
        least = replace(unit.resources, cpu_max=_THROTTLED, cpu_weight=_LEAST)
        self.limit(replace(unit, resources=least) if on else unit)

    def _members(self, unit: Unit) -> list[Unit]:
        """The agents in a slice that have groups."""
        names = [name for name, above in self._above.items() if unit.name in above]
        return [one for name in names if (one := self.unit_of(name)) is not None]

    def _joined(self, unit: Unit) -> tuple[str, ...]:
        """What an earlier manager made of it."""
        return _these(one for one in self.layout.v1 if os.path.isdir(self._v1(unit, one)))

    def _apply(self, unit: Unit, *, fresh: bool = False) -> list[str]:
        """Twice where something is refused: of two limits that bound each other only one order is right."""
        todo = [
            setting
            for setting in self._settings
            if (not fresh or setting.is_asked_by(unit)) and self._is_there(unit, setting)
        ]
        for _ in range(2):
            refused = [(setting, why) for setting in todo if (why := self._set(unit, setting))]
            todo = [setting for setting, _ in refused]
        return [why for _, why in refused]

    def _is_there(self, unit: Unit, setting: Setting) -> bool:
        if self.kind == "v2":
            return setting.controller in self.layout.v2
        return setting.controller in self._made[unit.name]

    def _set(self, unit: Unit, setting: Setting) -> str:
        group = self._of(unit) if self.kind == "v2" else self._v1(unit, setting.controller)
        path = f"{group}/{setting.file}"
        option = f"resources.{setting.options[0]}"
        try:
            found = files.read(path) if setting.lifts else ""
            for line in setting.taken_back(unit.resources, found):
                files.write(path, line)
            for line in setting.wanted(unit.resources):
                if line == "" or setting.is_set(unit.resources) or not files.reads(path, line):
                    files.write(path, line)
        except OSError as error:
            if error.errno == errno.ENOENT and not setting.is_set(unit.resources):
                return ""  # this kernel has no such limit, and nobody asked for it
            if error.filename is not None and error.filename != path:
                return f"{option}: {error.filename}: {error.strerror}"
            return f"{option} cannot be set: {os.path.basename(path)}: {error.strerror}"
        return ""

    def unmet(self, unit: Unit) -> tuple[str, ...]:
        """Options of the unit that this host has no means to hold it to."""
        have = set(self.layout.v2) | set(self.layout.v1)
        known = {option for s in self._settings if s.controller in have for option in s.options}
        known |= {"oom_policy"} if "memory" in have else set()  # what v1 does not do, the engine does
        asked = {o for s in (*limits.V1, *limits.V2) if s.is_asked_by(unit) for o in s.options}
        lacking = sorted(f"resources.{option}" for option in asked - known)
        return tuple(option for option in lacking if option in unit.origins)

    # ---------------------------------------------------------------------------------- what is known

    def processes(self, unit: Unit) -> list[int]:
        """Of all its agents."""
        group = self._of(unit)
        return [
            pid
            for inner in files.below(group)
            for pid in map(int, files.read(f"{inner}/cgroup.procs").split())
        ]

    def agent_of(self, groups: bytes) -> str:
        """In whose group a process is, by the text of its /proc/PID/cgroup; empty: in none of ours."""
        for line in groups.decode(errors="replace").splitlines() if self._top else ():
            path = line.split(":", 2)[-1]
            if not path.startswith(self._top):
                continue
            names = path[len(self._top) :].split("/")
            for unit, leaf in itertools.pairwise(names):
                if unit.endswith(".agent"):
                    return _agent(unit.removesuffix(".agent"), leaf)
        return ""

    def cpu_of(self, unit: Unit, agent: str) -> float | None:
        """Seconds that one agent has used, whatever of it has ended; only a tree of v2 counts for each."""
        usec = files.pairs(files.read(f"{self.where(unit, agent)}/cpu.stat")).get("usage_usec")
        return None if usec is None else usec / 1e6

    def file_of(self, unit: Unit, controller: str, v2: str, v1: str) -> str:
        """A file of its group by the name that it has in either version; empty where this host has no such controller."""
        if self.kind == "v2":
            return f"{self._of(unit)}/{v2}" if controller in self.layout.v2 else ""
        return f"{self._v1(unit, controller)}/{v1}" if controller in self.layout.v1 else ""

    def gauged(self, unit: Unit) -> tuple[str, str, str, str]:
        """The files that say what it uses of memory, tasks, processor and devices; empty for those that this host has not."""
        if not self.layout.tracking:
            return "", "", "", ""
        memory = self.file_of(unit, "memory", "memory.current", "memory.usage_in_bytes")
        tasks = self.file_of(unit, "pids", "pids.current", "pids.current")
        if self.kind == "v1":
            return memory, tasks, "", ""
        return memory, tasks, f"{self._of(unit)}/cpu.stat", f"{self._of(unit)}/io.stat"

    def largest(self, unit: Unit) -> Process | None:
        """Of those that live: one that was killed may be gone."""
        found = [
            one for pid in self.processes(unit)[:_MOST_LOOKED_AT] if (one := files.process(pid)) is not None
        ]
        return max(found, key=lambda one: one.memory, default=None)

    def usage(self, unit: Unit) -> Usage | None:
        if not self.layout.tracking or not os.path.isdir(self._of(unit)):
            return None
        v1 = {one: self._v1(unit, one) for one in ("memory", "pids", "cpu") if one in self.layout.v1}
        return used(self._of(unit), v1, self.processes(unit)[:_MOST_ASKED])

    # ---------------------------------------------------------------------------------- the end

    def clear(self, unit: Unit) -> None:
        """Remove the groups of a unit of which nothing runs, and of slices that are empty then; one that somebody is in stays."""
        self._made.pop(unit.name, None)
        self._fresh.discard(unit.name)
        way = self._way(unit)
        for base in self.layout.bases:
            prune(os.path.join(base, *way))
            for count in range(len(way) - 1, 0, -1):
                files.remove(os.path.join(base, *way[:count]))
        if not os.path.isdir(self._of(unit)):
            self._above.pop(unit.name, None)

    def close(self) -> None:
        """Remove what is empty of all groups of ours."""
        for base in self.layout.bases:
            prune(base)
            if not os.path.exists(base):
                files.remove(os.path.dirname(base))


def sweep(host: Host, root: str) -> None:
    """Remove what is empty of all groups that an installation ever made, whoever runs it."""
    for base in directories(host, root):
        prune(base)


def prune(group: str) -> None:
    """Remove a group and those below it, as far as nobody is in them."""
    for inner in files.below(group):
        prune(inner)
    files.remove(group)


def _these(controllers: Iterable[str]) -> tuple[str, ...]:
    """In order, and one object for all units that have the same."""
    return _shared(tuple(sorted(controllers)))


@cache
def _shared(controllers: tuple[str, ...]) -> tuple[str, ...]:
    return controllers


@cache
def _and(controllers: tuple[str, ...], another: str) -> tuple[str, ...]:
    return _these({*controllers, another})


def _found(directory: str, above: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Units that an earlier manager made groups of, and where."""
    for path in files.below(directory):
        name = os.path.basename(path)
        if name.endswith(".agent"):
            yield name.removesuffix(".agent"), above
        elif name.endswith(slices.SUFFIX):
            yield from _found(path, (*above, name))


def _leaf(agent: str) -> str:
    """The name of an agent's group: what its id says beside the unit's name."""
    probe = _PROBE if agent.startswith(_PROBE) else ""
    return probe + agent.removeprefix(_PROBE).rpartition("#")[2].replace("/", ",")


def _agent(unit: str, leaf: str) -> str:
    probe = _PROBE if leaf.startswith(_PROBE) else ""
    return f"{probe}{unit}#{leaf.removeprefix(_PROBE).replace(',', '/')}"


def _in_proc(group: str, at: str, root: str) -> str:
    """A group's path as /proc/PID/cgroup has it, with a slash behind it."""
    inside = os.path.relpath(group, at)
    return os.path.join(root, inside) + "/"
