"""What holds a start or a stop back. Asked anew whenever a neighbour changes: so a dependant starts when what it waited for recovers."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from maestro.engine.graph import Graph
from maestro.engine.state import Goal, Life, State

NEVER_SEEN = Life()


class Blocker(Struct, frozen=True):
    """One unit that holds a start back."""

    unit: str
    why: str
    hopeless: bool = False  # it has failed, or nobody asked for it: waiting may take for ever


def of_start(
    name: str, graph: Graph, lives: Mapping[str, Life], known: Mapping[str, object]
) -> list[Blocker]:
    """Those that keep this unit from starting now."""
    found = []
    required = set(graph.requires.get(name, ()))
    for other in graph.predecessors.get(name, ()):
        if other in known:
            blocker = _before(other, lives.get(other, NEVER_SEEN), other in required)
            if blocker:
                found.append(blocker)
    for other in graph.successors.get(name, ()):
        if lives.get(
            other, NEVER_SEEN
        ).must_come_down:  # a stop goes before a start, whichever way the order runs
            found.append(Blocker(other, "is still stopping"))
    return found


def _before(name: str, life: Life, required: bool) -> Blocker | None:
    if life.must_come_down:
        return Blocker(name, "is still stopping")
    if required:
        return None if is_satisfied(life) else _unsatisfied(name, life)
    return Blocker(name, "is still starting") if is_on_its_way(life) else None


def is_satisfied(life: Life) -> bool:
    """Whether those that require this unit may start."""
    return life.state is State.RUNNING or (life.state is State.DEAD and life.completed)


def is_on_its_way(life: Life) -> bool:
    """Whether the first outcome of a start is still open; after a failed attempt it no longer is."""
    if life.state is State.WAITING:
        return not life.hopeless
    return life.goal is Goal.UP and life.state in (State.SPAWNING, State.STARTING)


def _unsatisfied(name: str, life: Life) -> Blocker:
    if life.state in (State.SPAWNING, State.STARTING):
        return Blocker(name, "is still starting")
    if life.state is State.STOPPING:
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


def of_stop(name: str, graph: Graph, lives: Mapping[str, Life]) -> list[str]:
    """Those that must be down before this unit is stopped: what was started after it, if that is to stop as well."""
    return [other for other in graph.successors.get(name, ()) if lives.get(other, NEVER_SEEN).must_come_down]


def tell(blockers: list[Blocker]) -> str:
    """`waits for db, which has failed: ended with exit status 1`; the hopeless ones first, for they are the news."""
    ordered = sorted(blockers, key=lambda blocker: not blocker.hopeless)
    said = [f"{blocker.unit}, which {blocker.why}" for blocker in ordered[:3]]
    if len(ordered) > 3:
        said.append(f"{len(ordered) - 3} more")
    return "waits for " + "; and for ".join(said)
