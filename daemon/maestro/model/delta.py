"""Which files override, extend or mask which, as `systemd-delta` tells it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from msgspec import Struct

from maestro.model.library import Piece
from maestro.model.redaction import redacted

KINDS = ("masked", "equivalent", "redirected", "overridden", "extended")


class Difference(Struct, frozen=True, kw_only=True):
    kind: str  # of KINDS
    top: str  # the path that counts, or adds
    bottom: str  # the one that it hides, or is added to
    diff: tuple[str, ...] = ()


def differences(
    versions: Mapping[str, tuple[Piece, ...]], leads: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Difference]:
    """Of all versions of each file, by its path below its directory; the first of each counts. `leads`: where links lead."""
    for name, found in sorted(versions.items()):
        top, *below = found
        yield from (_between(top, bottom, leads.get(top.path, "")) for bottom in below)
        folder, inside, _ = name.rpartition("/")
        unit = versions.get(folder.removesuffix(".d")) if inside else None
        if unit is not None and not top.masked:
            yield Difference(kind="extended", top=top.path, bottom=unit[0].path)


def _between(top: Piece, bottom: Piece, leads: str) -> Difference:
    if top.masked or (not top.text and bottom.text and not top.refused):
        return Difference(kind="masked", top=top.path, bottom=bottom.path)
    if leads and leads != bottom.path:
        return Difference(kind="redirected", top=top.path, bottom=bottom.path)
    if leads or top.text == bottom.text:
        return Difference(kind="equivalent", top=top.path, bottom=bottom.path)
    old, new = (redacted(piece.text.decode("utf-8", "replace")).splitlines() for piece in (bottom, top))
    diff = tuple(difflib.unified_diff(old, new, bottom.path, top.path, lineterm=""))
    return Difference(kind="overridden", top=top.path, bottom=bottom.path, diff=diff)
