"""Descriptors that agents leave with us for the next process of their unit: sd_notify's FDSTORE=1."""

from __future__ import annotations

import os

from maestro.keeper import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maestro.keeper.watch import Watch


class Kept:
    __slots__ = ("fd", "name", "polled")

    def __init__(self, fd: int, name: str, polled: bool) -> None:
        self.fd = fd
        self.name = name
        self.polled = polled  # closed when its other end is gone


class Store:
    """By unit, in the order in which they came."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._kept: dict[str, list[Kept]] = {}

    def of(self, unit: str) -> list[Kept]:
        return self._kept.get(unit, [])

    def put(self, unit: str, name: str, polled: bool, most: int, fd: int) -> None:
        """Keep a descriptor; one that is there already is not kept twice, nor more than are allowed."""
        kept = self._kept.setdefault(unit, [])
        if len(kept) >= most or any(kernel.is_same_file(fd, one.fd) for one in kept):
            os.close(fd)
            return
        kept.append(Kept(fd, name, polled))
        self._await_end(unit, kept[-1])

    def _await_end(self, unit: str, one: Kept) -> None:
        if one.polled:
            try:  # noqa: SIM105 (contextlib costs the keeper memory)
                self._watch.on(one.fd, lambda: self._close(unit, one), events=0)
            except OSError:
                pass  # a regular file, say: nobody is at its other end

    def remove(self, unit: str, name: str) -> None:
        for one in [one for one in self.of(unit) if one.name == name]:
            self._close(unit, one)

    def drop(self, unit: str) -> None:
        for one in list(self.of(unit)):
            self._close(unit, one)

    def _close(self, unit: str, one: Kept) -> None:
        kept = self._kept[unit]
        kept.remove(one)
        if not kept:
            del self._kept[unit]
        self._watch.off(one.fd)
        os.close(one.fd)

    def descriptors(self) -> list[int]:
        return [one.fd for kept in self._kept.values() for one in kept]

    def state(self) -> dict[str, list[tuple[int, str, bool]]]:
        return {unit: [(one.fd, one.name, one.polled) for one in kept] for unit, kept in self._kept.items()}

    def restore(self, state: dict[str, list[tuple[int, str, bool]]]) -> None:
        for unit, kept in state.items():
            self._kept[unit] = [Kept(*one) for one in kept]
            for one in self._kept[unit]:
                self._await_end(unit, one)
