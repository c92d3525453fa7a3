"""The signals that the keeper listens to, as bytes in a pipe that its loop reads."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal

TOLD: dict[int, str] = {  # signal -> what the manager is told
    signal.SIGTERM: "terminate",
    signal.SIGINT: "terminate",
    signal.SIGHUP: "reload",
    signal.SIGUSR2: "reexec",
}
_MOST_READ = 4096  # bytes at a time
HEARD = (signal.SIGCHLD, signal.SIGUSR1, *TOLD)  # SIGUSR1 asks nothing of us, and is not to end us


class Ear:
    """Signals arrive as their numbers in a pipe: nothing happens in the middle of anything else."""

    def __init__(self) -> None:
        self.fd, self._end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # What was ignored when we were started (nohup, a shell's background job) is not to reach the agents.
        self.not_default = _not_default() | set(HEARD)
        signal.set_wakeup_fd(self._end, warn_on_full_buffer=False)
        for number in HEARD:
            signal.signal(number, _leave_it_to_the_pipe)
        unblock()

    def hear(self) -> set[int]:
        heard = b""
        try:
            while len(chunk := os.read(self.fd, _MOST_READ)) == _MOST_READ:
                heard += chunk
            heard += chunk
        except BlockingIOError:
            pass
        return set(heard)

    def refuse(self) -> set[int]:
        """Block all that is heard, and return what had come: what comes later is there for the successor."""
        block()
        return self.hear()


def block() -> None:
    """Hold back every signal that the keeper handles, in this thread and in what is born of it.

    A child shares the pipe, and a SIGTERM for the agent would be taken for one to the keeper. Held back, it is
    delivered once the child has let go of our handlers, which is one of its first steps.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)


def block_all() -> None:
    """Leave every signal to other threads."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


class Held:
    """While a child is made."""

    def __enter__(self) -> None:
        block()

    def __exit__(self, *_: object) -> None:
        unblock()


def unblock() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _leave_it_to_the_pipe(_number: int, _frame: object) -> None:
    pass


def _not_default() -> set[int]:
    return {n for n in signal.valid_signals() if signal.getsignal(n) not in (signal.SIG_DFL, None)}
