"""What a check between options finds."""

from __future__ import annotations

from msgspec import Struct


class Finding(Struct, frozen=True):
    """A contradiction: the option to mend, and the others that are part of it."""

    option: str
    message: str
    hint: str = ""
    others: tuple[str, ...] = ()
