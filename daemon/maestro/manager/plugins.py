"""Finds plugins, asks and tells them, and fences them off: each has a thread, a bounded queue and a count of faults."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import Full, SimpleQueue
from typing import Any

import pluggy
from msgspec import Struct

from maestro import hooks
from maestro.manager.entry_points import EntryPoint, entry_points
from maestro.model.option import subsections
from maestro.model.unit import AgentFile

_log = logging.getLogger("maestro")
_LONGEST_QUEUE = 10_000  # notices a plugin may be behind; more are dropped and counted
_LONGEST_CALL = (
    10.0  # seconds a hook may take before it counts as a fault; each further such time is one more
)
_LONGEST_WAIT = 1.1  # times that, for an answer: so that who is late is seen to be


class Unanswered(Exception):
    """A plugin gave no answer: it was set aside, or raised what must not be raised here."""


Make = Callable[[str | None], hooks.EventNotice]  # of the section that a plugin owns, if any


class Fence:
    """One plugin: its code runs in its own thread, one hook at a time, and nobody waits longer than `_LONGEST_CALL` for it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.faults = 0
        self.dropped = 0
        self.set_aside = ""  # why, once it is
        self.section: str | None = None  # the first that it declared: it comes with its notices
        self._hooks: dict[str, Callable[..., Any]] = {}
        self._working = ""  # the hook that runs
        self._began = self._blamed = 0.0  # when it did, and when it was last said to take too long
        self._queue: SimpleQueue[tuple[str, Callable[[], Any], Future[Any] | None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"plugin {name}", daemon=True)
        self._thread.start()

    def equip(self, implementations: dict[str, Callable[..., Any]]) -> None:
        self._hooks = implementations

    def offers(self, hook: str) -> bool:
        return hook in self._hooks and not self.set_aside

    def ask(self, hook: str, **arguments: Any) -> Future[Any]:
        """Queue a call. The future fails with `queue.Full` when the plugin is too far behind."""
        return self.run(hook, partial(self._hooks[hook], **arguments))

    def run(self, what: str, call: Callable[[], Any]) -> Future[Any]:
        """Queue anything that is to be done in the plugin's thread."""
        answer: Future[Any] = Future()
        if not self._put(what, call, answer):
            answer.set_exception(Full())
        return answer

    def notice(self, make: Make) -> None:
        """Queue a notice, which is made in the plugin's thread: there are many, and the manager has no time for them."""
        self._put("maestro_event", partial(self._deliver, make), None)

    def _deliver(self, make: Make) -> None:
        self._hooks["maestro_event"](event=make(self.section))

    def _put(self, what: str, call: Callable[[], Any], answer: Future[Any] | None) -> bool:
        self.look_at_the_clock()
        if self._queue.qsize() >= _LONGEST_QUEUE:
            self.dropped += 1
            return False
        self._queue.put((what, call, answer))
        return True

    def close(self) -> None:
        self._queue.put(None)  # one that is stuck never sees it: its thread is a daemon's and ends with us

    def blame(self, what: str) -> None:
        """Count a fault; after `MOST_FAULTS` the plugin is set aside."""
        self.faults += 1
        _log.warning("plugin %s: %s", self.name, what)
        if self.faults >= hooks.MOST_FAULTS and not self.set_aside:
            self.set_aside = f"set aside after {self.faults} faults, the last: {what.splitlines()[-1]}"
            _log.error("plugin %s: %s; restart the daemon to try it again", self.name, self.set_aside)

    def look_at_the_clock(self) -> None:
        """Blame a hook that takes too long. It can't be stopped, but what it holds up can be told, and the plugin set aside."""
        hook = self._working
        if not hook:
            return
        now = time.monotonic()
        if now - max(self._began, self._blamed) > _LONGEST_CALL:
            self._blamed = now
            self.blame(f"{hook} takes longer than {now - self._began:.0f} s")

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            what, call, answer = item
            if answer is not None and not answer.set_running_or_notify_cancel():
                continue
            self._began, self._working = time.monotonic(), what
            try:
                if self.set_aside:
                    raise Unanswered(self.set_aside)
                result = call()
            except BaseException as error:
                self._failed(what, error, answer)
            else:
                if answer is not None:
                    answer.set_result(result)
            finally:
                self._working = ""

    def _failed(self, what: str, error: BaseException, answer: Future[Any] | None) -> None:
        if not isinstance(error, Unanswered):
            self.blame(f"{what} raised:\n{_own_frames(error)}")
        if not isinstance(error, Exception):  # SystemExit, which would end whoever waits for the answer
            error = Unanswered(type(error).__name__)
        if answer is not None:
            answer.set_exception(error)


def _own_frames(error: BaseException) -> str:
    """The traceback without our frames."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
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
        """Load every entry point of the group, each in its plugin's thread. One that does not load in time is logged and left out."""
        entries = [entry for entry in entry_points(group=hooks.GROUP) if entry.name not in self._blocked]
        fences = [Fence(entry.name) for entry in entries]
        loading = [
            fence.run("its import", partial(_import, entry))
            for fence, entry in zip(fences, entries, strict=True)
        ]
        deadline = time.monotonic() + _LONGEST_CALL
        for fence, loaded in zip(fences, loading, strict=True):
            try:
                module, error = loaded.result(max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                module, error = None, TimeoutError(f"its import takes longer than {_LONGEST_CALL:g} s")
            self._take(fence, module, error)

    def _take(self, fence: Fence, module: object, error: BaseException | None) -> None:
        try:
            if error is not None:
                raise error
            self.add(fence.name, module, fence)
        except BaseException as mistake:
            fence.close()
            self.refused.append(f"plugin {fence.name} does not load: {type(mistake).__name__}: {mistake}")
            _log.error("%s", self.refused[-1])

    def add(self, name: str, module: object, fence: Fence | None = None) -> None:
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
        fence = fence or Fence(name)
        fence.equip(found)
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
            fence.section = fence.section or section

    def _mistake(self, section: object, kind: object) -> str:
        """What keeps a section from being declared, or an empty string."""
        if section in self._owners:
            return f"section {section} is already declared by plugin {self._owners[str(section)]}"
        if section in {inner.name for inner in subsections(AgentFile)}:
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

    def notice(self, make: Make) -> None:
        """Tell every plugin. `make` builds the notice for one that owns the named section, or none, in that plugin's thread."""
        for fence in self.fences:
            if fence.offers("maestro_event"):
                fence.notice(make)

    def offers(self, hook: str) -> bool:
        """Whether there is anybody to ask or tell."""
        return any(fence.offers(hook) for fence in self.fences)

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


def _import(entry: EntryPoint) -> tuple[object, BaseException | None]:
    try:
        return entry.load(), None
    except BaseException as error:
        return None, error


def _with_named_arguments(implementation: Any) -> Callable[..., Any]:
    """pluggy lets an implementation take only some of a hook's arguments."""
    names = implementation.argnames

    def call(**arguments: Any) -> Any:
        return implementation.function(*(arguments[name] for name in names))

    return call
