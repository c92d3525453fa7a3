"""How many bytes a stream may still write in the interval that runs."""

from __future__ import annotations

from maestro.ports import LogLimits

BOUNDLESS = 1 << 62
_NEVER = float("-inf")


class Window:
    """Intervals of `rate_interval` seconds, each begun by the first byte after the one before."""

    __slots__ = ("_begun", "_spent", "over")

    def __init__(self) -> None:
        self._begun = _NEVER  # monotonic seconds
        self._spent = 0
        self.over = False  # the burst is used up: nothing more is kept until the interval ends

    def left(self, limits: LogLimits, now: float) -> int:
        """Bytes; below 0 where a line was finished beyond the limit."""
        if limits.rate_burst <= 0:
            self.over = False
            return BOUNDLESS
        if now >= self.ends(limits):
            self._begun, self._spent, self.over = now, 0, False
        return 0 if self.over else limits.rate_burst - self._spent

    def spend(self, count: int) -> None:
        self._spent += count

    def ends(self, limits: LogLimits) -> float:
        return self._begun + limits.rate_interval
