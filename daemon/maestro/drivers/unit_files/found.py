"""What is found in the unit directories, one directory after the other: of two with the same name, the first counts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from maestro.drivers.unit_files.reader import Reader, entries
from maestro.model import aliases, names
from maestro.model.plain import Mistake
from maestro.ports import Piece, UnitSources

KINDS_OF_LINKS = (".wants", ".requires")
KIND_FOLDERS = tuple(f"{kind}.d" for kind in names.KINDS)  # drop-ins for all units of a kind


class Found:
    """Fills `UnitSources`."""

    def __init__(
        self, reader: Reader, directories: Sequence[str], environment: str, known: Mapping[str, str]
    ) -> None:
        self._reader = reader
        self._directories = tuple(directories)
        self._real = [os.path.realpath(directory) for directory in directories]
        self._environment = environment
        self._files: dict[str, Piece] = {}
        self._overlays: dict[str, Piece] = {}
        self._dropins: dict[str, dict[str, Piece]] = {}
        self._aliases = dict(known)
        self._enabled: dict[str, str] = {}
        self._links: dict[str, dict[str, dict[str, None]]] = {"wants": {}, "requires": {}}

    def sources(self) -> UnitSources:
        wants, requires = (
            {target: tuple(units) for target, units in self._links[kind].items()}
            for kind in ("wants", "requires")
        )
        dropins = {
            folder: tuple(piece for _, piece in sorted(inside.items()) if not piece.masked)
            for folder, inside in self._by_real_names().items()
        }
        overlays = {file: piece for file, piece in self._overlays.items() if not piece.masked}
        return UnitSources(
            files=self._files,
            links=wants,
            requirements=requires,
            overlays=overlays,
            dropins=dropins,
            aliases=self._aliases,
            enabled=self._enabled,
            runtime=runtime_of(self._directories),
            directories=self._directories,
        )

    def _by_real_names(self) -> dict[str, dict[str, Piece]]:
        """Drop-ins of a unit's other names are its own; of two with the same name, the one under its real name counts."""
        good, _ = aliases.sort(self._aliases)
        merged: dict[str, dict[str, Piece]] = {}
        for folder, inside in self._dropins.items():
            meant = _real_folder(folder, good)
            there = merged.get(meant, {})
            merged[meant] = there | inside if meant == folder else inside | there
        return merged

    def take(self, directory: str) -> None:
        """All that is in a directory."""
        distrust = self._reader.distrust(directory)
        for entry in entries(directory, self._note):
            if entry.name.endswith(KINDS_OF_LINKS):
                self._take_links(entry, distrust)
            elif entry.name.endswith((names.SUFFIX, ".yml")):
                self.take_file(entry.path, distrust)
            elif entry.name.endswith(f"{names.SUFFIX}.d") or entry.name in KIND_FOLDERS:
                self.take_folder(entry.path, distrust)
        for entry in entries(self.overlay_directory(directory), self._note):
            if entry.name.endswith((names.SUFFIX, ".yml")):
                self.take_overlay(entry.path)

    def overlay_directory(self, directory: str) -> str:
        return os.path.join(directory, "environments", self._environment) if self._environment else ""

    def take_file(self, path: str, distrust: str) -> None:
        name = os.path.basename(path)
        above = self._files.get(name)
        if above is None:
            self._files[name] = self._reader.read(path, distrust)
            self._note_alias(path)
        elif not above.text and not above.refused:  # it hides this one, and says nothing itself
            self._files[name] = Piece(path=above.path, masked=True)

    def _note_alias(self, path: str) -> None:
        """A link to another unit in these directories is another name for it."""
        if not os.path.islink(path):
            return
        directory, target = os.path.split(os.path.realpath(path))
        if directory in self._real and target != (name := os.path.basename(path)):
            self._aliases[name] = target
            if os.path.dirname(path) in (self._directories[0], runtime_of(self._directories)):
                self._note_enabled(target, path)  # what comes with a package is only a name

    def _note_enabled(self, file: str, link: str) -> None:
        try:
            unit = names.split_file(file).full
        except Mistake:
            return  # told with the file
        passing = os.path.dirname(link).startswith(runtime_of(self._directories) or "\0")
        self._enabled.setdefault(unit, "enabled-runtime" if passing else "enabled")

    def take_overlay(self, path: str) -> None:
        distrust = self._reader.distrust(os.path.dirname(path))
        self._overlays.setdefault(os.path.basename(path), self._reader.read(path, distrust))

    def take_folder(self, path: str, distrust: str) -> None:
        """Drop-ins, by the name of their directory."""
        inside = self._dropins.setdefault(os.path.basename(path), {})
        distrust = distrust or self._reader.distrust(path)
        for entry in entries(path, lambda piece: inside.setdefault("", piece)):
            if entry.name.endswith(names.SUFFIX) and entry.name not in inside:
                inside[entry.name] = self._reader.read(entry.path, distrust)

    def _note(self, bad: Piece) -> None:
        self._files[bad.path] = bad

    def _take_links(self, entry: os.DirEntry[str], distrust: str) -> None:
        """What a directory such as default.target.wants names. What its links point at does not matter."""
        target, _, kind = entry.name.rpartition(".")
        distrust = distrust or self._reader.distrust(entry.path)
        if distrust or not entry.is_dir():
            self._note(Piece(path=entry.path, refused=distrust or "is not a directory"))
            return
        for link in entries(entry.path, self._note):
            try:
                unit = names.split_file(link.name)
                if unit.is_template:
                    raise Mistake("a template is no unit: link an instance")
                self._links[kind].setdefault(names.split(target).full, {})[unit.full] = None
                self._note_enabled(link.name, link.path)
            except Mistake as mistake:
                self._files[f"{entry.name}/{link.name}"] = Piece(path=link.path, refused=str(mistake))


def transient_of(directories: Sequence[str]) -> str:
    """Below that one: where the units are that are made by request, and go when they have ended."""
    runtime = runtime_of(directories)
    return os.path.join(runtime, "transient") if runtime else ""


def _real_folder(folder: str, known: aliases.Aliases) -> str:
    try:
        return f"{aliases.real(names.split_file(folder.removesuffix('.d')), known).file}.d"
    except Mistake:
        return folder  # of all units of a kind; or of none, which is told


def runtime_of(directories: Sequence[str]) -> str:
    """The second of them, as in /etc, /run, /usr/lib."""
    return directories[1] if len(directories) > 2 else ""
