"""`maestroctl export`: which units are meant, and where their files go."""

from __future__ import annotations

import os
from collections.abc import Sequence

from msgspec import Struct

from maestro.drivers.unit_files.writing import put
from maestro.exports.systemd import exported
from maestro.imports.record import Imported
from maestro.offline import installed
from maestro.paths import Paths


class Exported(Struct, frozen=True):
    """A file, and where it was put; without a path it is only shown."""

    file: Imported
    path: str
    kept: bool = False  # there was one already


def exports(wanted: Sequence[str], paths: Paths, to: str, *, force: bool) -> tuple[list[Exported], list[str]]:
    """The files of these units, or of all where none is named; and the names that no unit that loads has."""
    library = installed(paths).library
    chosen = list(wanted) or sorted(library.units)
    found: list[Exported] = []
    missing: list[str] = []
    for name in chosen:
        loaded = library.get(name.removesuffix(".agent"))
        if loaded is None or loaded.unit is None:
            missing.append(name)
            continue
        file = exported(loaded.unit)
        path = os.path.join(to, file.file) if to else ""
        kept = bool(path) and os.path.lexists(path) and not force
        if path and not kept:
            put(path, file.text)
        found.append(Exported(file, path, kept))
    return found, missing
