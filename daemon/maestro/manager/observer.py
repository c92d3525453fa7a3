"""Watches the event stream for the rest of the house: plugins, the hints they give, and the lines in the terminal."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable

from msgspec import Struct

from maestro import hooks
from maestro.engine import policy
from maestro.manager import tasks
from maestro.manager.happened import Told
from maestro.manager.loop import Manager
from maestro.manager.plugins import Plugins
from maestro.ports import Logs

_log = logging.getLogger("maestro.events")
_ENDS = frozenset({"restart-scheduled", "gave-up", "failed", "completed"})
_QUIET = frozenset({"job", "started"})  # told to subscribers, too much for a terminal
_LAST_LINES = 20
Lines = Callable[[], tuple[str, ...]]


class Observer:
    """Listens to committed events."""

    def __init__(self, manager: Manager, logs: Logs, plugins: Plugins) -> None:
        self.hints: dict[str, str] = {}
        self._manager, self._logs, self._plugins = manager, logs, plugins
        manager.hub.listen(self.hear)

    def hear(self, told: Told) -> None:
        what = told.what
        if what.kind not in _QUIET:
            words = what.words if what.kind in what.words else f"{what.kind}: {what.words}"
            _log.info("%s", f"{what.unit}: {words}" if what.unit else words)
        if what.kind == "ready":
            self.hints.pop(what.unit, None)
        ended = what.kind in _ENDS
        # Read when a plugin wants them, in its thread or beside the loop: a disk must not hold the manager up.
        lines = functools.cache(functools.partial(self._last_lines, what.unit)) if ended else tuple
        if self._plugins.offers("maestro_event"):
            unit = self._manager.world.units.get(what.unit)
            options = unit.plugins if unit else {}
            self._plugins.notice(lambda section: _notice(told, options.get(section or ""), lines))
        if ended and what.kind != "completed":
            self.hints.pop(what.unit, None)  # of an earlier end
            if self._plugins.offers("maestro_explain_end"):
                tasks.spawn(self._explain(told, lines), f"explain the end of {what.unit}")

    def _last_lines(self, unit: str) -> tuple[str, ...]:
        try:
            return tuple(line.text for line in self._logs.tail(unit, _LAST_LINES))
        except OSError as error:
            return (f"(its log cannot be read: {error})",)

    async def _explain(self, told: Told, lines: Lines) -> None:
        """Ask the plugins what the end may mean; `status` shows it."""
        name = told.what.unit
        unit, life = self._manager.world.units.get(name), self._manager.world.life(name)
        if unit is None or unit.agent is None or life.ended is None or life.agent != told.what.agent:
            return
        end = hooks.EndNotice(
            unit=name,
            command=policy.command(unit.agent, life).words,
            code=life.ended.code,
            signal=life.ended.signal,
            log=await asyncio.to_thread(lines),
        )
        hint = await self._plugins.first("maestro_explain_end", end=end)
        if isinstance(hint, str) and hint and self._manager.world.life(name).agent == told.what.agent:
            self.hints[name] = hint


def _notice(told: Told, section: Struct | None, lines: Lines) -> hooks.EventNotice:
    return hooks.EventNotice(**told.facts(), section=section, log=lines())
