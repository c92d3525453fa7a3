"""What all requests have in common."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from maestro.control.bounds import MAX_UNITS

Name = Annotated[str, Meta(min_length=1, max_length=255)]  # of a unit, or a glob
Names = Annotated[tuple[Name, ...], Meta(max_length=MAX_UNITS)]
OneOrMore = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=MAX_UNITS)]


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing asked. `do` is the tag; each subclass is one route."""


class ErrorView(Struct, frozen=True, kw_only=True):
    code: str  # "no-such-unit", "not-allowed", "bad-request", "cycle", …: a key of cli.exits.EXITS, or new
    message: str
    hint: str = ""
