"""Where children are born: in a thread of their own, as long as the keeper is the first of its process.

Linux keeps the children of each thread apart, and gives orphans to the first thread of a process. So the list of
the first thread holds, of a thousand agents, only what they left behind: it is short, and read at each exit.

A thread's end is a parent's end to a child that asked to be told of it (PR_SET_PDEATHSIG), and a renewal leaves one
thread only: the one that executes, the parent of all. What is born after it must have the same parent, so that the
next renewal has such a thread, too. That costs a long list, and nothing else.
"""

from __future__ import annotations

import _thread

from maestro.keeper import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_STACK = 256 << 10  # bytes: what an exec's error handling takes, and some


def _nothing() -> None:
    pass


class Cradle:
    """The calling thread. No signal that the keeper handles is heard meanwhile, and so none reaches a child before it is itself."""

    def do(self, act: Callable[[], Any]) -> Any:
        """What `act` returns, or raises."""
        signals.block()
        try:
            return act()
        finally:
            signals.unblock()


class Apart(Cradle):
    """A thread that hears no signals. Ours waits meanwhile: only one of the two ever runs."""

    def __init__(self) -> None:
        self._asked, self._answered = _thread.allocate_lock(), _thread.allocate_lock()
        self._asked.acquire()
        self._answered.acquire()
        self._act: Callable[[], Any] = _nothing
        self._result: Any = None
        self._error: BaseException | None = None
        before = _thread.stack_size(_STACK)
        signals.block()  # the new thread inherits that
        try:
            _thread.start_new_thread(self._live, ())
        finally:
            signals.unblock()
            _thread.stack_size(before)

    def do(self, act: Callable[[], Any]) -> Any:
        self._act = act
        self._asked.release()
        self._answered.acquire()
        error, self._error = self._error, None
        result, self._result = self._result, None
        self._act = _nothing  # what it holds, a recipe, may go
        if error is None:
            return result
        try:
            raise error
        finally:
            del (
                error
            )  # or its traceback and this frame would hold each other, and nobody here collects cycles

    def _live(self) -> None:
        while True:
            self._asked.acquire()
            try:
                self._result = self._act()
            except BaseException as error:
                self._error = error
            self._answered.release()
