"""`maestroctl edit` and `set`: a drop-in or a whole file is written if the unit loads with it, and not at all if it does not."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from msgspec import Struct

from maestro.drivers import unit_files
from maestro.model import names, properties
from maestro.model.library import load_all, pieces
from maestro.model.load import Loaded
from maestro.model.plain import Mistake
from maestro.model.problem import Problem
from maestro.offline import Installed, installed, with_draft
from maestro.paths import Paths
from maestro.ports import Piece

DROP_IN = "override.yaml"
OPTIONS = "50-set.yaml"  # the drop-in of single options
RUNTIME_OPTIONS = "60-set.yaml"  # and that which lasts until the next boot, which comes over it
CUT = "# Everything below this line is left out."


class Draft(Struct, frozen=True, kw_only=True):
    """What is to be edited, and where it will be put."""

    unit: str
    path: str
    text: str  # as it is now; empty when it is new
    context: str = ""  # for the editor: what the unit is made of now, below the cut


class NoUnit(Exception):
    """There is nothing to edit; says why, and what to do."""

    def __init__(self, words: str, code: str = "no-such-unit", hint: str = "maestroctl list shows the units"):
        super().__init__(words)
        self.code, self.hint = code, hint


def draft(
    name: str, paths: Paths, *, full: bool = False, runtime: bool = False, drop_in: str = DROP_IN
) -> Draft:
    """Raises NoUnit."""
    here = installed(paths)
    unit = _unit(name, here)
    given = pieces(unit, here.sources.files, here.sources.overlays, here.sources.dropins)
    if not given:
        raise NoUnit(f"no unit {name}")
    base = given[0]
    if base.masked:
        raise NoUnit(f"{name} is masked by {base.path}", "masked", f"first: maestroctl unmask {name}")
    directory = paths.units[1 if runtime else 0]
    if full:
        path = os.path.join(directory, os.path.basename(base.path))
        return Draft(unit=unit.full, path=path, text=_decoded(base))
    path = os.path.join(directory, f"{unit.file}.d", drop_in)
    text = next((_decoded(piece) for piece in given if piece.path == path), "")
    return Draft(unit=unit.full, path=path, text=text, context=_context(given, path))


def initial(draft: Draft) -> str:
    """What the editor is begun with."""
    if not draft.context:
        return draft.text
    return f"# {draft.path}\n{draft.text or chr(10)}\n{CUT}\n\n{draft.context}"


def kept(draft: Draft, text: str) -> str:
    """What of an edited text is meant."""
    if not draft.context:
        return text
    text = text.partition(CUT)[0].removeprefix(f"# {draft.path}\n").strip("\n")
    says = any(line.strip() and not line.lstrip().startswith("#") for line in text.split("\n"))
    return f"{text}\n" if says else ""


def amended(draft: Draft, options: Sequence[str], paths: Paths) -> str:
    """Its text with these SECTION.OPTION=VALUE laid over it. Raises Mistake."""
    return properties.amend(draft.text, options, installed(paths).settings)


def problems(draft: Draft, text: str, paths: Paths) -> tuple[Problem, ...]:
    """What is wrong with the unit if this is put in place."""
    here = installed(paths)
    sources = with_draft(here.sources, Piece(path=draft.path, text=text.encode()))
    library = load_all(sources, settings=here.settings)
    loaded: Loaded | None = library.templates.get(draft.unit) or library.get(draft.unit)
    return loaded.problems if loaded is not None else ()


def put(draft: Draft, text: str) -> None:
    unit_files.put(draft.path, text)


def remove(draft: Draft) -> None:
    """Take a drop-in away, and its directory with the last one."""
    os.unlink(draft.path)
    with contextlib.suppress(OSError):  # others are there
        os.rmdir(os.path.dirname(draft.path))


def _unit(name: str, here: Installed) -> names.UnitName:
    try:
        return names.split(here.library.real(name.removesuffix(".agent")))
    except Mistake as mistake:
        raise NoUnit(f"no unit can have this name: {mistake}") from None


def _context(given: tuple[Piece, ...], path: str) -> str:
    lines = []
    for piece in given:
        if piece.path != path:
            lines += [f"# {piece.path}", *(f"# {line}".rstrip() for line in _decoded(piece).splitlines()), ""]
    return "\n".join(lines)


def _decoded(piece: Piece) -> str:
    return piece.text.decode("utf-8", "replace")
