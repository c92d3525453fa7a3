"""The entry points of installed distributions: `name = module:attribute` lines in the entry_points.txt beside their code.

importlib.metadata finds the same, and much else: with email, zipfile, csv and tempfile, which it imports for that, it takes 2.8 MB
for as long as the manager lives. What is inside a zip file on the path is not found here.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

from msgspec import Struct

_FILE = "entry_points.txt"
_KINDS = (".dist-info", ".egg-info")
_VALUE = r"(?P<module>[\w.]+)\s*(?::\s*(?P<attribute>[\w.]+)\s*)?(?:\[.*\]\s*)?"


class EntryPoint(Struct, frozen=True):
    """What a distribution offers to whom knows the group that it is in."""

    name: str
    value: str  # `module`, `module:attribute` or `module:attribute [extras]`
    group: str

    def load(self) -> Any:
        """The module, or what is in it. Raises whatever its import raises."""
        match = re.fullmatch(_VALUE, self.value)
        if match is None:
            raise ValueError(f"its entry point says {self.value!r}: write MODULE or MODULE:ATTRIBUTE")
        found: Any = import_module(match["module"])
        for name in (match["attribute"] or "").split("."):
            found = getattr(found, name) if name else found
        return found


def entry_points(group: str, path: Iterable[str] | None = None) -> list[EntryPoint]:
    """Those of a group. Of two distributions of the same name, the first on the path counts: its code is what is imported."""
    found: list[EntryPoint] = []
    seen: set[str] = set()
    for directory in dict.fromkeys(sys.path if path is None else path):
        for name in _distributions(directory or "."):
            if (distribution := _called(name)) not in seen:
                seen.add(distribution)
                found.extend(_read(os.path.join(directory, name, _FILE), group))
    return found


def _called(directory: str) -> str:
    """`My.Plugin-1.0.dist-info` -> `my-plugin`: what means the same distribution in different spellings."""
    name = directory.rpartition(".")[0].partition("-")[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def _distributions(directory: str) -> list[str]:
    """The directories of what is installed in one directory of the path; none where it cannot be listed, a zip file say."""
    try:
        return sorted(name for name in os.listdir(directory) if name.endswith(_KINDS))
    except OSError:
        return []


def _read(file: str, group: str) -> Iterator[EntryPoint]:
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            lines = [line.strip() for line in stream]
    except OSError:  # most have none
        return
    section = ""
    for line in lines:
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif section == group and not line.startswith(("#", ";")) and "=" in line:
            name, _, value = line.partition("=")
            yield EntryPoint(name.strip(), value.strip(), group)
