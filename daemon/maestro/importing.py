"""`maestroctl import`: which files are read, and where units are written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from msgspec import Struct

from maestro.drivers.unit_files.writing import put
from maestro.imports.formats import Source, converted, format_of
from maestro.imports.record import Imported, Remark
from maestro.model.names import split_file
from maestro.model.plain import Mistake

_LARGEST = 1 << 20  # bytes; a unit file may not be larger either


class Written(Struct, frozen=True):
    """One unit, or what gave none, and what became of it on the disk."""

    imported: Imported
    path: str
    state: str  # "written", "would be written", "kept", "none"


def imports(
    paths: Sequence[str], format: str, to: str, directories: Iterable[str], *, dry: bool, force: bool
) -> list[Written]:
    """Read files and directories, and write what comes of them to the directory `to`. Raises `OSError`."""
    sources, left = _sources(paths, format)
    found = [Imported("", "", (one,)) for one in left]
    found += converted(sources, format, _installed([*directories, to]))
    return [_written(one, to, dry=dry, force=force) for one in found]


def _sources(paths: Sequence[str], format: str) -> tuple[list[Source], list[Remark]]:
    """What is named; of a directory, what is in it and in directories of drop-ins."""
    sources: list[Source] = []
    left: list[Remark] = []
    for path in paths:
        named = not os.path.isdir(path)
        for file in [path, *_drop_ins(path)] if named else _inside(path):
            if not named and _is_alias(file):
                words = f"a link to {os.readlink(file)}: write it under install.alias of that unit"
                left.append(Remark(file, 0, os.path.basename(file), "dropped", words))
                continue
            source = Source(file, _read(file))
            if len(source.content) > _LARGEST:
                words = f"it is larger than {_LARGEST:,} bytes"
                left.append(Remark(file, 0, os.path.basename(file), "dropped", words))
            elif format or named or format_of(source):
                sources.append(source)
            else:
                words = "no format that can be imported: not looked into"
                left.append(Remark(file, 0, os.path.basename(file), "dropped", words))
    return sources, left


def _is_alias(path: str) -> bool:
    """Whether it is another name for something beside it."""
    return os.path.islink(path) and os.path.basename(os.readlink(path)) != os.path.basename(path)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_LARGEST + 1)


def _drop_ins(path: str) -> list[str]:
    folder = f"{path}.d"
    if not os.path.isdir(folder):
        return []
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".conf")]


def _inside(folder: str) -> list[str]:
    """Files in it, and drop-ins; links that enable units are no files of their own."""
    found: list[str] = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            found.append(path)
        elif name.endswith(".d") and os.path.isdir(path):
            found += _drop_ins(path.removesuffix(".d"))
    return found


def _installed(directories: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for folder in directories:
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            try:
                found.add(split_file(name).full)
            except Mistake:
                continue
    return found


def _written(one: Imported, to: str, *, dry: bool, force: bool) -> Written:
    path = os.path.join(to, one.file)
    if not one.text:
        return Written(one, "", "none")
    if os.path.lexists(path) and not force:
        return Written(one, path, "kept")
    if dry:
        return Written(one, path, "would be written")
    put(path, one.text)
    return Written(one, path, "written")
