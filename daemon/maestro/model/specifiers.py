"""What %i and its like stand for: systemd's letters, with systemd's meanings where Maestro has the thing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from maestro.model.names import UnitName, unescape
from maestro.model.plain import Mistake, shorten


class Specifiers(Struct, frozen=True, kw_only=True):
    """What the host gives for specifiers; the unit's name and file give the rest."""

    runtime: str = "/run"
    state: str = "/var/lib"
    cache: str = "/var/cache"
    logs: str = "/var/log"
    configuration: str = "/etc"
    credentials: str = "/run/maestro/credentials"
    temporary: str = "/tmp"
    lasting_temporary: str = "/var/tmp"
    host: str = "localhost"
    machine_id: str = ""
    boot_id: str = ""
    kernel: str = ""
    user: str = "root"
    uid: int = 0
    group: str = "root"
    gid: int = 0
    home: str = "/root"
    shell: str = "/bin/sh"


class Here(NamedTuple):
    """Where a specifier stands."""

    name: UnitName
    host: Specifiers
    path: str  # of the unit's file


class Specifier(NamedTuple):
    letter: str
    doc: str
    value: Callable[[Here], str]


def _last_part(here: Here) -> str:
    return here.name.prefix.rpartition("-")[2]


def _as_path(here: Here) -> str:
    escaped = here.name.instance or here.name.prefix
    if escaped == "-":
        return "/"
    path = unescape(escaped)
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise Mistake(f"{shorten(escaped)} does not unescape to a path", "escape it by systemd-escape --path")
    return f"/{path}"


def _folder(here: Here) -> str:
    folder, slash, _ = here.path.rpartition("/")
    return folder or slash or "."


def _known(what: str, value: str) -> str:
    if not value:
        raise Mistake(f"{what} of this host is not known", "write it out")
    return value


TABLE = (
    Specifier("n", "The unit's full name.", lambda here: here.name.full),
    Specifier("N", "The unit's name without a suffix for its kind.", lambda here: here.name.bare),
    Specifier(
        "p",
        "What stands before the `@` of the name; the name where there is none.",
        lambda here: here.name.prefix,
    ),
    Specifier("P", "The same, unescaped.", lambda here: unescape(here.name.prefix)),
    Specifier("i", "The instance: what stands behind the `@`.", lambda here: here.name.instance or ""),
    Specifier("I", "The instance, unescaped.", lambda here: unescape(here.name.instance or "")),
    Specifier("j", "What stands behind the last `-` of %p.", _last_part),
    Specifier("J", "The same, unescaped.", lambda here: unescape(_last_part(here))),
    Specifier("f", "The instance, or else %p, unescaped as a path that begins with /.", _as_path),
    Specifier("y", "The path of the unit's file.", lambda here: here.path),
    Specifier("Y", "The directory of the unit's file.", _folder),
    Specifier("t", "The directory for runtime files.", lambda here: here.host.runtime),
    Specifier("S", "The directory for state.", lambda here: here.host.state),
    Specifier("C", "The directory for caches.", lambda here: here.host.cache),
    Specifier("L", "The directory for logs.", lambda here: here.host.logs),
    Specifier("E", "The directory for configuration.", lambda here: here.host.configuration),
    Specifier(
        "d",
        "The directory of the unit's credentials, as $CREDENTIALS_DIRECTORY.",
        lambda here: f"{here.host.credentials}/{here.name.full}",
    ),
    Specifier("T", "The directory for temporary files.", lambda here: here.host.temporary),
    Specifier(
        "V", "The same for larger ones, which outlive a boot.", lambda here: here.host.lasting_temporary
    ),
    Specifier("H", "The name of the host.", lambda here: here.host.host),
    Specifier("l", "The same up to the first dot.", lambda here: here.host.host.partition(".")[0]),
    Specifier("m", "The id of the machine.", lambda here: _known("the machine id", here.host.machine_id)),
    Specifier("b", "The id of the running boot.", lambda here: _known("the boot id", here.host.boot_id)),
    Specifier("v", "The kernel's release.", lambda here: _known("the kernel's release", here.host.kernel)),
    Specifier("u", "The name of the user that Maestro runs as.", lambda here: here.host.user),
    Specifier("U", "The number of that user.", lambda here: str(here.host.uid)),
    Specifier("g", "The name of the group that Maestro runs as.", lambda here: here.host.group),
    Specifier("G", "The number of that group.", lambda here: str(here.host.gid)),
    Specifier("h", "The home directory of that user.", lambda here: here.host.home),
    Specifier("s", "The shell of that user.", lambda here: here.host.shell),
    Specifier("%", "A percent sign.", lambda here: "%"),
)
FOREIGN = {  # systemd's, and why they are none here
    **dict.fromkeys("cDrR", "Maestro has no such directory"),
    **dict.fromkeys(
        "aABMoqwW", "it is not known here; `condition: os_release:` and `architecture:` ask for it"
    ),
}
_VALUES = {row.letter: row.value for row in TABLE}
_SPECIFIER = re.compile("%(.?)", re.DOTALL)


def resolver(name: UnitName, host: Specifiers, path: str = "") -> Callable[[str], str]:
    """Replaces the specifiers in a text of this unit."""
    here = Here(name, host, path)

    def one(match: re.Match[str]) -> str:
        value = _VALUES.get(match[1])
        if value is not None:
            return value(here)
        if match[1] in FOREIGN:
            raise Mistake(f"systemd's specifier {match[0]!r} means nothing here: {FOREIGN[match[1]]}")
        seen = match[0] if match[0].isprintable() else "%"
        raise Mistake(f"there is no specifier {seen!r}", "write %% for a percent sign")

    def resolve(text: str) -> str:
        return _SPECIFIER.sub(one, text) if "%" in text else text

    return resolve
