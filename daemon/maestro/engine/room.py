"""What is left on the host and in its slices for what is to start, and the line of those that wait for it.

The figures come as facts. Until the next ones, what was started since is taken off, so that of two starts in one moment the second
finds what the first has left. Nothing here looks at the world: `admission` does.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from math import inf

from msgspec import Struct

from maestro.engine.events import Measured
from maestro.model import slices
from maestro.model.amounts import Amount
from maestro.model.unit import LimitsSection, ResourcesSection, Unit

FRESH = 0.5  # seconds for which facts are good
AGAIN = 1.0  # after which they are looked at again while somebody waits
SOON = 0.05  # the same, when something has ended for which others wait
_SPARE = 64 << 20  # bytes of the host that are never given to a start, or more on a large one
_SPARE_SHARE = 0.02

Key = tuple[str, str]  # what is asked for ("memory", "tasks"), and of which slice; of none: of the host
Rank = tuple[int, float, str]  # the first comes first: priority, since when it waits, name
PRESSURE: Key = ("pressure", "")  # what everybody needs: that the host is not short of memory


class Wait(Struct, frozen=True, kw_only=True):
    """One that is in line."""

    rank: Rank
    needs: frozenset[Key] = frozenset()  # what it waits for; none: others need not wait behind it
    words: str = ""  # empty: nobody knows yet whether it has to
    behind: str = ""  # who comes before it
    never: bool = False  # nothing that ends would let it start
    said: float = 0.0  # when the words were right


class Room:
    """The facts, what is left by them, and the line."""

    def __init__(self) -> None:
        self.is_measured = False  # somebody outside answers `Step.measure`; else nothing is held back
        self.is_held = False  # all agents stand still, at an operator's word
        self.facts = Measured()
        self.at = -inf  # when they were taken
        self.left: dict[Key, int] = {}
        self._most: dict[Key, int] = {}  # what slices have in all
        self.kept: dict[
            str, dict[Key, int]
        ] = {}  # by units that are about to be restarted: what they take of `left`
        self.asking: dict[str, Unit] = {}  # agents that reserve memory
        self.limited: dict[str, Unit] = {}  # slices that limit memory or tasks
        self.line: dict[str, Wait] = {}
        self.due: float | None = None  # when facts are wanted
        self.pressed_at = -inf  # when the host was last found short of memory
        self.froze_at = -inf
        self.thawed_at = -inf
        self.low_at: float | None = (
            None  # when it was last found to have little, while somebody stood still for that
        )
        self.frozen: set[str] = set()  # units that stand still for want of memory
        self._queues: dict[Key, list[Rank]] = {}

    # ---------------------------------------------------------------------------------- units

    def put(self, unit: Unit) -> None:
        self.remove(unit.name)
        section = unit.resources
        if isinstance(section, ResourcesSection) and (section.memory_min or section.memory_low):
            self.asking[unit.name] = unit
        if unit.kind == "slice" and (section.memory_max or section.tasks_max):
            self.limited[unit.name] = unit

    def remove(self, name: str) -> None:
        self.at = -inf  # what is in force has changed
        self.unkeep(name)
        self.asking.pop(name, None)
        self.limited.pop(name, None)

    def forget(self, name: str) -> None:
        """It is no unit any more: who is behind it is not to wait for it."""
        self.remove(name)
        self.leave(name)
        self.frozen.discard(name)

    def wants(self, unit: Unit) -> dict[Key, int]:
        """What a start takes of what."""
        asks = self.asks(unit)
        found: dict[Key, int] = {("memory", ""): asks} if asks else {}
        for name in slices.chain(unit) if self.limited else ():
            section = self.limited[name].resources if name in self.limited else LimitsSection()
            if asks and section.memory_max is not None:
                found["memory", name] = asks
            if section.tasks_max is not None:
                found["tasks", name] = 1
        return found

    def asks(self, unit: Unit) -> int:
        """Bytes that a unit reserves: no more than it may use."""
        if unit.name not in self.asking:
            return 0
        section = unit.resources
        amounts = (
            _number(section.memory_min, self.facts.total),
            _number(section.memory_low, self.facts.total),
        )
        most = section.memory_max.of(self.facts.total) if section.memory_max is not None else None
        return max(amounts) if most is None else min(max(amounts), most)

    def knows(self, unit: Unit, now: float) -> bool:
        """Whether the facts are good for a start of it."""
        limited = [name for name in slices.chain(unit) if name in self.limited]
        return now - self.at <= FRESH and all(name in self.facts.slices for name in limited)

    # ---------------------------------------------------------------------------------- what is left

    def take(
        self, facts: Measured, now: float, running: Mapping[str, Unit], paused: Iterable[Unit] = ()
    ) -> None:
        """Count anew. `running` are the agents that run and reserve memory, by agent id; `paused` those that are about to again."""
        self.facts, self.at, self.due = facts, now, None
        self._most = self._limits()
        self.left = dict(self._most)
        if facts.available >= 0:
            self.left["memory", ""] = facts.available - spare(facts.total)
        for name, filling in facts.slices.items():
            self._take_off(("memory", name), filling.memory)
            self._take_off(("tasks", name), filling.tasks)
        for agent, unit in running.items():
            unused = max(0, self.asks(unit) - facts.used.get(agent, 0))
            for name in ("", *slices.chain(unit)):
                self._take_off(("memory", name), unused)
        self.kept = {unit.name: self.wants(unit) for unit in paused}
        for wants in self.kept.values():
            self.give(wants)

    def unkeep(self, name: str) -> None:
        """The pause is over: from now on it is in line, or starts."""
        for key, amount in self.kept.pop(name, {}).items():
            if key in self.left:
                self.left[key] += amount

    def lacks(self, key: Key, amount: int, above: Iterable[str]) -> bool:
        """Whether there is less than that, also with what those keep that come after."""
        left = self.left.get(key, amount)
        return left + sum(self.kept[name].get(key, 0) for name in above) < amount

    def _limits(self) -> dict[Key, int]:
        found: dict[Key, int] = {}
        for name, filling in self.facts.slices.items():
            section = self.limited[name].resources if name in self.limited else LimitsSection()
            for kind, amount, total, used in (
                ("memory", section.memory_max, self.facts.total, filling.memory),
                ("tasks", section.tasks_max, self.facts.tasks, filling.tasks),
            ):
                most = amount.of(total) if amount is not None else None
                if most is not None and used >= 0:
                    found[kind, name] = most
        return found

    def most(self, key: Key) -> int | None:
        """All that there ever can be of something; None: no limit is known."""
        kind, name = key
        if not name:
            return self.facts.total - spare(self.facts.total) if self.facts.total else None
        return self._most.get((kind, name))

    def give(self, wants: Mapping[Key, int]) -> None:
        """It starts."""
        for key, amount in wants.items():
            self._take_off(key, amount)

    def _take_off(self, key: Key, amount: int) -> None:
        if key in self.left and amount > 0:
            self.left[key] -= amount

    # ---------------------------------------------------------------------------------- the line

    def ahead(self, key: Key, rank: Rank) -> str:
        """Who comes first of those that wait for that, if it is another; else nothing."""
        queue = self._queues.get(key)
        return queue[0][2] if queue and queue[0] < rank else ""

    def stand(self, name: str, wait: Wait) -> None:
        self.leave(name)
        self.line[name] = wait
        for key in wait.needs:
            insort(self._queues.setdefault(key, []), wait.rank)

    def leave(self, name: str) -> set[str]:
        """Returns those who are first now, where it was in line."""
        wait = self.line.pop(name, None)
        if wait is None:
            return set()
        first = set()
        for key in wait.needs:
            queue = self._queues[key]
            del queue[bisect_left(queue, wait.rank)]
            if queue:
                first.add(queue[0][2])
            else:
                del self._queues[key]
        return first

    def wake(self, at: float) -> None:
        """Have facts wanted then, or before."""
        self.due = at if self.due is None else min(self.due, at)


def priority(unit: Unit | None) -> int:
    """That of what has none is the usual one."""
    section = unit.resources if unit is not None else None
    return section.priority if isinstance(section, ResourcesSection) else 0


def spare(total: int) -> int:
    """Bytes that no start is given."""
    return max(_SPARE, int(total * _SPARE_SHARE))


def low(total: int) -> int:
    """With fewer bytes than that available, a host on which work stands still for memory is short of it."""
    return 2 * spare(total)


def _number(amount: Amount | None, total: int) -> int:
    """Who is to be protected without limit names no amount."""
    return (amount.of(total) or 0) if amount is not None else 0
