"""Slices: a tree of units without processes, whose limits hold for all agents in them together, and whose owner acts within them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from maestro.model import names
from maestro.model.option import Change, option
from maestro.model.plain import Mistake, shorten
from maestro.model.values import Size, UnitRef, UserName, Word

if TYPE_CHECKING:
    from maestro.model.unit import Unit

SUFFIX = ".slice"
_RANGE = re.compile(r"([0-9]{1,10})-([0-9]{1,10})")
_LAST = 0xFFFFFFFE  # -1 means "no change" to the kernel


class SliceRef(UnitRef):
    """A slice by its name, with the suffix. Each dash is one level: tenants-acme.slice is in tenants.slice."""

    __slots__ = ()
    expected: ClassVar[str] = "a slice such as tenants-acme.slice"
    examples: ClassVar[tuple[str, ...]] = ("tenants-acme.slice",)

    def __new__(cls, text: str) -> SliceRef:
        self = super().__new__(cls, text)
        if names.split(self).kind != "slice":
            raise Mistake(
                f"{shorten(text)} is not a slice", f"write its name with the suffix: {text}{SUFFIX}"
            )
        assert isinstance(self, cls)
        return self

    def renamed(self, real: Callable[[str], str]) -> SliceRef:
        return SliceRef(real(self))


class UidRange(Word):
    """Numbers of users, from the first to the last."""

    __slots__ = ("first", "last")
    expected: ClassVar[str] = "a range of user numbers such as 70000-70999"
    examples: ClassVar[tuple[str, ...]] = ("70000-70999",)
    first: int
    last: int

    def __new__(cls, text: str) -> UidRange:
        match = _RANGE.fullmatch(text)
        if match is None:
            raise Mistake(f"{shorten(text)} is not a range of user numbers", "write FIRST-LAST: 70000-70999")
        first, last = int(match[1]), int(match[2])
        if not 1 <= first <= last <= _LAST or first <= 0xFFFF <= last:
            hint = "begin above 0, write the smaller number first, and leave 65535 out, which means nobody"
            raise Mistake(f"{shorten(text)} is not a range of user numbers", hint)
        self = super().__new__(cls, f"{first}-{last}")
        self.first, self.last = first, last
        return self


class SliceSection(Struct, frozen=True, kw_only=True):
    """Whose the slice is: a tenant, who sees and controls what is in it, and nothing else."""

    owner: UserName | None = option(
        None,
        "The user who may start, stop, freeze and read the units in it and in slices within it, and sees no others.",
        change=Change.LIVE,
    )
    owner_group: UserName | None = option(None, "A group whose members may do the same.", change=Change.LIVE)
    uid_range: UidRange | None = option(
        None,
        "Numbers from which dynamic users of the agents in it are taken; no two slices may share any, unless one "
        "is within the other.",
        change=Change.LIVE,
    )
    log_quota: Size | None = option(
        None,
        "What the log files of all agents in it may take together. When they take more, the oldest are removed, of whichever agent "
        "they are, and an event says so.",
        at_least=65536,
        change=Change.LIVE,
    )


def chain(unit: Unit) -> tuple[str, ...]:
    """The slices that a unit is in, the outermost first."""
    if unit.kind == "slice":
        return outer(unit.name)
    named = getattr(unit.resources, "slice", None)
    return (*outer(named), str(named)) if named is not None else ()


def outer(name: str) -> tuple[str, ...]:
    """The slices that a slice lies in, the outermost first."""
    if "-" not in name:
        return ()
    return tuple(parent.full for parent in names.split(name).parents)


def is_within(slice_: str, other: str) -> bool:
    """Whether a slice is another one, or lies in it."""
    return slice_ == other or other in outer(slice_)
