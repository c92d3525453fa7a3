"""What a verb would do: the jobs for all units that it touches, or the reason why it cannot be done.

As systemd's transaction: pull in, drop what cannot matter or changes nothing, refuse what contradicts itself. One
thing is different on purpose: a cycle of the order is never broken by leaving a job out, it is refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from itertools import pairwise

from msgspec import Struct

from maestro.engine.graph import Edge, Graph, tell_cycle
from maestro.engine.relations import Atom
from maestro.engine.step import Refusal


class Kind(StrEnum):
    """What a job does to its unit."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    RELOAD = "reload"
    RELOAD_OR_START = "reload-or-start"
    VERIFY = "verify-active"


class Mode(StrEnum):
    """How a request may treat what is already under way, and the units that it was not asked for."""

    REPLACE = "replace"  # pending jobs that contradict it are canceled
    FAIL = "fail"  # rather than that, it is refused
    ISOLATE = "isolate"  # all that is not needed is stopped
    IGNORE_DEPENDENCIES = "ignore-dependencies"  # nothing else is touched or waited for


class Activity(StrEnum):
    """All that a plan goes by of a unit's life."""

    DOWN = "down"
    COMING_UP = "coming up"
    UP = "up"
    GOING_DOWN = "going down"


class Scope(Struct, frozen=True):
    """What a plan is made from."""

    graph: Graph
    trouble: Callable[[str], Refusal | None]  # why a unit cannot be started at all
    activity: Callable[[str], Activity]
    pending: Callable[[str], str]  # verb of the job that a unit has, or ""
    can_reload: Callable[[str], bool]
    lenient: bool = False  # a job that will find its unit down is part of the plan, as in systemd


class Planned(Struct, frozen=True, kw_only=True):
    """One job of a plan."""

    unit: str
    kind: Kind
    asked: bool = False  # by name
    why: str = ""  # `a requires b`: the first link that pulled it in


class Plan(Struct, frozen=True):
    """What a request comes to."""

    jobs: tuple[Planned, ...] = ()
    left_out: dict[str, Refusal] = {}  # units that were only wished for and cannot be started


class Unplannable(Exception):
    """A request for `anchor` that cannot be carried out."""

    def __init__(self, anchor: str, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.anchor, self.refusal = anchor, refusal


# Two jobs for one unit, as one; a pair that is not here contradicts itself.
MERGED: dict[frozenset[Kind], Kind] = {
    frozenset({Kind.START, Kind.VERIFY}): Kind.START,
    frozenset({Kind.START, Kind.RELOAD}): Kind.RELOAD_OR_START,
    frozenset({Kind.START, Kind.RESTART}): Kind.RESTART,
    frozenset({Kind.START, Kind.RELOAD_OR_START}): Kind.RELOAD_OR_START,
    frozenset({Kind.VERIFY, Kind.RELOAD}): Kind.RELOAD,
    frozenset({Kind.VERIFY, Kind.RESTART}): Kind.RESTART,
    frozenset({Kind.VERIFY, Kind.RELOAD_OR_START}): Kind.RELOAD_OR_START,
    frozenset({Kind.RELOAD, Kind.RESTART}): Kind.RESTART,
    frozenset({Kind.RELOAD, Kind.RELOAD_OR_START}): Kind.RELOAD_OR_START,
    frozenset({Kind.RESTART, Kind.RELOAD_OR_START}): Kind.RESTART,
}

# What a job asks of the units that its own is related to: (atom, kind there, whether it fails without)
_PULLS: dict[Kind, tuple[tuple[Atom, Kind, bool], ...]] = {
    Kind.START: (
        (Atom.START, Kind.START, True),
        (Atom.TRY_START, Kind.START, False),
        (Atom.VERIFY, Kind.VERIFY, True),
        (Atom.STOP, Kind.STOP, True),
        (Atom.TRY_STOP, Kind.STOP, False),
    ),
    Kind.STOP: ((Atom.PASS_STOP, Kind.STOP, True),),
    Kind.RELOAD: ((Atom.PASS_RELOAD, Kind.RELOAD, True),),
}
_PULLS[Kind.RESTART] = (*_PULLS[Kind.START], (Atom.PASS_RESTART, Kind.RESTART, True))


class _Node:
    __slots__ = ("asked", "by", "kind", "matters", "pulls", "refusal", "unit")

    def __init__(self, unit: str, kind: Kind) -> None:
        self.unit, self.kind = unit, kind
        self.asked = self.matters = False
        self.by: dict[_Node, _Link] = {}
        self.pulls: list[_Node] = []
        self.refusal: Refusal | None = None  # why this job cannot be


class _Link(Struct, frozen=True):
    atom: Atom
    matters: bool


class Planner:
    """Makes one plan. `requests` are the jobs asked for by name."""

    def __init__(self, scope: Scope, mode: Mode = Mode.REPLACE) -> None:
        self._scope, self._mode = scope, mode
        self._nodes: dict[str, dict[Kind, _Node]] = {}
        self._left_out: dict[str, Refusal] = {}

    def make(self, requests: Iterable[tuple[str, Kind]]) -> Plan:
        """Raises Unplannable for the first request that cannot be carried out."""
        self._expand(requests)
        self._drop_the_impossible()
        self._find_what_matters()
        if self._mode is Mode.FAIL:
            self._spare_what_runs()
        self._drop_redundant()
        self._collect()
        while cycle := self._cycle():
            self._leave_out_of(cycle)
        while clash := self._clash():
            self._give_up_one(*clash)
            self._collect()
        self._verify()
        merged = {unit: self._merged(kinds) for unit, kinds in self._nodes.items()}
        if self._mode is Mode.FAIL:
            self._check_pending(merged)
        jobs = (self._planned(unit, kind) for unit, kind in merged.items() if not self._is_idle(unit, kind))
        return Plan(tuple(jobs), self._left_out)

    def _all(self) -> Iterator[_Node]:
        for kinds in self._nodes.values():
            yield from kinds.values()

    # ---------------------------------------------------------------------------------- pulling in

    def _expand(self, requests: Iterable[tuple[str, Kind]]) -> None:
        todo: deque[_Node] = deque()
        for unit, kind in requests:
            node = self._node(unit, kind, todo)
            node.asked = True
        while todo:
            node = todo.popleft()
            node.refusal = self._scope.trouble(node.unit) if node.kind is not Kind.STOP else None
            if node.refusal is None and self._mode is not Mode.IGNORE_DEPENDENCIES:
                self._pull(node, todo)

    def _node(self, unit: str, kind: Kind, todo: deque[_Node]) -> _Node:
        kinds = self._nodes.setdefault(unit, {})
        if kind not in kinds:
            kinds[kind] = _Node(unit, kind)
            todo.append(kinds[kind])
        return kinds[kind]

    def _pull(self, node: _Node, todo: deque[_Node]) -> None:
        for atom, kind, matters in _PULLS.get(node.kind, ()):
            for other in self._scope.graph.of(node.unit, atom):
                if self._applies(other, atom):
                    pulled = self._node(other, kind, todo)
                    pulled.by.setdefault(node, _Link(atom, matters))
                    node.pulls.append(pulled)

    def _applies(self, other: str, atom: Atom) -> bool:
        """A restart or a reload is passed on only to what runs, and can."""
        down = self._scope.activity(other) in (Activity.DOWN, Activity.GOING_DOWN)
        if atom is Atom.PASS_RESTART:
            return not down
        return atom is not Atom.PASS_RELOAD or (not down and self._scope.can_reload(other))

    # ---------------------------------------------------------------------------------- leaving out

    def _drop_the_impossible(self) -> None:
        for node in [node for node in self._all() if node.refusal is not None]:
            self._delete(node, node.refusal)
        self._collect()

    def _delete(self, node: _Node, why: Refusal | None) -> None:
        """Take a job out, with all that cannot be without it. Raises Unplannable where that was asked for."""
        todo = [node]
        while todo:
            one = todo.pop()
            if self._nodes.get(one.unit, {}).get(one.kind) is not one:
                continue
            if one.asked and why is not None:
                raise Unplannable(one.unit, self._explain(one, node, why))
            if why is not None and one.refusal is None:
                self._left_out.setdefault(one.unit, self._explain(one, node, why))
            del self._nodes[one.unit][one.kind]
            if not self._nodes[one.unit]:
                del self._nodes[one.unit]
            for pulled in one.pulls:
                pulled.by.pop(one, None)
            todo.extend(by for by, link in one.by.items() if link.matters)

    def _explain(self, asked: _Node, culprit: _Node, why: Refusal) -> Refusal:
        if asked is culprit:
            return why
        way = self._way(culprit)
        way = way[way.index(asked) :] if asked in way else way
        words = f"cannot {asked.kind.value} {asked.unit}: {self._told(way)}; {why.words}"
        return Refusal(why.code, words, why.hint)

    def _collect(self) -> None:
        """Drop what nobody asks for any more."""
        if self._mode is Mode.ISOLATE:
            return
        kept: set[_Node] = set()
        todo = [node for node in self._all() if node.asked]
        while todo:
            node = todo.pop()
            if node not in kept and self._nodes.get(node.unit, {}).get(node.kind) is node:
                kept.add(node)
                todo.extend(node.pulls)
        for node in [node for node in self._all() if node not in kept]:
            self._delete(node, None)

    def _find_what_matters(self) -> None:
        todo = [node for node in self._all() if node.asked]
        while todo:
            node = todo.pop()
            if not node.matters:
                node.matters = True
                todo.extend(one for one in node.pulls if node in one.by and one.by[node].matters)

    def _spare_what_runs(self) -> None:
        """Mode `fail`: what is only wished for stops nothing that runs, and cancels no job."""
        for node in [node for node in self._all() if not node.matters]:
            stops = node.kind is Kind.STOP and self._scope.activity(node.unit) is not Activity.DOWN
            if stops or self._contradicts_pending(node.unit, node.kind):
                self._delete(node, None)

    def _drop_redundant(self) -> None:
        for unit, kinds in list(self._nodes.items()):
            if not any(node.asked for node in kinds.values()) and all(self._is_idle(unit, k) for k in kinds):
                del self._nodes[unit]

    def _is_idle(self, unit: str, kind: Kind) -> bool:
        """Whether such a job would change nothing."""
        now = self._scope.activity(unit)
        if any(node.asked for node in self._nodes.get(unit, {}).values()):
            return False
        if self._contradicts_pending(unit, kind):
            return False
        if kind is Kind.STOP:
            return now is Activity.DOWN
        return kind in (Kind.START, Kind.VERIFY) and now is Activity.UP

    # ---------------------------------------------------------------------------------- contradictions

    def _clash(self) -> tuple[_Node, _Node] | None:
        """Two jobs for one unit that cannot be one: only a stop contradicts. First those of which one matters: it may settle others."""
        clashes = [
            (kinds[Kind.STOP], next(node for kind, node in kinds.items() if kind is not Kind.STOP))
            for kinds in self._nodes.values()
            if len(kinds) > 1 and Kind.STOP in kinds
        ]
        return min(clashes, key=self._weight, default=None)

    def _weight(self, clash: tuple[_Node, _Node]) -> tuple[bool, int]:
        stop, other = clash
        return not (stop.matters or other.matters), len(self._way(stop))

    def _give_up_one(self, stop: _Node, other: _Node) -> None:
        """Of two that contradict each other, the one goes that nobody insists on."""
        if stop.matters and other.matters:
            words = (
                f"the request contradicts itself: {stop.unit} would be stopped ({self._chain(stop)}) "
                f"and be {_DONE[other.kind]} ({self._chain(other)})"
            )
            raise Unplannable(self._anchor(other), Refusal("conflict", words, "ask for one of the two"))
        if stop.matters != other.matters:
            self._delete(other if stop.matters else stop, None)
            return
        conflicted = any(link.atom is Atom.STOP for link in stop.by.values())
        self._delete(other if conflicted else stop, None)

    def _verify(self) -> None:
        """A start that needs another unit up is refused at once, where systemd's job for it would fail later."""
        for unit, kinds in list(self._nodes.items()):
            down = self._scope.activity(unit) in (Activity.DOWN, Activity.GOING_DOWN)
            if down and set(kinds) == {Kind.VERIFY} and not self._scope.lenient:
                refusal = Refusal("requisite", f"{unit} is not up", f"maestroctl start {unit}")
                self._delete(kinds[Kind.VERIFY], refusal)
        self._collect()

    def _merged(self, kinds: dict[Kind, _Node]) -> Kind:
        found = iter(kinds)
        merged = next(found)
        for kind in found:
            merged = MERGED[frozenset({merged, kind})]
        return merged

    def _contradicts_pending(self, unit: str, kind: Kind) -> bool:
        pending = self._scope.pending(unit)
        return bool(pending) and (pending == Kind.STOP) != (kind is Kind.STOP)

    def _check_pending(self, merged: dict[str, Kind]) -> None:
        for unit, kind in merged.items():
            if self._contradicts_pending(unit, kind):
                pending = self._scope.pending(unit)
                words = f"a {pending} of {unit} is under way, which a {kind.value} would cancel"
                hint = f"wait, or cancel it: maestroctl cancel {unit}"
                node = next(iter(self._nodes[unit].values()))
                raise Unplannable(self._anchor(node), Refusal("job-pending", words, hint))

    # ---------------------------------------------------------------------------------- order

    def _cycle(self) -> list[Edge]:
        if self._mode is Mode.IGNORE_DEPENDENCIES:
            return []
        coming = [unit for unit, kinds in self._nodes.items() if kinds.keys() - {Kind.STOP}]
        return self._scope.graph.cycle(coming)

    def _leave_out_of(self, cycle: list[Edge]) -> None:
        """Those of a cycle that are only wished for are left out, and it is told; where there is none, it is refused."""
        words = f"the order runs in a circle: {tell_cycle(cycle)}"
        hint = "take one of these lines out"
        members = [self._nodes[edge.first] for edge in cycle]
        wished = [kinds for kinds in members if not any(node.matters for node in kinds.values())]
        if not wished:
            asked = self._anchor(next(iter(members[0].values())))
            raise Unplannable(asked, Refusal("cycle", f"cannot start {asked}: {words}", hint))
        for node in [node for kinds in wished for node in kinds.values()]:
            self._delete(node, Refusal("cycle", words, hint))
        self._collect()

    # ---------------------------------------------------------------------------------- words

    def _way(self, node: _Node) -> list[_Node]:
        """From a request to this job, by the first link of each."""
        way, seen = [node], {node}
        while not way[0].asked and (before := next((b for b in way[0].by if b not in seen), None)):
            way.insert(0, before)
            seen.add(before)
        return way

    def _anchor(self, node: _Node) -> str:
        return self._way(node)[0].unit

    def _chain(self, node: _Node) -> str:
        return self._told(self._way(node))

    def _told(self, way: list[_Node]) -> str:
        if len(way) == 1:
            return "asked for"
        return ", ".join(self._why(second, first) for first, second in pairwise(way))

    def _why(self, node: _Node, by: _Node) -> str:
        return self._scope.graph.tell(by.unit, node.by[by].atom, node.unit)

    def _planned(self, unit: str, kind: Kind) -> Planned:
        nodes = self._nodes[unit].values()
        asked = any(node.asked for node in nodes)
        pulled = next((node for node in nodes if node.by), None)
        why = "" if asked or pulled is None else self._why(pulled, next(iter(pulled.by)))
        return Planned(unit=unit, kind=kind, asked=asked, why=why)


_DONE = {
    Kind.START: "started",
    Kind.RESTART: "restarted",
    Kind.RELOAD: "reloaded",
    Kind.RELOAD_OR_START: "started",
    Kind.VERIFY: "needed up",
}
