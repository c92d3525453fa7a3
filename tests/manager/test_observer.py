"""What happened is told to plugins, and what they make of it is shown."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace

from maestro.engine.events import Asked
from maestro.hooks import EndNotice, EventNotice, hook
from maestro.manager.observer import Observer
from maestro.manager.plugins import Plugins
from maestro.ports import LogLine
from maestro.testing.fakes import FakeLogs
from maestro.testing.theatre import unit
from tests.manager.rig import Rig, really, rig, until


async def crash(one: Rig, number: int, code: int) -> None:
    one.manager.feed(Asked("start", ("web",)))  # by hand: without a pause
    await one.manager.settle()
    one.spawned(f"web#{number}")
    one.ended(f"web#{number}", code=code)
    await one.manager.settle()


def explaining(explain: Callable[[EndNotice], str | None]) -> Plugins:
    plugins = Plugins("/nowhere")
    plugins.add(
        "wise", SimpleNamespace(maestro_explain_end=hook(explain), maestro_event=hook(lambda event: None))
    )
    return plugins


def test_a_hint_belongs_to_one_end() -> None:
    """What was found out about one end is not shown for the next, which had another reason."""

    def explain(end: EndNotice) -> str | None:
        return "code one" if end.code == 1 else None

    async def go() -> None:
        async with rig(unit(type="notify")) as one:
            observer = Observer(one.manager, one.logs, explaining(explain))
            await crash(one, 1, code=1)
            await until(lambda: observer.hints == {"web": "code one"})
            await crash(one, 2, code=2)
            await until(lambda: observer.hints == {})

    really(go())


def test_a_hint_that_comes_late_is_not_shown() -> None:
    gate, entered = threading.Event(), threading.Event()

    def explain(end: EndNotice) -> str | None:
        if end.code != 1:
            return None
        entered.set()
        gate.wait(5)
        return "code one"

    async def go() -> None:
        async with rig(unit(type="notify")) as one:
            observer = Observer(one.manager, one.logs, explaining(explain))
            await crash(one, 1, code=1)
            await until(entered.is_set)
            await crash(one, 2, code=2)
            gate.set()
            calls = observer._plugins.fences[0]
            await until(lambda: not calls._working and calls._queue.empty())
            await one.manager.settle()
            assert observer.hints == {}

    really(go())


def test_the_last_lines_go_with_an_end_and_a_broken_log_harms_nobody() -> None:
    heard: list[EventNotice] = []
    plugins = Plugins("/nowhere")
    plugins.add("wise", SimpleNamespace(maestro_event=hook(lambda event: heard.append(event))))

    async def go() -> None:
        async with rig(unit()) as one:
            Observer(one.manager, one.logs, plugins)
            one.logs.lines["web"] = [f"line {number}" for number in range(100)]
            await crash(one, 1, code=1)
            await until(lambda: any(notice.kind == "restart-scheduled" for notice in heard))
            [end] = [notice for notice in heard if notice.kind == "restart-scheduled"]
            assert end.log == tuple(f"line {number}" for number in range(80, 100))
            assert all(not notice.log for notice in heard if notice is not end)
            heard.clear()
            one.logs.trouble = PermissionError(13, "permission denied")
            await crash(one, 2, code=1)
            await until(lambda: any(notice.kind == "restart-scheduled" for notice in heard))
            assert "cannot be read" in heard[-1].log[0] or "cannot be read" in heard[-2].log[0]

    really(go())


class Slow(FakeLogs):
    """Logs on a disk that hangs."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.readers: list[threading.Thread] = []

    def tail(self, name: str, lines: int) -> list[LogLine]:
        self.readers.append(threading.current_thread())
        self.gate.wait(10)
        return super().tail(name, lines)


def test_the_manager_does_not_wait_for_the_log() -> None:
    async def go() -> None:
        async with rig(unit()) as one:
            logs = Slow()
            logs.lines["web"] = ["last words"]
            observer = Observer(one.manager, logs, explaining(lambda end: end.log[0]))
            await crash(one, 1, code=1)
            assert not logs.gate.is_set()
            logs.gate.set()
            await until(lambda: observer.hints == {"web": "last words"})
            assert threading.main_thread() not in logs.readers

    really(go())


def test_the_log_is_not_read_where_no_plugin_asks() -> None:
    async def go() -> None:
        async with rig(unit()) as one:
            logs = Slow()
            Observer(one.manager, logs, Plugins("/nowhere"))
            await crash(one, 1, code=1)
            await one.manager.settle()
            assert logs.readers == []

    really(go())
