"""Unit files in directories: reading all, looking at one, and the links that enable them."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from maestro.drivers.unit_files import links, writing
from maestro.drivers.unit_files.found import KIND_FOLDERS, KINDS_OF_LINKS, Found, runtime_of, transient_of
from maestro.drivers.unit_files.reader import NOWHERE, Reader, entries
from maestro.model import aliases, names
from maestro.model.names import UnitName
from maestro.model.plain import Mistake
from maestro.ports import Piece, UnitSources


class UnitDirectories:
    """Of two files with the same name, the one in the earlier directory counts. `environment` may lay over them."""

    def __init__(self, directories: Sequence[str], owner_uid: int, environment: str = "") -> None:
        self._transient = transient_of(directories)
        below = (self._transient,) if self._transient else ()
        self._directories = (*directories[:2], *below, *directories[2:])
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

    def look(self, name: str, known: Mapping[str, str]) -> UnitSources:
        """The same of the files that one unit is made of: no directory of units is searched for it, or for its other names."""
        unit, found = names.split(name), self._found(known)
        others = aliases.others(unit, aliases.sort(known)[0])
        for directory in self._directories:
            distrust = self._reader.distrust(directory)
            overlays = found.overlay_directory(directory)
            for file in unit.files:
                if os.path.lexists(path := os.path.join(directory, file)):
                    found.take_file(path, distrust)
                if overlays and os.path.lexists(path := os.path.join(overlays, file)):
                    found.take_overlay(path)
            for folder in (*unit.folders, *(f"{other.file}.d" for other in others)):
                found.take_folder(os.path.join(directory, folder), distrust)
        return found.sources()

    def _found(self, known: Mapping[str, str] = MappingProxyType({})) -> Found:
        return Found(self._reader, self._directories, self._environment, known)

    def versions(self) -> dict[str, tuple[Piece, ...]]:
        """Every file of a unit and every drop-in, by its path below its directory, of all directories."""
        found: dict[str, tuple[Piece, ...]] = {}
        for directory in self._directories:
            for path in self._below(directory):
                found[path] = (*found.get(path, ()), self._reader.read(os.path.join(directory, path)))
        return found

    def _below(self, directory: str) -> Iterator[str]:
        for entry in entries(directory):
            if entry.name.endswith(names.SUFFIX):
                yield entry.name
            elif entry.name.endswith(f"{names.SUFFIX}.d") or entry.name in KIND_FOLDERS:
                inside = (one.name for one in entries(entry.path) if one.name.endswith(names.SUFFIX))
                yield from (f"{entry.name}/{name}" for name in inside)

    def draft(self, path: str) -> Piece:
        """One file from anywhere, by the same rules but for those on its directory: it is not installed yet."""
        return self._reader.read(path)

    def presets(self) -> tuple[Piece, ...]:
        """What is to be enabled: files beside the directories of units, sorted by name."""
        found: dict[str, Piece] = {}
        for directory in self._directories:
            folder = os.path.join(os.path.dirname(directory), "preset")
            distrust = self._reader.distrust(folder)
            for entry in entries(folder, lambda bad: found.setdefault("", bad)):
                if entry.name.endswith(".preset") and entry.name not in found:
                    found[entry.name] = self._reader.read(entry.path, distrust)
        return tuple(piece for _, piece in sorted(found.items()) if not piece.masked)

    # -------------------------------------------------------------------------------------------- transient units

    def place_of(self, name: str) -> str:
        """Where the file of a transient unit is, or would be."""
        return os.path.join(self._transient, names.split(name).file)

    def transients(self) -> tuple[str, ...]:
        """Asked by a new manager: what the one before has left half-written goes."""
        found = []
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self._transient) if self._transient else ():
                if name.startswith("."):
                    os.unlink(os.path.join(self._transient, name))
        for entry in entries(self._transient) if self._transient else ():
            with contextlib.suppress(Mistake):  # told with the file
                found.append(names.split_file(entry.name).full)
        return tuple(found)

    def put(self, name: str, text: str) -> None:
        """Make a transient unit's file, in one step. Its variables may be secrets: nobody else reads it."""
        writing.put(self.place_of(name), text, mode=0o600)

    def take_away(self, name: str) -> None:
        """Take a transient unit's file away, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            links.remove(self.place_of(name))

    # -------------------------------------------------------------------------------------------- links

    def enable(self, name: str, paths: Iterable[str], *, runtime: bool = False) -> list[str]:
        """Make these links to a unit's file, each below the first directory. Says what was done."""
        source = self._source(names.split(name))
        done = []
        for path in paths:
            link = os.path.join(self._place(runtime), path)
            if links.make(source, link, may_replace=os.path.dirname(path) != ""):
                done.append(f"created {link} -> {source}")
        return done

    def disable(self, name: str, *, runtime: bool = False) -> list[str]:
        """Take away all links to a unit, or to any instance of a template. Says what was done."""
        return self._without(self._links_to(names.split(name), self._place(runtime)))

    def mask(self, name: str, *, runtime: bool = False) -> list[str]:
        link = os.path.join(self._place(runtime), names.split(name).file)
        return [f"created {link} -> {NOWHERE}"] if links.make(NOWHERE, link, may_replace=False) else []

    def unmask(self, name: str, *, runtime: bool = False) -> list[str]:
        """Both masks, or the one until the next boot."""
        places = (self._place(True),) if runtime else (self._place(False), self._place(True))
        paths = (os.path.join(place, names.split(name).file) for place in dict.fromkeys(places))
        return self._without(
            [path for path in paths if os.path.islink(path) and os.readlink(path) == NOWHERE]
        )

    def _place(self, runtime: bool) -> str:
        return (runtime and runtime_of(self._directories)) or self._directories[0]

    def _without(self, paths: Iterable[str]) -> list[str]:
        done = []
        for path in paths:
            links.remove(path)
            done.append(f"removed {path}")
        return done

    def _source(self, unit: UnitName) -> str:
        """The file that makes a unit: its own, or its template."""
        for file in unit.files:
            for directory in self._directories:
                path = os.path.join(directory, file)
                if os.path.lexists(path):
                    return path
        raise FileNotFoundError(errno.ENOENT, f"no file for {unit.full}: {' or '.join(unit.files)}")

    def _links_to(self, unit: UnitName, directory: str) -> list[str]:
        """What targets want of it, and its other names."""
        found = []
        for entry in entries(directory):
            if entry.name.endswith(KINDS_OF_LINKS) and entry.is_dir():
                found += [link.path for link in entries(entry.path) if _means(link.name, unit)]
            elif entry.is_symlink() and entry.name != unit.file:
                target = os.path.basename(os.path.realpath(entry.path))
                found += [entry.path] if target == unit.file and not _means(entry.name, unit) else []
        return found


def _means(file: str, unit: UnitName) -> bool:
    """Whether a link of this name is to the unit, or to an instance of the template."""
    try:
        linked = names.split_file(file)
    except Mistake:
        return False
    return unit in (linked, linked.template)
