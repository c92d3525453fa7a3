"""Declaring an option: its default, its description, and what else is known of it, in one place.

msgspec keeps nothing about a field but its type and default, so the default is made by a callable record that
carries the rest: `describe` finds it again as the field's default factory.
"""

from __future__ import annotations

import enum
import types
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints, overload

import msgspec
from msgspec import Struct

T = TypeVar("T")


class Change(enum.Enum):
    """What a changed value asks of an agent that runs."""

    LIVE = "live"  # nothing: it holds from now on
    RELOAD = "reload"  # the agent must read its configuration again
    RESTART = "restart"  # only a newly started process has it


class _Required(enum.Enum):
    REQUIRED = "required"


REQUIRED = _Required.REQUIRED


class Declared(Struct, frozen=True):
    """What `option` was told. Called by msgspec for the default of a field that is not given."""

    default: Any
    doc: str
    since: str = "0.1"
    change: Change = Change.RESTART
    at_least: float | None = None
    at_most: float | None = None
    pattern: str | None = None

    def __call__(self) -> Any:
        if self.default is REQUIRED:
            raise TypeError(f"a required option is missing: {self.doc}")
        return self.default


@overload
def option(
    default: T,
    doc: str,
    *,
    since: str = ...,
    change: Change = ...,
    at_least: float | None = ...,
    at_most: float | None = ...,
    pattern: str | None = ...,
) -> T: ...
@overload
def option(
    *,
    doc: str,
    since: str = ...,
    change: Change = ...,
    at_least: float | None = ...,
    at_most: float | None = ...,
    pattern: str | None = ...,
) -> Any: ...
def option(default: Any = REQUIRED, doc: str = "", **more: Any) -> Any:
    """One option. Without a default it must be given: `name: str = option(doc="…")`."""
    return msgspec.field(default_factory=Declared(default, doc, **more))


class Option(Struct, frozen=True, kw_only=True):
    """One option as declared: the field's name and type, and what `option` was told."""

    name: str
    field: str  # the attribute: `as_` for `as`, which Python keeps for itself
    type: Any
    declared: Declared

    @property
    def default(self) -> Any:
        return self.declared.default

    @property
    def required(self) -> bool:
        return self.declared.default is REQUIRED

    @property
    def doc(self) -> str:
        return self.declared.doc

    @property
    def since(self) -> str:
        return self.declared.since

    @property
    def change(self) -> Change:
        return self.declared.change

    @property
    def bounds(self) -> tuple[float | None, float | None, str | None]:
        return (self.declared.at_least, self.declared.at_most, self.declared.pattern)


class Section(Struct, frozen=True, kw_only=True):
    """A field that holds further options."""

    name: str
    field: str  # the attribute: `assert_` for `assert`, which Python keeps for itself
    type: type[Struct]
    optional: bool  # may be absent (None), as `health.readiness`
    required: bool  # has no default, as `agent`


@cache
def describe(section: type[Struct]) -> tuple[Option, ...]:
    """The options declared in a section, in the order of their declaration; its own before those of what it is made from."""
    return tuple(
        Option(
            name=field.encode_name,
            field=field.name,
            type=_hints(section)[field.name],
            declared=field.default_factory,
        )
        for field in _fields(section)
        if isinstance(field.default_factory, Declared)
    )


@cache
def subsections(section: type[Struct]) -> tuple[Section, ...]:
    """The sections inside a section."""
    return tuple(
        Section(
            name=field.encode_name,
            field=field.name,
            type=inner,
            optional=_is_optional(_hints(section)[field.name]),
            required=field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT,
        )
        for field in _fields(section)
        if (inner := _struct_of(_hints(section)[field.name])) is not None
    )


def _fields(section: type[Struct]) -> list[msgspec.structs.FieldInfo]:
    own = vars(section).get("__annotations__", {})
    return sorted(msgspec.structs.fields(section), key=lambda field: field.name not in own)


def without_none(hint: Any) -> Any:
    """`X` for `X | None`, and any other type as it is."""
    if not _is_optional(hint):
        return hint
    left = tuple(part for part in get_args(hint) if part is not type(None))
    return left[0] if len(left) == 1 else Union[left]  # noqa: UP007 -- built from a tuple at run time


def choices(hint: Any) -> tuple[str, ...]:
    """The words of a `Literal`; empty for any other type."""
    return cast("tuple[str, ...]", get_args(hint)) if get_origin(hint) is Literal else ()


def item_type(hint: Any) -> Any:
    """`X` for `tuple[X, ...]`, None for any other type."""
    return get_args(hint)[0] if get_origin(hint) is tuple else None


@cache
def _hints(section: type[Struct]) -> dict[str, Any]:
    return get_type_hints(section)


def _is_optional(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint)


def _struct_of(hint: Any) -> type[Struct] | None:
    bare = without_none(hint)
    return bare if isinstance(bare, type) and issubclass(bare, Struct) else None
