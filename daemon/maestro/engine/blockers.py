"""What holds a start or a stop back. Asked anew whenever a neighbour changes: so a dependant starts when what it waited for recovers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, islice

from msgspec import Struct
from msgspec.structs import replace

from maestro.engine.graph import Graph
from maestro.engine.relations import Atom
from maestro.engine.state import ALIVE, COMING_UP, GOING_DOWN, UP, Goal, Life, State
from maestro.model.order import READY, STARTED, Phase

NEVER_SEEN = Life()
NAMED = 3  # of those that hold a start back, in words
LISTED = 16  # of them, in `blocked_by`


class Blocker(Struct, frozen=True):
    """One unit that holds a start back."""

    unit: str
    why: str
    hopeless: bool = False  # it has failed, or nobody asked for it: waiting may take for ever
    phase: Phase = READY  # how far it has to be

    def __str__(self) -> str:
        """`db, which is still starting`, `db to be started`."""
        if self.phase == READY:
            return f"{self.unit}, which {self.why}"
        return f"{self.unit} to be {self.phase}" + (f", but it {self.why}" if self.why else "")


class Hold:
    """What holds the start of one unit back. Looks at one neighbour at a time, so that a thousand of them cost each its own change."""

    __slots__ = (
        "_after",
        "_apart",
        "_bound",
        "_known",
        "_lives",
        "_required",
        "_slice",
        "_waiting",
        "hopeless",
    )

    def __init__(
        self, name: str, graph: Graph, lives: Mapping[str, Life], known: Mapping[str, object]
    ) -> None:
        self._lives, self._known = lives, known
        self._slice = graph.slice_of.get(name, "")
        self._required = frozenset(graph.of(name, Atom.NEED))
        self._after = graph.awaited(name)
        self._bound = frozenset(graph.of(name, Atom.BOUND))
        self._apart = dict.fromkeys(graph.of(name, Atom.APART), "must not run beside it")
        self._apart |= {other: f"holds {what}" for other, what in graph.rivals(name).items()}
        self.hopeless: dict[str, Blocker] = {}
        self._waiting: dict[str, Blocker] = {}
        for other in dict.fromkeys((*self._after, *graph.successors.get(name, ()), *self._apart)):
            self.look(other)

    def __len__(self) -> int:
        return len(self.hopeless) + len(self._waiting)

    def look(self, other: str) -> None:
        """Take in that a neighbour has changed."""
        blocker = self._ask(other)
        for kind in (self.hopeless, self._waiting):
            if blocker is not None and blocker.hopeless == (kind is self.hopeless):
                kind[other] = blocker
            else:
                kind.pop(other, None)

    def _ask(self, other: str) -> Blocker | None:
        life = self._lives.get(other, NEVER_SEEN)
        if other in self._apart and life.state in ALIVE:
            return Blocker(other, self._apart[other])
        if other in self._bound and life.state is State.DEAD:  # having ended well is not enough
            return Blocker(
                other, f"was left out: {life.cause}" if life.skipped else "is not running", hopeless=True
            )
        if other == self._slice and life.state is State.FROZEN:
            return Blocker(other, "is frozen")
        if other in self._after:
            required, phase = other in self._required, self._after[other]
            return _before(other, life, required, phase) if other in self._known else None
        # A stop goes before a start, whichever way the order runs.
        return Blocker(other, "is still stopping") if life.must_come_down else None

    def first(self, count: int) -> list[Blocker]:
        """Some of them, the hopeless ones first, for they are the news."""
        return list(islice(chain(self.hopeless.values(), self._waiting.values()), count))


# The states in which a unit has come as far as a phase.
_THERE: dict[Phase, frozenset[State]] = {
    READY: UP,
    STARTED: UP | {State.STARTING, State.NEXT, State.START_POST},
}
_COMING: dict[Phase, str] = {READY: "is still starting", STARTED: ""}


def _before(name: str, life: Life, required: bool, phase: Phase) -> Blocker | None:
    if life.must_come_down:
        found: Blocker | None = Blocker(name, "is still stopping")
    elif required:
        found = None if _is_satisfied(life, phase) else _unsatisfied(name, life, phase)
    else:
        found = Blocker(name, _COMING[phase]) if _is_on_its_way(life, phase) else None
    return replace(found, phase=phase) if found is not None else None


def _is_there(life: Life, phase: Phase) -> bool:
    """Whether it has come as far as that. Of several commands the first counts: the unit is started while the next one begins."""
    is_next = life.state is State.SPAWNING and life.line > 0
    return life.state in _THERE[phase] or (is_next and phase == STARTED)


def _is_satisfied(life: Life, phase: Phase) -> bool:
    """Whether those that require this unit may start."""
    return _is_there(life, phase) or (life.state is State.DEAD and life.completed)


def is_up(life: Life, phase: Phase = READY) -> bool:
    """Whether those that are bound to this unit may run: unlike who requires it, they do not without it."""
    return _is_there(life, phase) and not life.must_come_down


def _is_on_its_way(life: Life, phase: Phase) -> bool:
    """Whether the first outcome of a start is still open; after a failed attempt it no longer is."""
    if life.state is State.WAITING:
        return not life.hopeless
    return life.goal is Goal.UP and life.state in COMING_UP and not _is_there(life, phase)


def _unsatisfied(name: str, life: Life, phase: Phase) -> Blocker:
    if life.state in COMING_UP:
        return Blocker(name, _COMING[phase])
    if life.state in GOING_DOWN:
        return Blocker(name, f"is going down: {life.cause}")
    if life.state is State.WAITING:
        return Blocker(name, f"waits too: {life.cause}" if life.hopeless else "waits too", life.hopeless)
    if life.state is State.DEAD:
        return Blocker(name, "is not running", hopeless=True)
    what = {
        State.FAILED: "has failed",
        State.COOLDOWN: "gave up for a while",
        State.BACKOFF: "is being restarted",
    }[life.state]
    return Blocker(name, f"{what}: {life.cause}", hopeless=True)


def is_held_up(name: str, graph: Graph, lives: Mapping[str, Life]) -> bool:
    """Whether something must be down before this unit is stopped: what was started after it, if that is to stop as well."""
    return any(lives.get(other, NEVER_SEEN).must_come_down for other in graph.successors.get(name, ()))


def face(life: Life) -> tuple[object, ...]:
    """All of a life that its neighbours go by: while this stays the same, none of them has to be asked anew."""
    said = life.cause if life.hopeless or life.state in _TELL_WHY else ""
    return life.state, life.goal, life.bounce, life.completed, life.hopeless, said


_TELL_WHY = GOING_DOWN | {State.FAILED, State.COOLDOWN, State.BACKOFF}


def tell(hold: Hold) -> str:
    """`waits for db, which has failed: ended with exit status 1`."""
    said = [str(blocker) for blocker in hold.first(NAMED)]
    if len(hold) > NAMED:
        said.append(f"{len(hold) - NAMED} more")
    return "waits for " + "; and for ".join(said)


def is_news(before: Life, now: Life, count: int) -> bool:
    """Whether what a unit waits for is worth an event: not that one of a thousand is there."""
    if not before.blocked_by or before.hopeless or now.hopeless:
        return before.cause != now.cause
    return before.cause != now.cause and count <= NAMED
