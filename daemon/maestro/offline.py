"""The units of an installation as its daemon would load them, for commands that need none."""

from __future__ import annotations

import os

from msgspec import Struct

from maestro.drivers.unit_files import UnitDirectories
from maestro.manager.plugins import Plugins
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


def versions(paths: Paths) -> dict[str, tuple[Piece, ...]]:
    """Every file of a unit, and every drop-in, of all directories."""
    return UnitDirectories(paths.units, os.geteuid()).versions()


def sections() -> Sections:
    """What the installed plugins declare."""
    plugins = Plugins("")
    plugins.find()
    try:
        return dict(plugins.sections)
    finally:
        plugins.close()
