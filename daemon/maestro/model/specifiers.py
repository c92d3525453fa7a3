"""What %i and its like stand for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from maestro.model.names import UnitName, unescape
from maestro.model.plain import Mistake


class Specifiers(Struct, frozen=True, kw_only=True):
    """What the host gives for specifiers; the unit's name gives the rest."""

    runtime: str = "/run"
    state: str = "/var/lib"
    logs: str = "/var/log"
    host: str = "localhost"
    user: str = "root"
    uid: int = 0
    home: str = "/root"


class Specifier(NamedTuple):
    letter: str
    doc: str
    value: Callable[[UnitName, Specifiers], str]


TABLE = (
    Specifier("n", "The unit's full name.", lambda name, host: name.full),
    Specifier("N", "The unit's name without a suffix for its kind.", lambda name, host: name.bare),
    Specifier(
        "p",
        "What stands before the `@` of the name; the name where there is none.",
        lambda name, host: name.prefix,
    ),
    Specifier("P", "The same, unescaped.", lambda name, host: unescape(name.prefix)),
    Specifier("i", "The instance: what stands behind the `@`.", lambda name, host: name.instance or ""),
    Specifier("I", "The instance, unescaped.", lambda name, host: unescape(name.instance or "")),
    Specifier("t", "The directory for runtime files.", lambda name, host: host.runtime),
    Specifier("S", "The directory for state.", lambda name, host: host.state),
    Specifier("L", "The directory for logs.", lambda name, host: host.logs),
    Specifier("H", "The name of the host.", lambda name, host: host.host),
    Specifier("u", "The name of the user that Maestro runs as.", lambda name, host: host.user),
    Specifier("U", "The number of that user.", lambda name, host: str(host.uid)),
    Specifier("h", "The home directory of that user.", lambda name, host: host.home),
    Specifier("%", "A percent sign.", lambda name, host: "%"),
)
_VALUES = {row.letter: row.value for row in TABLE}
_SPECIFIER = re.compile("%(.?)", re.DOTALL)


def resolver(name: UnitName, host: Specifiers) -> Callable[[str], str]:
    """Replaces the specifiers in a text of this unit."""

    def one(match: re.Match[str]) -> str:
        value = _VALUES.get(match[1])
        if value is None:
            seen = match[0] if match[0].isprintable() else "%"
            raise Mistake(f"there is no specifier {seen!r}", "write %% for a percent sign")
        return value(name, host)

    def resolve(text: str) -> str:
        return _SPECIFIER.sub(one, text) if "%" in text else text

    return resolve
