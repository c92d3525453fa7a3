"""Waits for a line of a stream."""

from __future__ import annotations

import re
from collections.abc import Callable

from maestro.drivers.log_files.scan import Scan
from maestro.drivers.log_files.segments import Shelf

OURS = "-- maestro: "  # how the lines begin that Maestro itself writes; they are never what is waited for


class Watch:
    """Looks at each line once, from an offset on. `seen` is called on the loop's thread, at most once."""

    def __init__(self, pattern: str, at: int, seen: Callable[[], None]) -> None:
        self._pattern = re.compile(pattern)
        self.at = at  # offset; -1: where the stream ends when the pump gets to know of this
        self._seen = seen
        self._scan: Scan | None = None
        self.cancelled = False

    def look(self, shelf: Shelf) -> bool:
        """Whether the line has come. Used by the pump only."""
        if self._scan is None:
            self._scan = Scan(shelf, self.at, timed=False)
        while lines := self._scan.more():
            if any(self._pattern.search(line.text) for line in lines if not line.text.startswith(OURS)):
                return True
        return False

    def report(self) -> None:
        if not self.cancelled:
            self.cancelled = True
            self._seen()
