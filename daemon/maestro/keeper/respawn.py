"""When a manager is started again. Decides only: the time comes in, words and a time go out."""

from __future__ import annotations

import os

from maestro.keeper.say import how_it_ended
from maestro.keeper.wire import EXIT_RESTART, PINGS_SINCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LONGEST_PAUSE = 25  # times the first: from 0.2 s to 5 s
_HEALTHY = 10.0  # seconds of life after which the pauses begin anew
_SHORT_LIVES = 5  # managers in a row that died young: a sixth would not end things in order either
_LINK_GRACE = 30.0  # for a manager that has closed its link to end
_ABORT_GRACE = 2.0  # for one that was told to say where it hangs


class Respawn:
    """The manager's life as the keeper sees it."""

    def __init__(self, first_pause: float) -> None:
        self.first_pause = first_pause
        self.pause = first_pause
        self.pid = 0
        self.started = 0.0
        self.due: float | None = 0.0  # when the next is to be started; None while one runs
        self.greeted = False  # it has said hello
        self.retiring = False
        self.short_lives = 0
        self.version = 0  # of the link, as its hello named it
        self.kill_at: float | None = None
        self.why_killed = ""

    def began(self, pid: int, now: float) -> None:
        self.pid, self.started, self.due = pid, now, None
        self.greeted, self.version, self.kill_at = False, 0, None

    def said_hello(self, version: int) -> None:
        self.greeted, self.version = True, version

    def answers_pings(self) -> bool:
        return self.pid > 0 and self.greeted and self.version >= PINGS_SINCE and self.kill_at is None

    def retire(self) -> None:
        self.retiring = True

    def link_lost(self, now: float) -> None:
        if self.kill_at is None:
            self.kill_at, self.why_killed = now + _LINK_GRACE, "closed its link and goes on"

    def given_up(self, now: float, stopped: bool) -> None:
        """It hangs. One that is stopped has nothing to say before it is killed."""
        self.kill_at, self.why_killed = now + (0 if stopped else _ABORT_GRACE), "does not end by SIGABRT"

    def ended(self, status: int, now: float) -> str:
        """Take in that the manager ended; returns what the operator is told, if anything."""
        lived = now - self.started
        self.pid, self.kill_at = 0, None
        if self.retiring:
            return ""
        if self.greeted and os.WIFEXITED(status) and os.WEXITSTATUS(status) == EXIT_RESTART:
            self.due, self.pause = now, self.first_pause
            return ""
        return f"the manager {how_it_ended(status)} after {lived:.1f} s; {self._again(lived, now)}"

    def could_not_start(self, why: str, now: float) -> str:
        return f"cannot start the manager: {why}; {self._again(0.0, now)}"

    def hopeless(self) -> bool:
        return self.short_lives >= _SHORT_LIVES

    def _again(self, lived: float, now: float) -> str:
        self.short_lives += 1
        if lived >= _HEALTHY:
            self.pause, self.short_lives = self.first_pause, 0
        words = f"next start in {self.pause:g} s"
        self.due = now + self.pause
        self.pause = min(self.pause * 2, self.first_pause * _LONGEST_PAUSE)
        return words

    def state(self) -> dict[str, Any]:
        return dict(self.__dict__)


def restored(state: dict[str, Any]) -> Respawn:
    respawn = Respawn(state["first_pause"])
    for name in respawn.__dict__:
        setattr(respawn, name, state.get(name, getattr(respawn, name)))
    return respawn


def exit_code(status: int) -> int:
    """What a shell would make of it."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)
