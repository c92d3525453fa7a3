"""Whether the manager still answers. Decides only: the time comes in, and what is to be done goes out."""

from __future__ import annotations

_PATIENCE = 3  # pings without an answer

_SEEN_AS = {"T": "it is stopped", "t": "a debugger holds it", "D": "it waits for a device", "R": "it is busy"}


class Pulse:
    """A beat every few seconds while a manager lives. What counts are pings, not time: a host that slept has sent none."""

    def __init__(self, every: float) -> None:
        self.every = every
        self.due: float | None = None  # the next beat; None where there is no manager
        self.unanswered = 0

    def begin(self, now: float) -> None:
        self.due, self.unanswered = now + self.every, 0

    def end(self) -> None:
        self.due = None

    def is_due(self, now: float) -> bool:
        return self.due is not None and now >= self.due

    def answered(self) -> None:
        self.unanswered = 0

    def beat(self, now: float, asks: bool) -> bool:
        """Note the beat, which brings a ping where `asks`; returns whether too many were sent for nothing."""
        # Had we been held up ourselves, or the whole host, so had the manager: it gets all its time again.
        held_up = self.due is None or now > self.due + self.every
        self.due = now + self.every
        if held_up or not asks:
            self.unanswered = 0
        if self.unanswered >= _PATIENCE:
            return True
        self.unanswered += asks
        return False


def describe(pid: int, state: str) -> str:
    """What the operator is told of a manager that is given up; `state` as /proc has it."""
    seen = f" ({words})" if (words := _SEEN_AS.get(state)) else ""
    return f"the manager (pid {pid}) has answered none of {_PATIENCE} pings{seen}: replacing it"
