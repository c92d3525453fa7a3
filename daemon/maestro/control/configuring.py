"""Requests about generations of the configuration, and the answers."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from maestro.control.records import Count
from maestro.control.request import Request

Number = Annotated[int, Meta(ge=1, le=(1 << 53) - 1)]


class Generations(Request, frozen=True, tag_field="do", tag="generations"):
    lines: Count = 20


class GenerationFiles(Request, frozen=True, tag_field="do", tag="generation-files"):
    """What was in the files of one."""

    number: Number | None = None  # None: the one that is in force


class GenerationDiff(Request, frozen=True, tag_field="do", tag="generation-diff"):
    """What is different in the files of two."""

    before: Number
    after: Number | None = None  # None: the one that is in force


class GenerationView(Struct, frozen=True, kw_only=True):
    number: int
    in_force: bool
    time: float  # seconds since 1970
    author: str
    reason: str
    files: int
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unnamed: int = 0  # further changes


class FileView(Struct, frozen=True, kw_only=True):
    path: str  # of a link: TARGET.wants/UNIT
    text: str


class DiffView(Struct, frozen=True, kw_only=True):
    path: str
    change: Literal["added", "changed", "removed"]
    lines: tuple[str, ...]  # as diff -u has them, without a head
