"""What happened, said to a person."""

from __future__ import annotations

from errno import errorcode
from functools import cache
from math import isinf
from signal import Signals

from maestro.engine.events import Ended, Happening
from maestro.engine.scene import Scene
from maestro.engine.state import Life, Result

_AWAITED = {
    "notify": "READY=1",
    "probe": "its readiness probe",
    "end": "its end",
    "fork": "its first process to end",
    "pid": "its main process to be known",
    "reloading": "RELOADING=1",
}
_BY_LIMITS = {  # signals that the kernel sends for a limit, and of which few know that
    "SIGXFSZ": ": a file of it grew past agent.limits.fsize",
    "SIGXCPU": ": it used up agent.limits.cpu",
}
_ORDINALS = {1: "first", 2: "second", 3: "third"}


def how_ended(ended: Ended | None) -> str:
    """`ended with exit status 1`, `was killed by SIGKILL`."""
    if ended is None or (ended.code is None and ended.signal is None):
        return "ended while nobody watched: its exit status is lost"
    if ended.signal is not None:
        name = signal_name(ended.signal)
        return f"was killed by {name}{_BY_LIMITS.get(name, '')}"
    return f"ended with exit status {ended.code}"


def exit_status(life: Life) -> int:
    """What a shell would say of an activation: the exit status, or 128 and the signal. 1 where a failure was no process's."""
    ended = life.ended
    if ended is not None and ended.signal is not None:
        return 128 + ended.signal
    if ended is not None and ended.code:
        return ended.code
    went_well = life.result is Result.SUCCESS and (life.skipped or ended is not None)
    return 0 if went_well and (ended is None or ended.code is not None) else 1


@cache
def signal_name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"


def ordinal(number: int) -> str:
    if number in _ORDINALS:
        return _ORDINALS[number]
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def span(seconds: float) -> str:
    """A time for people: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if isinf(seconds):
        return "for ever"
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def several(names: tuple[str, ...], most: int = 5) -> str:
    """`a, b and c`, cut after some."""
    shown = list(names[:most])
    if len(names) > most:
        shown.append(f"{len(names) - most} more")
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]])) if shown else ""


def awaited(awaits: tuple[str, ...]) -> str:
    """What something still waits for."""
    return " and ".join(_AWAITED[name] for name in awaits)


def last_words(life: Life) -> str:
    """What a unit that failed had said of itself, to be put after how it ended."""
    error = f"ERRNO={life.error} ({errorcode.get(life.error, 'unknown')})" if life.error else ""
    said = ", ".join(filter(None, (error, life.status)))
    return f"; it had said: {said}" if said else ""


def pid_fault(life: Life) -> str:
    """What is wrong with its pid file, to be put after what follows from that."""
    return f": {life.pid_fault}" if life.pid_fault else ""


def tell(scene: Scene, kind: str, text: str, life: Life) -> Happening:
    return Happening(unit=scene.name, kind=kind, words=text, agent=life.agent)


def stopped(scene: Scene) -> str:
    """What a stop that begins now is for: the goal may be another, for another's sake, when it is over."""
    return (
        f"stopped: {scene.words}"
        if scene.words
        else because(scene.life, "stopped on request", "stopped, for ")
    )


def because(life: Life, asked: str, pulled: str = "") -> str:
    """Why its goal is what it is: it was asked for, or another unit's was."""
    return f"{pulled}{life.pulled}" if life.pulled else asked
