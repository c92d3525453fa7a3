"""Finds plugins, asks and tells them, and fences them off: each has a thread, a bounded queue and a count of faults."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from importlib.metadata import EntryPoint, entry_points
from queue import Full, Queue
from typing import Any

import pluggy
from msgspec import Struct

from maestro import hooks
from maestro.model.unit import AgentFile

_log = logging.getLogger("maestro")
_LONGEST_QUEUE = 1000  # notices a plugin may be behind; more are dropped and counted
_LONGEST_CALL = (
    10.0  # seconds a hook may take before it counts as a fault; each further such time is one more
)
_LONGEST_WAIT = 1.1  # times that, for an answer: so that who is late is seen to be


class Unanswered(Exception):
    """A plugin gave no answer: it was set aside, or raised what must not be raised here."""


class Fence:
    """One plugin: its hooks run in its own thread, one at a time, and nobody waits for them longer than `_LONGEST_CALL`."""

    def __init__(self, name: str, implementations: dict[str, Callable[..., Any]]) -> None:
        self.name = name
        self.faults = 0
        self.dropped = 0
        self.set_aside = ""  # why, once it is
        self._hooks = implementations
        self._working = ""  # the hook that runs
        self._began = self._blamed = 0.0  # when it did, and when it was last said to take too long
        self._queue: Queue[tuple[str, dict[str, Any], Future[Any]] | None] = Queue(_LONGEST_QUEUE)
        self._thread = threading.Thread(target=self._work, name=f"plugin {name}", daemon=True)
        self._thread.start()

    def offers(self, hook: str) -> bool:
        return hook in self._hooks and not self.set_aside

    def ask(self, hook: str, **arguments: Any) -> Future[Any]:
        """Queue a call. The future fails with `queue.Full` when the plugin is too far behind."""
        self.look_at_the_clock()
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

    def look_at_the_clock(self) -> None:
        """Blame a hook that takes too long. It can't be stopped, but what it holds up can be told, and the plugin set aside."""
        hook, now = self._working, time.monotonic()
        if hook and now - max(self._began, self._blamed) > _LONGEST_CALL:
            self._blamed = now
            self.blame(f"{hook} takes longer than {now - self._began:.0f} s")

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            hook, arguments, answer = item
            if not answer.set_running_or_notify_cancel():
                continue
            if self.set_aside:
                answer.set_exception(Unanswered(self.set_aside))
                continue
            self._began, self._working = time.monotonic(), hook
            try:
                answer.set_result(self._hooks[hook](**arguments))
            except Exception as error:
                self.blame(f"{hook} raised:\n{_own_frames(error)}")
                answer.set_exception(error)
            except BaseException as error:  # SystemExit, which would end whoever waits for the answer
                self.blame(f"{hook} raised:\n{_own_frames(error)}")
                answer.set_exception(Unanswered(type(error).__name__))
            finally:
                self._working = ""


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
        self.refused: list[str] = []  # plugins that do not load, and why
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
            self.refused.append(f"plugin {entry.name} does not load: {type(error).__name__}: {error}")
            _log.error("%s", self.refused[-1])

    def add(self, name: str, module: object) -> None:
        """Take a plugin in, and ask what it declares. Raises what pluggy has to say about unknown hooks and arguments."""
        try:
            self._pluggy.register(module, name)
            self._pluggy.check_pending()
        except pluggy.PluginValidationError:
            if self._pluggy.has_plugin(name):  # it would be checked again, and blamed on the next
                self._pluggy.unregister(name=name)
            raise
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
            sections = fence.ask("maestro_sections").result(_LONGEST_CALL * _LONGEST_WAIT)
        except TimeoutError:
            fence.look_at_the_clock()
            return
        except Exception:
            return  # told by the fence
        if not isinstance(sections, dict):
            fence.blame(f"maestro_sections returned {type(sections).__name__}, and not a dict of sections")
            return
        for section, kind in sections.items():
            wrong = self._mistake(section, kind)
            if wrong:
                fence.blame(wrong)
                continue
            self._owners[section] = fence.name
            self.sections[section] = kind

    def _mistake(self, section: object, kind: object) -> str:
        """What keeps a section from being declared, or an empty string."""
        if section in self._owners:
            return f"section {section} is already declared by plugin {self._owners[str(section)]}"
        if section in AgentFile.__struct_fields__:
            return f"section {section} is Maestro's own"
        if not isinstance(section, str) or not (isinstance(kind, type) and issubclass(kind, Struct)):
            return f"section {section!r} is not declared by a Struct of options"
        return ""

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
                    asyncio.wrap_future(fence.ask(hook, **arguments)), _LONGEST_CALL * _LONGEST_WAIT
                )
            except TimeoutError:
                fence.look_at_the_clock()
            except Exception:
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
        return (*self.refused, *aside, *behind)

    def close(self) -> None:
        for fence in self.fences:
            fence.close()


def _with_named_arguments(implementation: Any) -> Callable[..., Any]:
    """pluggy lets an implementation take only some of a hook's arguments."""
    names = implementation.argnames

    def call(**arguments: Any) -> Any:
        return implementation.function(*(arguments[name] for name in names))

    return call
