"""What the keeper waits for: descriptors, each with the function that sees to it."""

from __future__ import annotations

import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Watch:
    def __init__(self) -> None:
        self._epoll = select.epoll()  # close-on-exec
        self._handlers: dict[int, Callable[[], object]] = {}
        self._wanting_room: set[int] = set()

    def on(self, fd: int, handler: Callable[[], object], events: int = select.EPOLLIN) -> None:
        """`events` 0: only the end of the other side, and errors."""
        self._epoll.register(fd, events)
        self._handlers[fd] = handler
        self._wanting_room.discard(fd)

    def want_room(self, fd: int, wanted: bool) -> None:
        """Call the handler when the descriptor takes bytes, too."""
        if wanted != (fd in self._wanting_room):
            self._wanting_room ^= {fd}
            self._epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if wanted else 0))

    def off(self, fd: int) -> None:
        """To be called before the descriptor is closed: where a child holds it, epoll would go on."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def wait(self, timeout: float | None) -> list[int]:
        ready = self._epoll.poll(-1 if timeout is None else max(timeout, 0))
        return [fd for fd, _ in ready]

    def handle(self, fd: int) -> None:
        handler = self._handlers.get(fd)  # none where an earlier one of the same batch has closed it
        if handler is not None:
            handler()
