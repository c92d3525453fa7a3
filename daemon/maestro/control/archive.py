"""The part of the desk where generations of the configuration are shown and compared."""

from __future__ import annotations

from maestro.control.clerk import Clerk
from maestro.control.configuring import (
    DiffView,
    FileView,
    GenerationDiff,
    GenerationFiles,
    Generations,
    GenerationView,
)
from maestro.control.roles import Caller
from maestro.control.service import refused
from maestro.manager.configuration import difference, pieces
from maestro.model.redaction import redacted
from maestro.ports import Piece


class Archive(Clerk):
    """Methods of `control.service.Service`."""

    async def generations(self, caller: Caller, request: Generations) -> tuple[GenerationView, ...]:
        found = await self._o.configuration.generations(request.lines)
        return tuple(
            GenerationView(
                number=number,
                in_force=number == self._o.configuration.number,
                time=one.at,
                author=one.author,
                reason=one.reason,
                files=one.files,
                added=one.added,
                changed=one.changed,
                removed=one.removed,
                unnamed=one.unnamed,
            )
            for number, one in found
        )

    async def generation_files(self, caller: Caller, request: GenerationFiles) -> tuple[FileView, ...]:
        found = await self._pieces(request.number)
        return tuple(FileView(path=path, text=_text(piece)) for path, piece in sorted(found.items()))

    async def generation_diff(self, caller: Caller, request: GenerationDiff) -> tuple[DiffView, ...]:
        before, now = await self._pieces(request.before), await self._pieces(request.after)
        added, changed, removed = difference(before, now)
        return (
            *(DiffView(path=path, change="added", lines=_compare(None, now[path])) for path in added),
            *(DiffView(path=one, change="changed", lines=_compare(before[one], now[one])) for one in changed),
            *(DiffView(path=path, change="removed", lines=_compare(before[path], None)) for path in removed),
        )

    async def _pieces(self, number: int | None) -> dict[str, Piece]:
        asked = number or self._o.configuration.number
        found = await self._o.configuration.sources(asked)
        if found is None:
            raise refused(
                "no-such-generation",
                f"there is no generation {asked}, or it is not kept any more",
                "maestroctl config list shows those there are",
            )
        return pieces(found)


def _text(piece: Piece | None) -> str:
    if piece is None:
        return ""
    if piece.refused:
        return f"# not read: {piece.path} {piece.refused}\n"
    return redacted(piece.text.decode("utf-8", "replace"))


def _compare(before: Piece | None, now: Piece | None) -> tuple[str, ...]:
    import difflib  # large, and needed seldom

    lines = (_text(before).splitlines(), _text(now).splitlines())
    return tuple(difflib.unified_diff(*lines, lineterm=""))[2:]  # its head would name no file
