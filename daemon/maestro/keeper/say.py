"""The few words that the keeper has for an operator: one line each, on stderr."""

from __future__ import annotations

import errno
import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
else:
    import _signal as signal  # `signal` itself brings in enum: 0.7 MB for names in a fancier dress


def say(words: str) -> None:
    """Write one line, or nothing where stderr is full: the keeper waits for nobody, not even a terminal."""
    ready = select.poll()
    ready.register(2, select.POLLOUT)
    try:
        if any(events & select.POLLOUT for _, events in ready.poll(0)):
            os.write(2, f"maestrod: {words}\n".encode(errors="replace")[:4096])
    except OSError:
        pass  # no one reads: there is nobody to tell


def guarded(act: Callable[..., object], *arguments: object) -> None:
    """A fault in one order costs that order: the keeper goes on, whatever happens."""
    try:
        act(*arguments)
    except Exception as error:
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        where = f" ({frame.tb_frame.f_code.co_filename}:{frame.tb_lineno})" if frame else ""
        say(f"a fault of the keeper's own, please report: {error!r}{where}")


def how_it_ended(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"was killed by {signal_name(os.WTERMSIG(status))}"
    return f"ended with {os.waitstatus_to_exitcode(status)}"


def signal_name(number: int) -> str:
    for name in dir(signal):
        if name.startswith("SIG") and name[3:4] != "_" and getattr(signal, name) == number:
            return name
    return f"signal {number}"


def error_name(error: OSError) -> str:
    number = error.errno or 0
    return f"{os.strerror(number)} ({errno.errorcode.get(number, number)})"
