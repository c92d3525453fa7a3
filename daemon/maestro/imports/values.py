"""Conversions that several formats share: from what a setting says to what an option takes."""

from __future__ import annotations

import re
from collections.abc import Callable

from maestro.imports.record import Record, Rough
from maestro.imports.table import Convert, Scope
from maestro.model.plain import Mistake, Plain, is_scalar, kind_of, scalar_text, shorten

_TRUE, _FALSE = ("1", "yes", "y", "true", "t", "on"), ("0", "no", "n", "false", "f", "off")
_BYTES = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kmgtpKMGTP]?)(?:i?[bB])?\s*")
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,18}\s*")


def said(record: Record) -> str:
    """The text of a setting. A `Mistake` for a list or mapping."""
    if record.value is None:
        return ""
    if not is_scalar(record.value):
        raise Mistake(f"expected a single value, found {kind_of(record.value)}")
    return record.value if isinstance(record.value, str) else scalar_text(record.value)


def text(record: Record, scope: Scope) -> Plain:
    """As it is: for settings whose specifiers are systemd's."""
    return said(record)


def literal(record: Record, scope: Scope) -> Plain:
    """As it is, with percent signs that begin no specifier."""
    return percents(said(record))


def percents(value: str) -> str:
    return value.replace("%", "%%")


def argument(value: str) -> str:
    """A word of a command in which neither variables nor specifiers are replaced."""
    return percents(value).replace("$", "$$")


def is_true(value: str) -> bool:
    word = value.strip().lower()
    if word not in (*_TRUE, *_FALSE):
        raise Mistake(f"{shorten(value)} is neither yes nor no")
    return word in _TRUE


def truth(record: Record, scope: Scope) -> Plain:
    return is_true(said(record))


def whole(value: str) -> int:
    if not _INTEGER.fullmatch(value):
        raise Mistake(f"{shorten(value)} is not a whole number")
    return int(value)


def number(record: Record, scope: Scope) -> Plain:
    return whole(said(record))


def words(record: Record, scope: Scope) -> Plain:
    return said(record).split()


def items(record: Record, scope: Scope) -> Plain:
    """One item of a list."""
    return [said(record)]


def size(value: str) -> str:
    """`512m`, `512MB`, `1.5g`: as Docker and supervisord count, in powers of 1024."""
    match = _BYTES.fullmatch(value)
    if match is None:
        raise Mistake(f"{shorten(value)} is not a size")
    return match[1] + match[2].upper()


def bytes_of(record: Record, scope: Scope) -> Plain:
    return size(said(record))


def seconds(record: Record, scope: Scope) -> Plain:
    value = said(record).strip()
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", value):
        raise Mistake(f"{shorten(value)} is not a number of seconds")
    return f"{value}s"


def constant(value: Plain) -> Convert:
    return lambda record, scope: value


def rough(convert: Convert, why: str) -> Convert:
    """The same, and always with these words."""

    def changed(record: Record, scope: Scope) -> Plain:
        return Rough(convert(record, scope), why)

    return changed


def one_of(known: dict[str, Plain], otherwise: Callable[[str], Plain] | None = None) -> Convert:
    """A word for a word."""

    def changed(record: Record, scope: Scope) -> Plain:
        value = said(record).strip()
        if value in known:
            return known[value]
        if otherwise is not None:
            return otherwise(value)
        raise Mistake(f"{shorten(value)} is none of {', '.join(known)}")

    return changed
