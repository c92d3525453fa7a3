"""Finds plugins, asks and tells them, and fences them off: each has a thread, a bounded queue and a count of faults."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from importlib.metadata import EntryPoint, entry_points
from queue import Full, Queue
from typing import Any

import pluggy
from msgspec import Struct

from maestro import hooks

_log = logging.getLogger("maestro")
_LONGEST_QUEUE = 1000  # notices a plugin may be behind; more are dropped and counted
_LONGEST_CALL = 10.0  # seconds a hook may take before it counts as a fault


class Fence:
    """One plugin: its hooks run in its own thread, one at a time, and nobody waits for them longer than `_LONGEST_CALL`."""

    def __init__(self, name: str, implementations: dict[str, Callable[..., Any]]) -> None:
        self.name = name
        self.faults = 0
        self.dropped = 0
        self.set_aside = ""  # why, once it is
        self._hooks = implementations
        self._queue: Queue[tuple[str, dict[str, Any], Future[Any]] | None] = Queue(_LONGEST_QUEUE)
        self._thread = threading.Thread(target=self._work, name=f"plugin {name}", daemon=True)
        self._thread.start()

    def offers(self, hook: str) -> bool:
        return hook in self._hooks and not self.set_aside

    def ask(self, hook: str, **arguments: Any) -> Future[Any]:
        """Queue a call. The future fails with `queue.Full` when the plugin is too far behind."""
        answer: Future[Any] = Future()
        try:
            self._queue.put_nowait((hook, arguments, answer))
        except Full as full:
            self.dropped += 1
            answer.set_exception(full)
        return answer

    def close(self) -> None:
        with contextlib.suppress(Full):  # a stuck plugin: its thread is a daemon's and ends with us
            self._queue.put_nowait(None)

    def blame(self, what: str) -> None:
        """Count a fault; after `MOST_FAULTS` the plugin is set aside."""
        self.faults += 1
        _log.warning("plugin %s: %s", self.name, what)
        if self.faults >= hooks.MOST_FAULTS and not self.set_aside:
            self.set_aside = f"set aside after {self.faults} faults, the last: {what.splitlines()[-1]}"
            _log.error("plugin %s: %s; restart the daemon to try it again", self.name, self.set_aside)

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            hook, arguments, answer = item
            if self.set_aside:
                answer.cancel()
                continue
            try:
                answer.set_result(self._hooks[hook](**arguments))
            except BaseException as error:  # a plugin may raise anything, SystemExit too
                self.blame(f"{hook} raised:\n{_own_frames(error)}")
                if not answer.done():
                    answer.set_exception(error)


def _own_frames(error: BaseException) -> str:
    """The traceback without our frames: the first is `_work`'s."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    return "".join(traceback.format_list(frames) + traceback.format_exception_only(error)).rstrip()


class Plugins:
    """All plugins that were found, and the three ways to call them."""

    def __init__(self, state: str, blocked: tuple[str, ...] = ()) -> None:
        self._pluggy = pluggy.PluginManager(hooks.GROUP)
        self._pluggy.add_hookspecs(hooks)
        self._state = state
        self._blocked = blocked
        self.fences: list[Fence] = []
        self.sections: dict[str, type[Struct]] = {}
        self._owners: dict[str, str] = {}  # section -> plugin

    def find(self) -> None:
        """Load every entry point of the group. One that does not load is logged and left out."""
        for entry in entry_points(group=hooks.GROUP):
            if entry.name not in self._blocked:
                self._load(entry)

    def _load(self, entry: EntryPoint) -> None:
        try:
            self.add(entry.name, entry.load())
        except BaseException as error:
            _log.error("plugin %s does not load: %s: %s", entry.name, type(error).__name__, error)

    def add(self, name: str, module: object) -> None:
        """Take a plugin in, and ask what it declares. Raises what pluggy has to say about unknown hooks."""
        self._pluggy.register(module, name)
        self._pluggy.check_pending()
        callers = self._pluggy.get_hookcallers(module) or []
        found = {
            caller.name: _with_named_arguments(one)
            for caller in callers
            for one in caller.get_hookimpls()
            if one.plugin is module
        }
        fence = Fence(name, found)
        self.fences.append(fence)
        if fence.offers("maestro_sections"):
            self._declare(fence)

    def _declare(self, fence: Fence) -> None:
        try:
            sections = fence.ask("maestro_sections").result(_LONGEST_CALL)
        except Exception:
            return  # told by the fence
        for section, kind in sections.items():
            if section in self._owners:
                fence.blame(f"section {section} is already declared by plugin {self._owners[section]}")
                continue
            self._owners[section] = fence.name
            self.sections[section] = kind

    def begin(self) -> None:
        for fence in self.fences:
            if fence.offers("maestro_begin"):
                fence.ask(
                    "maestro_begin",
                    places=hooks.Places(state=os.path.join(self._state, "plugins", fence.name)),
                )

    def notice(self, make: Callable[[str | None], hooks.EventNotice]) -> None:
        """Tell every plugin. `make` builds the notice for one that owns the named section, or none."""
        for fence in self.fences:
            if fence.offers("maestro_event"):
                own = next((name for name, owner in self._owners.items() if owner == fence.name), None)
                fence.ask("maestro_event", event=make(own))

    @property
    def listens(self) -> bool:
        return any(fence.offers("maestro_event") for fence in self.fences)

    async def first(self, hook: str, **arguments: Any) -> Any:
        """Ask one plugin after the other; the first answer other than None, or None."""
        for fence in self.fences:
            if not fence.offers(hook):
                continue
            try:
                answer = await asyncio.wait_for(
                    asyncio.wrap_future(fence.ask(hook, **arguments)), _LONGEST_CALL
                )
            except TimeoutError:
                fence.blame(f"{hook} took longer than {_LONGEST_CALL:.0f} s")
            except (Exception, asyncio.CancelledError):
                continue  # told by the fence
            else:
                if answer is not None:
                    return answer
        return None

    @property
    def notices(self) -> tuple[str, ...]:
        """What an operator should know."""
        aside = tuple(f"plugin {fence.name}: {fence.set_aside}" for fence in self.fences if fence.set_aside)
        behind = tuple(
            f"plugin {fence.name} is behind: {fence.dropped} notices dropped"
            for fence in self.fences
            if fence.dropped
        )
        return aside + behind

    def close(self) -> None:
        for fence in self.fences:
            fence.close()


def _with_named_arguments(implementation: Any) -> Callable[..., Any]:
    """pluggy lets an implementation take only some of a hook's arguments."""
    names = implementation.argnames

    def call(**arguments: Any) -> Any:
        return implementation.function(*(arguments[name] for name in names))

    return call
