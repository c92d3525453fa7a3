"""Which format a file has, and all files together as units."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from posixpath import basename, dirname

from msgspec import Struct
from msgspec.structs import replace

from maestro.imports import compose, crontab, pm2, procfile, supervisord, systemd
from maestro.imports.record import CannotImport, Imported, Remark

Reader = Callable[[bytes, str, Collection[str]], list[Imported]]
FORMATS = ("systemd", "supervisord", "compose", "procfile", "pm2", "crontab")
_READERS: Mapping[str, Reader] = {
    "supervisord": supervisord.imported,
    "compose": compose.imported,
    "procfile": procfile.imported,
    "pm2": pm2.imported,
    "crontab": crontab.imported,
}
_KINDS = "|".join(systemd.KINDS)
_DROP_IN = re.compile(rf"(?P<unit>[^/]+\.({_KINDS}))\.d/[^/]+\.conf$")
_NAMES = (
    (re.compile(rf".+\.({_KINDS})"), "systemd"),
    (re.compile(r"supervisor(d|d?\..*)?\.(conf|ini)|supervisord\.conf"), "supervisord"),
    (re.compile(r"(docker-)?compose(\..+)?\.ya?ml"), "compose"),
    (re.compile(r"Procfile(\..+)?"), "procfile"),
    (re.compile(r".*(ecosystem|pm2|process)[^/]*\.([cm]?js|ts|json)"), "pm2"),
    (re.compile(r"crontab|.+\.(cron|crontab)"), "crontab"),
)
_NICKNAMES = "reboot|hourly|daily|midnight|weekly|monthly|yearly|annually"
_CONTENTS = (
    (re.compile(r"^\[(program|group|supervisord|eventlistener|unix_http_server|include)[:\]]", re.MULTILINE), "supervisord"),
    (re.compile(r"^services\s*:", re.MULTILINE), "compose"),
    (re.compile(r"\A\s*[\[{]\s*[\"{\]}\[]"), "pm2"),
    (re.compile(rf"^\s*(@({_NICKNAMES})|([0-9*,/-]+\s+){{3}}[\w*,/-]+\s+[\w*,/-]+)\s+\S", re.MULTILINE), "crontab"),
    (re.compile(r"\A(\s*(#.*)?\n)*[A-Za-z0-9_-]+:[ \t]*\S"), "procfile"),
)  # fmt: skip


class Source(Struct, frozen=True):
    """A file: its path as it was named, and what is in it."""

    path: str
    content: bytes


def format_of(source: Source) -> str:
    """The format of a file, by its name or else by its content; empty where neither tells."""
    if _DROP_IN.search(source.path):
        return "systemd"
    if "cron.d" in source.path.split("/")[:-1]:
        return "crontab"
    name = basename(source.path)
    found = next((format for pattern, format in _NAMES if pattern.fullmatch(name)), "")
    text = source.content[:100_000].decode("utf-8", "replace")
    return found or next((format for pattern, format in _CONTENTS if pattern.search(text)), "")


def converted(sources: Sequence[Source], format: str = "", around: Iterable[str] = ()) -> list[Imported]:
    """All that comes of these files; `around` are the units that are installed already. Never raises."""
    by_format: dict[str, list[Source]] = {}
    found: list[Imported] = []
    for source in sources:
        told = format or format_of(source)
        if told:
            by_format.setdefault(told, []).append(source)
        else:
            found.append(_left(source.path, "its format cannot be told: name it by --format"))
    known = set(around)
    found += _of_systemd(by_format.pop("systemd", []), known)
    for name, given in by_format.items():
        for source in given:
            try:
                found += _READERS[name](source.content, source.path, known)
            except CannotImport as why:
                found.append(_left(source.path, str(why).removeprefix(f"{source.path}:").strip()))
    return _each_once(found)


def _left(path: str, words: str) -> Imported:
    return Imported("", "", (Remark(path, 0, basename(path), "dropped", words),))


def _of_systemd(sources: Sequence[Source], around: set[str]) -> list[Imported]:
    """Units with their drop-ins, which are looked at in the order of their names."""
    mains: dict[str, Source] = {}
    drop_ins: dict[str, list[Source]] = {}
    found: list[Imported] = []
    for source in sources:
        if (match := _DROP_IN.search(source.path)) is not None:
            drop_ins.setdefault(match["unit"], []).append(source)
        elif basename(source.path) in mains:
            other = mains[basename(source.path)].path
            found.append(_left(source.path, f"there is {other} of the same name, which counts"))
        elif basename(source.path).rpartition(".")[2] in systemd.KINDS:
            mains[basename(source.path)] = source
        else:
            found.append(
                _left(
                    source.path,
                    f"a unit of systemd is called NAME.service, or another of {', '.join(systemd.KINDS)}",
                )
            )
    pieces = {
        name: [source, *sorted(drop_ins.pop(name, []), key=lambda one: basename(one.path))]
        for name, source in mains.items()
    }
    found += _together(
        {name: [(one.path, one.content) for one in files] for name, files in pieces.items()}, around
    )
    for name, left in drop_ins.items():
        found += [_left(one.path, f"it is for {name}, which is not among these files") for one in left]
    return found


def _together(units: Mapping[str, list[tuple[str, bytes]]], around: set[str]) -> list[Imported]:
    """Units that may refer to each other, and to none that is not written in the end."""
    wanted = [name for name in units if systemd.target_name(name)]
    while True:
        known = around | {systemd.unit_name(name) for name in wanted}
        made = {name: systemd.imported(name, pieces, known) for name, pieces in units.items()}
        left = [name for name in wanted if made[name].text]
        if left == wanted:
            return list(made.values())
        wanted = left


def _each_once(found: Iterable[Imported]) -> list[Imported]:
    """Of two units of one name the first counts."""
    seen: dict[str, str] = {}
    kept: list[Imported] = []
    for one in found:
        if one.text and one.file in seen:
            words = f"{one.file} is made from {seen[one.file]} already"
            one = Imported(
                one.file, "", tuple(replace(remark, grade="dropped", words=words) for remark in one.remarks)
            )
        elif one.text:
            seen[one.file] = one.remarks[0].file if one.remarks else dirname(one.file)
        kept.append(one)
    return kept
