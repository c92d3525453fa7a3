"""Everything a plugin may import.

A plugin is a module named by an entry point of the group `maestro`, with functions marked `@hook` that carry
the names below. There are three kinds:

* **declare**: asked once, at start. What you return becomes part of Maestro.
* **notice**: told what happened, in a thread of the plugin's own, in order, through a bounded queue. You can't change anything by it.
* **provide**: asked for something; the first plugin that answers with other than None wins.

A hook that raises is logged with the plugin's own frames and counted; after `MOST_FAULTS` the plugin is set
aside until the daemon starts again. Hooks never decide whether an agent lives: what happens to agents
follows from their units alone, so that it can be replayed.
"""

from __future__ import annotations

import pluggy
from msgspec import Struct

from maestro.model.option import Change as Change
from maestro.model.option import option as option

GROUP = "maestro"
MOST_FAULTS = 5

hook = pluggy.HookimplMarker(GROUP)
_spec = pluggy.HookspecMarker(GROUP)


class EventNotice(Struct, frozen=True, kw_only=True):
    """One thing that happened to a unit."""

    seq: int
    time: float  # seconds since 1970
    unit: str
    # starting started ready stopping sweeping timeout watchdog ended restart-scheduled gave-up failed completed
    # frozen thawed memory-pressure budget-warning budget-exhausted log-quota stopped waiting reload reloaded reload-failed
    # command-failed job …
    kind: str
    words: str
    state: str
    agent: str
    job: int = 0  # number of the job that this is about, where it is about one
    exit: int | None = None  # of an end for good: the exit status, or 128 and the signal
    section: Struct | None = None  # the unit's section that this plugin declared, if it has one
    # The last lines of output, where the event is an end. They are read when the notice is delivered, for at the end itself the pipe
    # may not be empty yet: a plugin that is behind may find lines of the next process among them. `time` says when the end was.
    log: tuple[str, ...] = ()


class EndNotice(Struct, frozen=True, kw_only=True):
    """How an agent ended, for `maestro_explain_end`."""

    unit: str
    command: tuple[str, ...]
    code: int | None
    signal: int | None
    log: tuple[str, ...]  # its last lines of output, read as those of `EventNotice` are


class Places(Struct, frozen=True, kw_only=True):
    """Where a plugin may keep files of its own."""

    state: str  # directory for this plugin; made on demand by the plugin


@_spec
def maestro_sections() -> dict[str, type[Struct]]:
    """declare: sections of agent units that this plugin reads. Name -> Struct whose fields are `option`s."""
    return {}


@_spec
def maestro_begin(places: Places) -> None:
    """notice: the daemon has started; called before any other notice."""


@_spec
def maestro_event(event: EventNotice) -> None:
    """notice: something happened to a unit."""


@_spec(firstresult=True)
def maestro_explain_end(end: EndNotice) -> str | None:
    """provide: one sentence on why an agent ended badly, or None. Shown by `status`."""
