"""Requests for what is kept: lines of logs, events, the audit log; and the answers."""

from __future__ import annotations

import math
from typing import Annotated

from msgspec import Meta, Struct

from maestro.control.request import Name, Names, OneOrMore, Request

Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Few = Annotated[int, Meta(ge=0, le=1000)]  # lines of log in one answer
Place = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]  # a cursor; sqlite and files know no greater number


class Logs(Request, frozen=True, tag_field="do", tag="logs"):
    units: OneOrMore
    lines: Count | None = 10  # the last n of each; None: all
    since: float | None = None  # seconds since 1970
    until: float | None = None
    cursors: dict[Name, Place] = {}  # noqa: RUF012  # unit -> offset to go on from; msgspec copies it
    follow: bool = False
    to_end: bool = (
        False  # follow until nothing of the units runs or will by itself; one that is gone counts as ended
    )

    def __post_init__(self) -> None:
        for field in ("since", "until"):
            value = getattr(self, field)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{field} is not a time")


class Events(Request, frozen=True, tag_field="do", tag="events"):
    units: Names = ()
    cursor: Place | None = None  # go on after this sequence number; None: from now on
    follow: bool = True
    lines: Count = 0  # without a cursor: the last n first


class Audit(Request, frozen=True, tag_field="do", tag="audit"):
    lines: Count = 20
    check: bool = False  # first, whether each entry of the log still follows from the one before


class LineView(Struct, frozen=True, kw_only=True):
    unit: str
    time: float  # seconds since 1970 when its chunk was written; 0 when unknown
    text: str
    cursor: int  # resume after this line
    mark: bool = False  # not a line: says only where reading of this unit begins, so that it can be resumed


class EventView(Struct, frozen=True, kw_only=True):
    seq: int  # the cursor
    time: float
    unit: str
    kind: str  # "mark": not an event: says only which is the last before those that follow
    words: str
    state: str = ""
    agent: str = ""
    job: int = 0
    exit: int | None = (
        None  # of an end for good: its exit status, or 128 and the signal; 1 for another failure
    )


class AuditView(Struct, frozen=True, kw_only=True):
    seq: int
    time: float
    uid: int
    pid: int
    who: str
    action: str
    result: str
    hash: str
