"""The units of an installation as its daemon would load them, for commands that need none."""

from __future__ import annotations

import os
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from maestro.drivers.unit_files import UnitDirectories
from maestro.manager.plugins import Plugins
from maestro.model import names
from maestro.model.library import Library, load_all
from maestro.model.load import Sections, Settings
from maestro.paths import Paths
from maestro.ports import Piece, UnitSources


class Installed(Struct, frozen=True):
    reader: UnitDirectories
    sources: UnitSources
    library: Library
    settings: Settings


def installed(paths: Paths) -> Installed:
    reader = UnitDirectories(paths.units, os.geteuid(), paths.environment)
    sources, settings = reader.read(), Settings(sections=sections())
    return Installed(reader, sources, load_all(sources, settings=settings), settings)


def with_draft(sources: UnitSources, draft: Piece) -> UnitSources:
    """The sources as they would be with a file in place: by its path a drop-in, or the file of a unit."""
    folder, file = os.path.split(draft.path)
    key = os.path.basename(folder)
    if not is_drop_in(draft.path):
        return replace(sources, files={**sources.files, file: draft})
    others = [one for one in sources.dropins.get(key, ()) if os.path.basename(one.path) != file]
    inside = sorted((*others, draft), key=lambda one: os.path.basename(one.path))
    return replace(sources, dropins={**sources.dropins, key: tuple(inside)})


def is_drop_in(path: str) -> bool:
    return os.path.dirname(path).endswith(f"{names.SUFFIX}.d")


def versions(paths: Paths) -> dict[str, tuple[Piece, ...]]:
    """Every file of a unit, and every drop-in, of all directories."""
    return UnitDirectories(paths.units, os.geteuid()).versions()


def leads(versions: Mapping[str, tuple[Piece, ...]]) -> dict[str, str]:
    """Where those of these files lead that are links."""
    paths = (piece.path for found in versions.values() for piece in found)
    return {path: os.path.realpath(path) for path in paths if os.path.islink(path)}


def sections() -> Sections:
    """What the installed plugins declare."""
    plugins = Plugins("")
    plugins.find()
    try:
        return dict(plugins.sections)
    finally:
        plugins.close()
