"""The engine on a virtual clock, with agents that are only scripts: a month of crashes in a second."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from maestro.engine import errands, events
from maestro.engine.budgets import Account
from maestro.engine.events import Deed, Ended, Event, Happening
from maestro.engine.state import Life, State
from maestro.engine.step import Step
from maestro.engine.world import World
from maestro.model.order import Predecessor
from maestro.model.slices import SliceRef
from maestro.model.unit import (
    AgentSection,
    BudgetSection,
    HealthSection,
    LimitsSection,
    ResourcesSection,
    Unit,
    UnitSection,
)


class Play(Struct, frozen=True, kw_only=True):
    """How one process behaves. Times are seconds after its start; None: never."""

    ready: float | None = None  # when it says READY=1, or its probe answers
    ends: float | None = None
    code: int | None = 0
    signal: int | None = None
    heeds: tuple[str, ...] = ("TERM",)  # signals that end it, besides KILL
    slow: float = 0.0  # how long it takes to heed
    leaves: int = 0  # processes of its tree that outlive it and heed only KILL
    lingers: float = 0.0  # how long those take to end after KILL
    cannot: str = ""  # why it cannot be spawned
    becomes: Play | None = None  # the process that goes on for it, when its pid file is asked for
    skipped: str = ""  # the condition that does not hold
    refused: str = ""  # the assert that does not


Script = Callable[[str, int], Play]  # unit, number of the start -> how it goes
Commands = Callable[[str, str], Play]  # the same of the commands around it; unit, "exec_start_pre[0]"
FOREVER = Play()
DONE = Play(ends=0.0)


class Theatre:
    """A world whose keeper is this object. Time passes only in `run`."""

    def __init__(
        self,
        units: Iterable[Unit],
        script: Script | None = None,
        chance: float = 0.0,
        commands: Commands | None = None,
    ) -> None:
        self.declared = {unit.name: unit for unit in units}
        self.world = World(self.declared.get)
        for unit in self.declared.values():
            self.world.put(unit)
        self.now = 0.0
        self.epoch = 0.0  # seconds since 1970 at 0: calendars go by it
        self.committed: dict[str, Account] = {}
        self.slow: set[str] = set()  # agents whose share of the processor is small
        self.chance = chance
        self.script: Script = script or (lambda unit, number: FOREVER)
        self.commands: Commands = commands or (lambda unit, command: DONE)
        self.ran: list[events.Errand] = []  # commands around main processes, in the order of their start
        self.signals: list[tuple[str, str]] = []  # agent and signal, as they were carried out
        self.alive: dict[str, Play] = {}  # agent -> how it goes: the processes there are
        self.leftovers: dict[str, int] = {}
        self.unacknowledged: dict[str, Ended] = {}
        self.seen: list[tuple[float, str, State]] = []
        self.news: list[Happening] = []
        self.two_at_once: list[str] = []  # agents that were started beside a living one of their unit
        self.on_quit: Callable[[events.Quit], object] = lambda quit: None
        self._orders: dict[str, int] = {}  # agent -> the newest signal that was carried out
        self._doomed: set[str] = set()  # agents that were sent SIGKILL
        self.still: set[str] = set()  # agents whose processes stand still
        self._held: dict[str, list[Event]] = {}  # what they would have done meanwhile
        self._lingers: dict[str, float] = {}
        self._becomes: dict[str, Play] = {}
        self._ready: set[str] = set()  # agents whose probe would be answered with yes
        self._probed: set[str] = set()  # agents whose probe is being asked
        self._absent = False  # there is no manager: what happens is only noted by the keeper
        self._unheard: list[Event] = []  # datagrams that wait at the notify socket
        self._heap: list[tuple[float, int, Event]] = []
        self._order = count()
        self._pids = count(100)

    # ------------------------------------------------------------------------------ what happens

    def ask(self, verb: str, *names: str, mode: str = "replace") -> Step:
        return self.feed(events.Asked(verb, names, mode=mode))

    def ask_in_vain(self, verb: str, *names: str) -> None:
        """The manager dies after it has committed what was asked, and before any deed has left."""
        self.feed(events.Asked(verb, names), carry=False)
        self.kill_manager()

    def feed(self, event: Event, *, carry: bool = True) -> Step:
        step = self.world.feed(event, self.now, self.chance, self.epoch + self.now)
        for holder in step.accounts:
            self.committed[holder] = self.world.ledger.of(holder)
        for name in sorted(step.lives):
            self.seen.append((self.now, name, self.world.life(name).state))
        self.news.extend(step.news)
        for deed in step.deeds if carry else ():
            self.carry(deed)
        return step

    def run(self, until: float) -> Theatre:
        """Let time pass, from event to event, up to and including `until`."""
        while True:
            ring = self.world.next_ring()
            at = min(self._heap[0][0] if self._heap else until + 1, ring if ring is not None else until + 1)
            if at > until:
                self.now = until
                return self
            self.now = max(self.now, at)
            if self._heap and self._heap[0][0] <= self.now:
                self._happen(heapq.heappop(self._heap)[2])
            else:
                self.feed(events.Tick())

    def life(self, name: str) -> Life:
        return self.world.life(name)

    def states(self, name: str) -> list[State]:
        """The states a unit went through, each once in a row."""
        found: list[State] = []
        for _, unit, state in self.seen:
            if unit == name and (not found or found[-1] is not state):
                found.append(state)
        return found

    def times(self, name: str, state: State) -> list[float]:
        """When a unit entered a state."""
        found, before = [], None
        for at, unit, now in self.seen:
            if unit == name:
                if now is state and before is not state:
                    found.append(at)
                before = now
        return found

    # ------------------------------------------------------------------------------ the keeper's part

    def carry(self, deed: Deed) -> None:
        if isinstance(deed, (events.Spawn, events.Probe)) and self.world.owner(deed.agent) is None:
            return  # as the carrier does
        hands: dict[type[Deed], Callable[[Any], object]] = {
            events.Spawn: self._spawn,
            events.Send: self._signal,
            events.Freeze: self._freeze,
            events.Throttle: lambda deed: (self.slow.add if deed.on else self.slow.discard)(deed.agent),
            events.Acknowledge: lambda deed: self.unacknowledged.pop(deed.agent, None),
            events.Quit: self.on_quit,
            events.Adopt: self._adopt,
            events.Probe: self._probe,
            events.Unprobe: lambda deed: self._probed.discard(deed.agent),
            events.FindMain: self._follow,
        }
        hands.get(type(deed), lambda deed: None)(deed)

    def _probe(self, deed: events.Probe) -> None:
        self._probed.add(deed.agent)
        if deed.agent in self._ready:
            self.later(0.0, events.ProbeAnswered(deed.agent))

    def later(self, delay: float, event: Event) -> None:
        heapq.heappush(self._heap, (self.now + delay, next(self._order), event))

    def _spawn(self, deed: events.Spawn) -> None:
        if deed.agent in self.alive:
            self.later(0.0, events.Spawned(deed.agent, 1, 1))
            return
        if deed.agent in self.unacknowledged:
            self.later(0.0, self.unacknowledged[deed.agent])
            return
        for agent in (*self.alive, *self.leftovers):
            if agent.rpartition("#")[0] == deed.unit and not self._may_run_beside(deed, agent):
                self.two_at_once.append(deed.agent)
        play = self._casting(deed)
        begins = errands.begins(deed, self.declared[deed.unit], self.life(deed.unit).line)
        if begins and (play.skipped or play.refused):
            words, agent = play.skipped or play.refused, deed.agent.partition("/")[0]
            self.feed(events.Skipped(agent, words, refused=bool(play.refused)))  # the manager's own finding
            return
        if self.declared[deed.unit].agent is None:
            self.feed(events.Spawned(deed.agent, 0, 0))
            return
        if play.cannot:
            self.later(0.0, events.CannotSpawn(deed.agent, play.cannot))
            return
        if deed.errand is not None:
            self.ran.append(deed.errand)
        self._enter(deed.agent, play)

    def _casting(self, deed: events.Spawn) -> Play:
        if deed.errand is None:
            return self.script(deed.unit, int(deed.agent.rpartition("#")[2]))
        return self.commands(deed.unit, f"{deed.errand.option}[{deed.errand.place}]")

    def _may_run_beside(self, deed: events.Spawn, other: str) -> bool:
        """Two main processes never, two commands never, and what runs before the start and after the end never beside the process."""
        if other in self._doomed and "/" in other:
            return True
        alone = deed.errand is None or deed.errand.option in (
            "exec_condition",
            "exec_start_pre",
            "exec_stop_post",
        )
        return not alone and "/" not in other

    def _enter(self, agent: str, play: Play) -> None:
        self.alive[agent] = play
        pid = next(self._pids)
        self.later(0.0, events.Spawned(agent, pid, pid))
        if play.ready is not None:
            self.later(play.ready, events.Notified(agent, {"READY": "1"}))
            self.later(play.ready, events.ProbeAnswered(agent))
        if play.ends is not None:
            self.later(play.ends, Ended(agent=agent, code=play.code, signal=play.signal))

    def _follow(self, deed: events.FindMain) -> None:
        """Its pid file names another process, which goes on as the main one; or it is the only one that is left."""
        agent, section = deed.agent, self.declared[deed.unit].agent
        if agent in self.alive:  # it is followed already
            self.later(0.0, events.Spawned(agent, 1, 1))
            return
        play = self._becomes.pop(agent, None)
        if play is None and section is not None and section.pid_file is None:
            self.later(0.0, events.NoMain(agent, "no one in sight"))
        if play is not None and self.leftovers.pop(agent, None) is not None:
            self.unacknowledged.pop(agent, None)
            self._enter(agent, play)

    def _signal(self, deed: events.Send) -> None:
        if 0 < deed.order <= self._orders.get(deed.agent, 0):
            return
        self._orders[deed.agent] = max(deed.order, self._orders.get(deed.agent, 0))
        self.signals.append((deed.agent, deed.signal))
        if deed.signal == "KILL":
            self._doomed.add(deed.agent)
        number = {"KILL": 9, "TERM": 15, "ABRT": 6, "INT": 2, "HUP": 1}.get(deed.signal, 10)
        play = self.alive.get(deed.agent)
        if play is not None and (deed.signal == "KILL" or deed.signal in play.heeds):
            self.later(0.0 if deed.signal == "KILL" else play.slow, Ended(agent=deed.agent, signal=number))
        if deed.signal == "KILL" and deed.tree and deed.agent in self.leftovers:
            self.later(self._lingers.get(deed.agent, 0.0), events.Emptied(deed.agent))

    def _freeze(self, deed: events.Freeze) -> None:
        if deed.still and deed.agent in self.alive:
            self.still.add(deed.agent)
        if not deed.still:
            self.still.discard(deed.agent)
            for event in self._held.pop(deed.agent, ()):
                self.later(0.0, event)

    def _happen(self, event: Event) -> None:
        """Only what is true reaches the world: a process ends once, a dead one says nothing. Without a manager it waits."""
        agent = getattr(event, "agent", "")
        killed = isinstance(event, Ended) and (event.signal == 9 or event.signal is event.code is None)
        if agent in self.still and not killed and not isinstance(event, events.Spawned):
            self._held.setdefault(agent, []).append(event)
            return
        told = self._truth(event)
        if told is None:
            return
        if not self._absent:
            self._settle_past(told)
            self.feed(told)
        elif isinstance(told, events.Notified):
            self._unheard.append(told)

    def _settle_past(self, told: Event) -> None:
        """Nobody waits for the end of a command that was cut short: as the carrier has it."""
        if isinstance(told, Ended) and self.world.owner(told.agent) is None:
            self.unacknowledged.pop(told.agent, None)

    def _truth(self, event: Event) -> Event | None:
        match event:
            case Ended():
                return self._end(event)
            case events.Emptied():
                return event if self._empty(event.agent) else None
            case events.Notified():
                return event if event.agent in self.alive else None
            case events.ProbeAnswered():
                self._ready.add(event.agent)
                return event if event.agent in self._probed and event.agent in self.alive else None
            case _:
                return event

    def _end(self, event: Ended) -> Event | None:
        play = self.alive.pop(event.agent, None)
        self.still.discard(event.agent)
        if play is None:  # only what a new keeper answers when it finds nothing is news of it
            return event if event.code is None and event.signal is None else None
        if play.leaves:
            self.leftovers[event.agent] = play.leaves
            self._lingers[event.agent] = play.lingers
            if play.becomes is not None:
                self._becomes[event.agent] = play.becomes
        left = tuple(f"{number} (left)" for number in range(play.leaves))
        code = event.code if event.signal is None else None
        self.unacknowledged[event.agent] = Ended(agent=event.agent, code=code, signal=event.signal, left=left)
        return self.unacknowledged[event.agent]

    def _empty(self, agent: str) -> bool:
        if agent in self.unacknowledged:
            self.unacknowledged[agent] = replace(self.unacknowledged[agent], left=())
        return self.leftovers.pop(agent, None) is not None

    def _adopt(self, deed: events.Adopt) -> None:
        if deed.agent in self.alive:
            self.later(0.0, events.Spawned(deed.agent, deed.pid or 1, 1))
        else:
            left = tuple(f"{number} (left)" for number in range(self.leftovers.get(deed.agent, 0)))
            self.later(0.0, Ended(agent=deed.agent, left=left))

    # ------------------------------------------------------------------------------ the manager dies

    def kill_manager(self, *, keeper: bool = False, away: float = 0.0) -> None:
        """What was committed survives; what happens in the `away` seconds without a manager is kept by the keeper."""
        self._absent = True
        answers = (events.Spawned, events.CannotSpawn, events.NoMain)  # said to the one that is dead
        self._heap = [one for one in self._heap if not isinstance(one[2], answers)]
        heapq.heapify(self._heap)
        back = self.now + away
        while self._heap and self._heap[0][0] <= back and away:
            self.now = max(self.now, self._heap[0][0])
            self._happen(heapq.heappop(self._heap)[2])
        self.now, self._absent = back, False
        self._probed.clear()
        lives, jobs, last = dict(self.world.lives), list(self.world.book.jobs.values()), self.world.book.last
        self.world = World(self.declared.get)
        for unit in self.declared.values():
            self.world.put(unit)
        self.world.restore(lives, jobs)
        self.world.ledger.restore(self.committed)
        self.world.book.last = last
        running = {
            agent: (1, 1)
            for agent in (*self.alive, *(() if keeper else self.leftovers))
            if agent not in self.unacknowledged
        }
        if keeper:
            self._orders.clear()
        for agent in [agent for agent in self.unacknowledged if self.world.owner(agent) is None]:
            del self.unacknowledged[agent]
        ended = {} if keeper else dict(self.unacknowledged)
        unheard, self._unheard = self._unheard, []
        for event in unheard:
            self.feed(event)
        self.feed(events.Looked({} if keeper else running, ended, keeper))


def unit(name: str = "web", **options: Any) -> Unit:
    """A unit for tests: `requires`, `essential` … go to `unit:`, the rest to `agent:`."""
    hung = {key: options.pop(key) for key in UnitSection.__struct_fields__ if key in options}
    for key, value in hung.items():
        hung[key] = tuple(value) if isinstance(value, list) else value
    hung["after"] = tuple(map(Predecessor, hung.get("after", ())))
    section = UnitSection(**hung)
    if name.endswith(".target"):
        return Unit(name=name, kind="target", unit=section, **options)
    if name.endswith(".slice"):
        return Unit(name=name, kind="slice", unit=section, resources=LimitsSection(), **options)
    slice_ = options.pop("slice", None)
    options.setdefault("exec", ("/bin/true",))
    readiness = options.pop("readiness", None)
    budget = options.pop("budget", BudgetSection())
    origins: dict[str, Any] = {"agent.start_timeout": None} if "start_timeout" in options else {}
    return Unit(
        name=name,
        kind="agent",
        unit=section,
        agent=AgentSection(**options),
        health=HealthSection(readiness=readiness),
        resources=ResourcesSection(slice=SliceRef(slice_) if slice_ else None),
        budget=budget,
        origins=origins,
    )
