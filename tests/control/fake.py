"""A Service that is nothing but views, and a server of it in a thread; for the tests of control and cli."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from msgspec.structs import replace

from maestro.control import protocol as p
from maestro.control.budgeting import BudgetView
from maestro.control.configuring import (
    DiffView,
    FileView,
    GenerationDiff,
    GenerationFiles,
    Generations,
    GenerationView,
)
from maestro.control.connection import Limits
from maestro.control.roles import Account, Accounts, Caller, Group
from maestro.control.server import ControlServer, Whose
from maestro.control.stopping import EmergencyView

T = TypeVar("T")
NOW = 1_795_255_501.0


def unit(name: str, **fields: Any) -> p.UnitView:
    given = {"state": "active", "fine": "running", "goal": "up", "since": NOW - 300, "pid": 4711, **fields}
    return p.UnitView(name=name, kind="target" if name.endswith(".target") else "agent", **given)


class FakeService:
    """Answers what it is given; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Caller, p.Request]] = []
        self.units: dict[str, p.UnitView] = {"researcher": unit("researcher", description="Reads papers")}
        self.hold = asyncio.Event()  # verbs and streams go on when it is set
        self.closed = 0  # iterators that were closed
        self.events_to_send = 0
        self.text = "x"
        self.notices: tuple[str, ...] = ()
        self.exit: int | None = None  # of what is waited for
        self.audited = "start researcher"
        self.linked = p.LinksView(named=(), units=(), links=(), order=())
        self.budgets = BudgetView(budgets=())
        self.started = p.StartsView(named=(), starts=(), now=0.0)
        self.reasons = p.WhyView(named=(), reasons=(), now=NOW)
        self.usages: list[p.UsageView] = []
        self.history: tuple[GenerationView, ...] = ()
        self.differences: tuple[DiffView, ...] = ()

    def _note(self, caller: Caller, request: p.Request) -> None:
        self.asked.append((caller, request))

    async def hello(self, caller: Caller, request: p.Hello) -> p.HelloView:
        self._note(caller, request)
        return p.HelloView(
            version="0.1.0",
            protocol=1,
            role=caller.role.name.lower(),
            root="/",
            pid=1,
            started=NOW - 60,
            notices=self.notices,
        )

    def _job(self, unit: str, verb: str, state: str, words: str) -> p.JobView:
        return p.JobView(id=12, unit=unit, verb=verb, state=state, words=words)

    async def verb(self, caller: Caller, request: p.Verb) -> AsyncIterator[p.VerbView]:
        self._note(caller, request)
        verb = type(request).__name__.lower()
        errors = {name: _missing(name) for name in request.units if name not in self.units}
        names = [name for name in request.units if name in self.units]
        running = tuple(self._job(name, verb, "running", "waits for vectordb") for name in names)
        yield p.VerbView(jobs=running, errors=errors)
        if not request.wait:
            return
        await self.hold.wait()
        done = tuple(self._job(name, verb, "done", "ready as pid 4711") for name in names)
        yield p.VerbView(jobs=done, errors=errors)

    async def link(self, caller: Caller, request: p.Linking) -> AsyncIterator[p.VerbView]:
        self._note(caller, request)
        yield p.VerbView(changes=(f"{type(request).__name__.lower()}: linked researcher",))

    async def run(self, caller: Caller, request: p.Run) -> AsyncIterator[p.RunView]:
        self._note(caller, request)
        made = p.RunView(unit=request.unit, path=f"/run/{request.unit}.agent.yaml", text="agent: {}\n")
        if request.dry_run:
            yield made
            return
        job = self._job(request.unit, "start", "done" if request.wait else "running", "ready as pid 4711")
        yield replace(made, jobs=(job,))

    async def is_enabled(self, caller: Caller, request: p.IsEnabled) -> tuple[p.EnablementView, ...]:
        self._note(caller, request)
        state = {name: "enabled" if name in self.units else "not-found" for name in request.units}
        return tuple(
            p.EnablementView(name=name, state=word, enabled=word == "enabled") for name, word in state.items()
        )

    async def kill(self, caller: Caller, request: p.Kill) -> p.VerbView:
        self._note(caller, request)
        return p.VerbView()

    async def at_once(
        self, caller: Caller, request: p.ResetFailed | p.Cancel | p.Freeze | p.Thaw
    ) -> p.VerbView:
        self._note(caller, request)
        return p.VerbView()

    async def budget(self, caller: Caller, request: p.Budget) -> BudgetView:
        self._note(caller, request)
        return self.budgets

    async def change_budget(self, caller: Caller, request: p.Grant | p.ResetBudget) -> p.VerbView:
        self._note(caller, request)
        return p.VerbView(changes=(f"{request.units[0]}: done",))

    async def jobs(self, caller: Caller, request: p.Jobs) -> tuple[p.JobView, ...]:
        self._note(caller, request)
        return (p.JobView(id=7, unit="web", verb="start", state="running", words="waits for db", age=1.5),)

    async def status(self, caller: Caller, request: p.Status) -> p.StatusView:
        self._note(caller, request)
        if request.units == ("bug",):
            raise ZeroDivisionError("by design")
        names = request.units or tuple(self.units)
        errors = {name: _missing(name) for name in names if name not in self.units}
        units = tuple(self.units[name] for name in names if name in self.units)
        return p.StatusView(units=units, errors=errors, now=NOW)

    async def show(self, caller: Caller, request: p.Show) -> tuple[p.ShowView, ...]:
        self._note(caller, request)
        options = {"unit.description": "Reads papers", "agent.exec": ["sleep", "1"]}
        return (p.ShowView(name=request.units[0], options=options, origins={"agent.exec": "/u/r.yaml:3:5"}),)

    async def cat(self, caller: Caller, request: p.Cat) -> tuple[p.CatView, ...]:
        self._note(caller, request)
        return (p.CatView(name=request.units[0], pieces=(("/u/r.yaml", "agent:\n  exec: [sleep]\n"),)),)

    async def logs(self, caller: Caller, request: p.Logs) -> AsyncIterator[p.LineView]:
        self._note(caller, request)
        try:
            for name in request.units:
                start = request.cursors.get(name, 0)
                yield p.LineView(unit=name, time=0, text="", cursor=start, mark=True)
                for number in range(start, 20):
                    yield p.LineView(unit=name, time=NOW, text=f"{self.text} {number}", cursor=number + 1)
                    if number == 9 and not self.hold.is_set():
                        await self.hold.wait()
        finally:
            self.closed += 1

    async def events(self, caller: Caller, request: p.Events) -> AsyncIterator[p.EventView]:
        self._note(caller, request)
        after = 100 if request.cursor is None else request.cursor
        try:
            yield p.EventView(seq=after, time=NOW, unit="", kind="mark", words="")
            for seq in range(after + 1, 101 + self.events_to_send):
                yield p.EventView(seq=seq, time=NOW, unit="researcher", kind="ready", words=self.text)
            if self.exit is not None and request.cursor is not None:
                words = f"ended with exit status {self.exit}"
                unit = request.units[0]
                yield p.EventView(seq=102, time=NOW, unit=unit, kind="failed", words=words, exit=self.exit)
            if request.follow:
                await self.hold.wait()
        finally:
            self.closed += 1

    async def audit(self, caller: Caller, request: p.Audit) -> tuple[p.AuditView, ...]:
        self._note(caller, request)
        entry = p.AuditView(
            seq=1, time=NOW, uid=0, pid=7, who="root", action=self.audited, result="done", hash="ab12"
        )
        return (entry,)

    async def links(self, caller: Caller, request: p.Links) -> p.LinksView:
        self._note(caller, request)
        return self.linked

    async def starts(self, caller: Caller, request: p.Starts) -> p.StartsView:
        self._note(caller, request)
        return self.started

    async def doctor(self, caller: Caller, request: p.Doctor) -> tuple[p.FindingView, ...]:
        self._note(caller, request)
        return (p.FindingView(part="control groups", state="ok", words="cgroup v2"),)

    async def why(self, caller: Caller, request: p.Why) -> p.WhyView:
        self._note(caller, request)
        return self.reasons

    async def emergency_stop(self, caller: Caller, request: p.EmergencyStop) -> EmergencyView:
        self._note(caller, request)
        return EmergencyView(agents=2, how="group", took=0.0021, still=request.act == "freeze")

    async def usage(self, caller: Caller, request: p.Usage) -> p.UsagesView:
        self._note(caller, request)
        return p.UsagesView(units=tuple(self.usages), now=200.0, processors=2)

    async def generations(self, caller: Caller, request: Generations) -> tuple[GenerationView, ...]:
        self._note(caller, request)
        return self.history

    async def generation_files(self, caller: Caller, request: GenerationFiles) -> tuple[FileView, ...]:
        self._note(caller, request)
        return (FileView(path="/units/researcher.agent.yaml", text=self.text),)

    async def generation_diff(self, caller: Caller, request: GenerationDiff) -> tuple[DiffView, ...]:
        self._note(caller, request)
        return self.differences

    async def daemon_reload(self, caller: Caller, request: p.DaemonReload) -> p.ReloadView:
        self._note(caller, request)
        return p.ReloadView(units=1, added=("researcher",))

    async def daemon_reexec(self, caller: Caller, request: p.DaemonReexec) -> dict[str, Any]:
        self._note(caller, request)
        return {"version": "0.1.0"}

    async def shutdown(self, caller: Caller, request: p.Shutdown) -> dict[str, Any]:
        self._note(caller, request)
        return {"stopped": 1}


def fields_of(request: type[p.Request], unit: str) -> dict[str, Any]:
    """What must be given with a request, whichever it is."""
    given = {"units": [unit], "unit": unit, "properties": ["agent.exec=a"], "before": 1}
    if request is p.Grant:
        given |= {"resource": "runs", "amount": "1"}
    return {name: value for name, value in given.items() if name in request.__struct_fields__}


def _missing(name: str) -> p.ErrorView:
    return p.ErrorView(
        code="no-such-unit", message=f"there is no unit {name}", hint="did you mean researcher?"
    )


class FakeAccounts:
    """root, alice (in maestro by membership), bob (in maestro-read by primary group), eve (in none)."""

    users: ClassVar[dict[int, Account]] = {
        0: Account("root", 0),
        1001: Account("alice", 1001),
        1002: Account("bob", 801),
        1003: Account("eve", 1003),
    }
    groups: ClassVar[dict[str, Group]] = {"maestro": Group(800, ("alice",)), "maestro-read": Group(801)}

    def user(self, uid: int) -> Account | None:
        return self.users.get(uid)

    def group(self, name: str) -> Group | None:
        return self.groups.get(name)


class Served:
    """A loop in a thread, a listening socket as the keeper holds it, and servers of it that come and go."""

    def __init__(self, root: Path, factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
        self.root = root
        self.path = str(root / "run/maestro/control.sock")
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(self.path)
        self.sock.listen(4096)
        self.agents: dict[int, str] = {}
        self.running: ControlServer | None = None
        self._runner = asyncio.Runner(loop_factory=factory)
        self.loop = self._runner.get_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,))
        self._thread.start()
        ready.wait()
        self.service = self.on_loop(FakeService)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(ready.set)
        self.loop.run_forever()

    def on_loop(self, do: Callable[[], T]) -> T:
        """Call something on the loop, and wait for it."""

        async def run() -> T:
            return do()

        return self.wait(run())

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def start(
        self, *, limits: Limits | None = None, whose: Whose | None = None, accounts: Accounts | None = None
    ) -> Served:
        """A manager comes to life, after the one before has died."""
        self.die()

        def begin() -> ControlServer:
            server = ControlServer(
                self.service,
                whose or self.agents.get,
                self.sock.dup(),
                accounts=accounts or FakeAccounts(),
                limits=limits,
            )
            server.serve()
            return server

        self.running = self.on_loop(begin)
        return self

    @property
    def server(self) -> ControlServer:
        assert self.running is not None
        return self.running

    def die(self) -> None:
        """The manager dies: its connections end at once, the listening socket lives on."""

        server, self.running = self.running, None

        async def end() -> None:
            if server is None:
                return
            server.close()
            for connection in tuple(server._open):
                if connection._made:
                    connection._transport.abort()
            server._sock.close()
            await asyncio.sleep(0)

        self.wait(end())

    def hold(self, held: bool) -> None:
        self.loop.call_soon_threadsafe(self.service.hold.clear if held else self.service.hold.set)

    def close(self) -> None:
        self.die()
        self.on_loop(self.service.hold.set)
        self.wait(_no_tasks())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self._runner.close()
        self.sock.close()


async def _no_tasks() -> None:
    """Every task of the server ends by itself when its connections have ended."""
    mine = asyncio.current_task()
    tasks = [task for task in asyncio.all_tasks() if task is not mine]
    if tasks:
        await asyncio.wait(tasks, timeout=5)
