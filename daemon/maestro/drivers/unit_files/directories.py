"""Unit files in directories: reading all, looking at one, and the links that enable them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence

from maestro.drivers.unit_files import links
from maestro.drivers.unit_files.found import KINDS_OF_LINKS, Found
from maestro.drivers.unit_files.reader import Reader, entries
from maestro.model import names
from maestro.model.names import UnitName
from maestro.ports import Piece, UnitSources


class UnitDirectories:
    """Of two files with the same name, the one in the earlier directory counts. `environment` may lay over them."""

    def __init__(self, directories: Sequence[str], owner_uid: int, environment: str = "") -> None:
        self._directories = tuple(directories)
        self._reader = Reader(owner_uid)
        self._environment = environment

    # -------------------------------------------------------------------------------------------- reading

    def read(self) -> UnitSources:
        """All files as they are now. Never waits for anything but the disk."""
        self._reader.turn()
        found = self._found()
        for directory in self._directories:
            found.take(directory)
        return found.sources()

    def look(self, name: str) -> UnitSources:
        """The same of the files that one unit is made of: no directory of units is searched for it."""
        unit, found = names.split(name), self._found()
        for directory in self._directories:
            distrust = self._reader.distrust(directory)
            overlays = found.overlay_directory(directory)
            for file in unit.files:
                if os.path.lexists(path := os.path.join(directory, file)):
                    found.take_file(path, distrust)
                if overlays and os.path.lexists(path := os.path.join(overlays, file)):
                    found.take_overlay(path)
            for folder in unit.folders:
                found.take_folder(os.path.join(directory, folder), distrust)
        return found.sources()

    def _found(self) -> Found:
        return Found(self._reader, self._directories, self._environment)

    def draft(self, path: str) -> Piece:
        """One file from anywhere, by the same rules but for those on its directory: it is not installed yet."""
        return self._reader.read(path)

    # -------------------------------------------------------------------------------------------- enabling

    def enable(self, name: str, targets: Iterable[str], required_by: Iterable[str] = ()) -> list[str]:
        """Make targets want or require a unit: links in the first directory. Says what was done."""
        unit = names.split(name)
        source = self._source(unit)
        done = []
        for kind, targeted in (("wants", targets), ("requires", required_by)):
            for target in targeted:
                directory = os.path.join(self._directories[0], f"{names.split(target).full}.{kind}")
                link = os.path.join(directory, unit.file)
                if links.make(source, link):
                    done.append(f"created {link} -> {source}")
        return done

    def disable(self, name: str) -> list[str]:
        """Take away all links to a unit from the first directory. Says what was done."""
        done = []
        for link in self._links_to(names.split(name)):
            links.remove(link)
            done.append(f"removed {link}")
        return done

    def _source(self, unit: UnitName) -> str:
        """The file that makes a unit: its own, or its template."""
        for file in unit.files:
            for directory in self._directories:
                path = os.path.join(directory, file)
                if os.path.lexists(path):
                    return path
        raise FileNotFoundError(errno.ENOENT, f"no file for {unit.full}: {' or '.join(unit.files)}")

    def _links_to(self, unit: UnitName) -> list[str]:
        return [
            link.path
            for entry in entries(self._directories[0])
            if entry.name.endswith(KINDS_OF_LINKS) and entry.is_dir()
            for link in entries(entry.path)
            if link.name == unit.file
        ]
