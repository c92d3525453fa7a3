"""The thread in which the keeper lives, and its children are born.

Linux keeps the children of each thread apart, and gives orphans to the first thread of a process. So while all of
ours are born in a second one, the list of the first holds, of a thousand agents, only what they left behind: it is
short, and read at each exit.

A thread's end is a parent's end to a child that asked to be told of it (PR_SET_PDEATHSIG). A renewal leaves one
thread only, the one that executes: it is the second, the parent of all. What is born after it must have the same
parent, so that the next renewal has such a thread, too: from then on the keeper lives in its first and only one.
That costs a long list, and nothing else.
"""

from __future__ import annotations

import _thread

from maestro.keeper import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def live_apart(live: Callable[[], int]) -> int:
    """What `live` returns, or raises, from a thread that hears all signals. Ours waits meanwhile and hears none."""
    over = _thread.allocate_lock()
    over.acquire()
    outcome: list[int | BaseException] = []

    def run() -> None:
        signals.unblock()
        try:
            outcome.append(live())
        except BaseException as error:
            outcome.append(error)
        over.release()

    signals.block_all()
    try:
        _thread.start_new_thread(run, ())
    except RuntimeError:  # there may be no more threads: then as after a renewal
        run()
    over.acquire()
    [result] = outcome
    if isinstance(result, BaseException):
        raise result
    return result
