"""The memory of this host, and the kernel's word that work stands still for want of it (pressure stall information, PSI).

The kernel tells of it on a descriptor: nothing is polled. It does so by POLLPRI, which event loops do not wait for; they do wait for an
epoll object, which is ready when something in it is. Looking whether it is takes the word away: being called is the word.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
from collections.abc import Callable

from maestro.ports import Finding

PSI, MEMINFO = "/proc/pressure/memory", "/proc/meminfo"
# When some work stood still for 150 ms of the last second; or, who may not have that, for 300 ms of the last two.
_TRIGGERS = (b"some 150000 1000000\0", b"some 300000 2000000\0")
_MOST = 4096  # bytes of /proc/meminfo: what is wanted comes first
_log = logging.getLogger(__name__)


class MemoryPressure:
    """Implements `headroom.Pressure`."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop | None = None, psi: str = PSI, meminfo: str = MEMINFO
    ) -> None:
        self._loop, self._psi, self._meminfo = loop, psi, meminfo
        self._fd, self._info = -1, -1
        self._poll: select.epoll | None = None
        self._ring: Callable[[], None] = lambda: None

    def begin(self, ring: Callable[[], None]) -> None:
        """Ring from now on, at most once a second or two. Where there is no such word, never: `findings` says why."""
        self._ring = ring
        self._fd, why = _trigger(self._psi)
        if self._fd < 0 or self._loop is None:
            _log.info("no word of memory pressure: %s", why)
            return
        self._poll = select.epoll()
        self._poll.register(self._fd, select.EPOLLPRI)
        self._loop.add_reader(self._poll.fileno(), self._rang)

    def _rang(self) -> None:
        if self._poll is not None and any(mask & select.EPOLLERR for _, mask in self._poll.poll(0)):
            _log.warning("no more word of memory pressure: the kernel has ended it")
            self.close()
            return
        self._ring()

    def memory(self) -> tuple[int, int]:
        """Bytes in all, and available; -1 where that is not known."""
        try:
            if self._info < 0:
                self._info = os.open(self._meminfo, os.O_RDONLY | os.O_CLOEXEC)
            lines = os.pread(self._info, _MOST, 0).splitlines()
            found = {line.split()[0]: int(line.split()[1]) << 10 for line in lines[:3]}
            return found[b"MemTotal:"], found[b"MemAvailable:"]
        except (OSError, LookupError, ValueError) as error:
            _log.debug("%s: %s", self._meminfo, error)
            return 0, -1

    def close(self) -> None:
        if self._poll is not None and self._loop is not None:
            self._loop.remove_reader(self._poll.fileno())
            self._poll.close()
            self._poll = None
        for fd in (self._fd, self._info):
            if fd >= 0:
                os.close(fd)
        self._fd = self._info = -1


def findings(psi: str = PSI) -> tuple[Finding, ...]:
    """What `maestroctl doctor` says of it."""
    fd, why = _trigger(psi)
    part, cost = (
        "memory pressure",
        "when the host is short of memory, no agent is frozen and no start waits for that",
    )
    if fd < 0:
        return (Finding(part=part, state="missing", words=why, cost=cost, advice=_ADVICE),)
    with contextlib.suppress(OSError):
        os.close(fd)
    return (Finding(part=part, state="ok", words=f"told by the kernel, {psi}"),)


_ADVICE = "a kernel with CONFIG_PSI, booted with psi=1"


def _trigger(path: str) -> tuple[int, str]:
    """A descriptor that the kernel tells it on, or -1 and why there is none."""
    why = ""
    for trigger in _TRIGGERS:
        fd = -1
        try:
            fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            os.write(fd, trigger)
        except OSError as error:
            why = f"{path}: {(error.strerror or '').lower()}"
            if fd >= 0:
                os.close(fd)
        else:
            return fd, ""
    return -1, why
