"""Requests that only look at how units hang together, how they started and why they are as they are; and the answers."""

from __future__ import annotations

from msgspec import Struct

from maestro.control.request import ErrorView, Names, OneOrMore, Request


class Links(Request, frozen=True, tag_field="do", tag="links"):
    """Who depends on whom, of all units."""

    units: Names = ()  # names or globs, told back as `named`


class Starts(Request, frozen=True, tag_field="do", tag="starts"):
    """When each unit was last started, and what it waited for."""

    units: Names = ()  # none: all


class Why(Request, frozen=True, tag_field="do", tag="why"):
    """The causes of the state of units, and the causes of these."""

    units: OneOrMore


class Doctor(Request, frozen=True, tag_field="do", tag="doctor"):
    """What this host offers of what Maestro builds on, and what does not work for want of it."""


class FindingView(Struct, frozen=True, kw_only=True):
    """One thing: control groups, sandboxes, the store."""

    part: str
    state: str  # ok, limited, missing
    words: str
    cost: str = ""  # what does not work
    advice: str = ""


class NodeView(Struct, frozen=True, kw_only=True):
    """A unit as it appears in a picture of many."""

    name: str
    load: str = "loaded"  # loaded, bad, missing (some unit names it, and there is none)
    state: str = "inactive"
    fine: str = "dead"


class LinkView(Struct, frozen=True, kw_only=True):
    """`by` says `option: [other]`."""

    by: str
    option: str
    other: str


class OrderView(Struct, frozen=True, kw_only=True):
    """`first` comes up before `second`."""

    first: str
    second: str
    option: str  # after, before; or the dependency of a target, which implies an order
    where: str = ""  # FILE:LINE of it
    phase: str = "ready"  # how far `first` has to be: started, ready


class LinksView(Struct, frozen=True, kw_only=True):
    named: tuple[str, ...]  # what the names and globs of the request mean
    units: tuple[NodeView, ...]
    links: tuple[LinkView, ...]
    order: tuple[OrderView, ...]
    errors: dict[str, ErrorView] = {}


class StartView(Struct, frozen=True, kw_only=True):
    """The last start of a unit. Times are seconds of CLOCK_MONOTONIC, which no change of the clock moves."""

    name: str
    kind: str
    state: str
    asked: float  # when it was asked for, or a restart was due
    began: float | None = None  # when nothing held it back any more, and it was ordered
    started: float | None = None  # when its main process was ordered, after the commands before it
    ready: float | None = None  # when it was ready, or had ended well where that is its purpose
    ended: float | None = None  # when its main process ended, or it began to stop
    after: tuple[str, ...] = ()  # what comes up before it
    after_started: tuple[str, ...] = ()  # of these, what only has to be started


class StartsView(Struct, frozen=True, kw_only=True):
    named: tuple[str, ...]
    starts: tuple[StartView, ...]  # of units that were started since the host was booted
    now: float
    errors: dict[str, ErrorView] = {}


class ReasonView(Struct, frozen=True, kw_only=True):
    """Why one unit is as it is. Times are seconds since 1970."""

    name: str
    load: str
    state: str
    fine: str
    goal: str
    since: float
    cause: str
    waits_for: tuple[str, ...] = ()  # units that hold it back: their reasons are in the answer too
    next: str = ""  # what comes by itself
    next_in: float | None = None
    hint: str = ""  # what a plugin found out about the last end
    pulled_by: tuple[str, ...] = ()  # units that are to be up, and want this one up
    asked: str = ""  # the newest request for it that was not refused: `start`
    asked_by: str = ""
    asked_at: float = 0.0


class WhyView(Struct, frozen=True, kw_only=True):
    named: tuple[str, ...]
    reasons: tuple[ReasonView, ...]  # of these, and of all that they wait for
    now: float
    errors: dict[str, ErrorView] = {}
