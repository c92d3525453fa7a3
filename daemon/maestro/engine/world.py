"""All units: an event goes in, deeds and news come out.

The order of work is always the same. An event changes one life through the table, or some goals. Then every
unit that might care is asked what it wants now (`_urge`): to go up, if nothing holds it back; to come down,
if what depends on it is down. That repeats until all is still. Nothing here waits, draws, or reads a clock,
so the same events give the same world.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush

from msgspec.structs import replace

from maestro.engine import (
    admission,
    adopt,
    blockers,
    bonds,
    hearing,
    machine,
    notified,
    policy,
    slices,
    starting,
    treasury,
    verbs,
)
from maestro.engine.book import Book
from maestro.engine.events import (
    Asked,
    Deed,
    Event,
    Granted,
    Happening,
    Looked,
    Measured,
    OutOfMemory,
    Reread,
    Reset,
    Send,
    SetAside,
    Tick,
    Unprobe,
    Used,
)
from maestro.engine.graph import Graph
from maestro.engine.jobs import Job, JobState
from maestro.engine.ledger import Ledger
from maestro.engine.machine import Impossible
from maestro.engine.plan import Activity, Plan, Scope
from maestro.engine.room import Room
from maestro.engine.scene import Scene
from maestro.engine.state import ALIVE, UP, Goal, Life, State, Trigger
from maestro.engine.step import Refusal, Step
from maestro.engine.table import Input
from maestro.model.unit import Unit

NEVER_SEEN = blockers.NEVER_SEEN


class World:
    """The units that are loaded, their lives, and the jobs."""

    def __init__(
        self, resolve: Callable[[str], Unit | None], masked_by: Callable[[str], str] = lambda name: ""
    ) -> None:
        self.units: dict[str, Unit] = {}
        self.lives: dict[str, Life] = {}
        self.ledger = Ledger()
        self.graph = Graph()
        self._resolve = resolve
        self._masked_by = masked_by  # the path that keeps a unit from being started
        self.room = Room()
        self.book = Book(self.life)
        self._todo: deque[str] = deque()
        self._in_todo: set[str] = set()
        self._holds: dict[str, blockers.Hold] = {}  # of units that wait; made when they are asked
        self._step = Step()
        self._rings: list[
            tuple[float, str, str]
        ] = []  # heap of (when, unit, timer); a stale one is dropped when it comes up
        self.at_work = ""  # the unit that was moved last: who is named when something impossible happens
        self.now = 0.0
        self.wall = 0.0  # seconds since 1970: for calendars only
        self.chance = 0.0
        self.unseen = NEVER_SEEN  # the life of one that is not known: its agents are numbered on after all that were forgotten
        self._triggered: deque[tuple[str, str]] = deque()  # units to be started, and whose end is the reason
        self.scope = Scope(self.graph, self.trouble, self._activity, self.book.verb_of, self.can_reload)

    # ---------------------------------------------------------------------------------- what is known

    def life(self, name: str) -> Life:
        return self.lives.get(name, self.unseen)

    def put(self, unit: Unit) -> None:
        """Load a unit, or a new version of it."""
        self.units[unit.name] = unit
        self.ledger.put(unit)
        self.graph.put(unit)
        self.room.put(unit)
        self._holds.clear()

    def _remove(self, name: str) -> None:
        """Forget a unit that nothing runs of. Its namesake's agents are numbered on, for no number is given twice."""
        if (job := self.book.of(name)) is not None:
            self.book.close(job, JobState.CANCELED, "its file is gone")
        self.unseen = Life(spawns=max(self.unseen.spawns, self.life(name).spawns))
        self.units.pop(name, None)
        self.graph.remove(name)
        self.room.forget(name)
        self._holds.clear()
        self.lives.pop(name, None)
        self._step.lives.add(name)
        self.ledger.remove(name)

    def know(self, name: str) -> Unit | None:
        """The unit of that name, instantiated on demand."""
        if name not in self.units:
            unit = self._resolve(name)
            if unit is not None:
                self.put(unit)
        return self.units.get(name)

    def trouble(self, name: str) -> Refusal | None:
        """Why a unit cannot be started at all."""
        mask = self.mask(name)
        if mask is not None or self.know(name) is not None:
            return mask
        return Refusal("missing-requirement", f"there is no unit {name}, or it does not load")

    def mask(self, name: str) -> Refusal | None:
        by = self._masked_by(name)
        return Refusal("masked", f"{name} is masked by {by}", f"maestroctl unmask {name}") if by else None

    def _activity(self, name: str) -> Activity:
        life = self.life(name)
        if life.goal is Goal.UP:
            return Activity.UP if life.state in UP and not life.bounce else Activity.COMING_UP
        return Activity.GOING_DOWN if life.state in ALIVE else Activity.DOWN

    def can_reload(self, name: str) -> bool:
        agent = self.units[name].agent if name in self.units else None
        return agent is not None and policy.can_reload(agent)

    def restore(self, lives: dict[str, Life], jobs: Iterable[Job]) -> None:
        """Go on from what an earlier manager had committed."""
        for name, life in lives.items():
            self.set_life(name, life)
        self.book.restore(jobs)

    def next_ring(self) -> float | None:
        """When the next timer is due."""
        rings = (self._next_timer(), self.ledger.next_ring(), self.room.due)
        return min((at for at in rings if at is not None), default=None)

    def _next_timer(self) -> float | None:
        while self._rings and self._is_stale(*self._rings[0]):
            heappop(self._rings)
        return self._rings[0][0] if self._rings else None

    def _is_stale(self, at: float, name: str, timer: str) -> bool:
        return name not in self.units or self.life(name).timers.get(timer) != at

    # ---------------------------------------------------------------------------------- the door

    def feed(self, event: Event, now: float, chance: float, wall: float = 0.0) -> Step:
        """Take in one event at time `now`, with a number drawn from [0, 1). Returns what follows from it."""
        self._step, self.now, self.chance, self.wall = Step(), now, chance, wall
        self.book.step = self.ledger.step = self._step
        self._take(event)
        self.settle()
        self.skip_empty_pauses()
        while self._triggered:
            name, by = self._triggered.popleft()
            past = self.life(by)
            trigger = Trigger(unit=by, agent=past.agent, result=past.result, ended=past.ended)
            verbs.start_for(self, name, f"wanted by {by}", trigger)
            self.settle()
        admission.wound(self)
        return self._step

    def _take(self, event: Event) -> None:
        match event:
            case Asked():
                verbs.take(self, event)
            case Tick():
                self._ring()
            case Reread():
                for name in event.removed:
                    self._remove(name)
                treasury.attend_all(self)
                self.ask_anew(self.units)
            case OutOfMemory():
                hearing.out_of_memory(self, event)
            case SetAside():
                self._set_aside(event.unit, event.why)
            case Looked():
                adopt.take_up(self, event)
            case Used() | Granted() | Reset():
                treasury.take(self, event)
            case Measured():
                admission.take(self, event)
            case _:
                hearing.hear(self, event)

    def rehearse(self, asked: Asked) -> tuple[Plan, dict[str, Refusal]]:
        """What a request would come to, and whom it would be refused for. Changes nothing."""
        self._step = Step()
        return verbs.plan(self, asked), self._step.refusals

    # ---------------------------------------------------------------------------------- events

    def owner(self, agent: str) -> str | None:
        """The unit whose current agent, or command around it, that is; None for one that is past."""
        name = agent.rpartition("#")[0]
        life = self.life(name)
        errand = life.errand.agent if life.errand is not None else ""
        return name if name in self.units and agent in (life.agent, errand) else None

    def put_to(self, agent: str, moment: Input, words: str = "", **facts: object) -> None:
        """Put an input to the unit of an agent; what comes for a past agent is late and means nothing."""
        name = self.owner(agent)
        if name is not None and self.life(name).state in ALIVE:
            self.change(name, **facts)
            self.apply(name, moment, words)

    def _ring(self) -> None:
        if self.room.due is not None and self.room.due <= self.now:
            self.room.due = None
            self.measure()
        while (holder := self.ledger.take_due(self.now)) is not None:
            treasury.attend(self, holder)
        while (at := self._next_timer()) is not None and at <= self.now:
            _, name, timer = heappop(self._rings)
            if timer != "watchdog" or not notified.was_deaf(self, name, at):
                self._ring_one(name, timer)

    def _ring_one(self, name: str, timer: str) -> None:
        timers = {key: when for key, when in self.life(name).timers.items() if key != timer}
        self.change(name, timers=timers)
        if timer == "uphold":
            bonds.raise_upheld(self, name)
        elif timer == "pid":
            hearing.emptied(self, self.life(name).agent)
        else:
            self.apply(name, machine.RINGS[timer])

    def skip_empty_pauses(self) -> None:
        """A restart after no pause at all belongs to the end that it follows: one commit, and no turn of the clock."""
        while over := sorted(name for name in self._step.lives if self._may_restart_now(name)):
            for name in over:
                self._ring_one(name, "restart")
            self.settle()

    def _may_restart_now(self, name: str) -> bool:
        at = self.life(name).timers.get("restart")
        return at is not None and at <= self.now and name in self.units

    # ---------------------------------------------------------------------------------- how lives change

    def do(self, *deeds: Deed) -> None:
        self._step.deeds.extend(deeds)

    def say(self, happening: Happening) -> None:
        self._step.news.append(happening)

    def note(self, name: str, kind: str, words: str) -> None:
        self.say(Happening(unit=name, kind=kind, words=words, state=str(self.life(name).coarse)))

    def trigger(self, by: str, names: Iterable[str]) -> None:
        """Start these when all is still: the end of another is the reason."""
        self._triggered.extend((name, by) for name in names)

    def _set_aside(self, name: str, why: str) -> None:
        """Take a unit out of the game that brought the manager down twice; what runs of it is killed."""
        life = self.life(name)
        for agent in life.agents:
            self.do(Send(agent, "KILL", True))
        if (job := self.book.of(name)) is not None:
            self.book.close(job, JobState.FAILED, why)
        past = Life(spawns=life.spawns, agent=life.agent, since=self.now)
        self.set_life(name, replace(past, state=State.FAILED, cause=why, aside=True))
        self.stir(name)

    def set_life(self, name: str, life: Life) -> None:
        """The only way a life changes: so that its timers are wound, the change is committed, and those it holds back know."""
        before = self.life(name)
        for timer, at in life.timers.items():
            if before.timers.get(timer) != at:
                heappush(self._rings, (at, name, timer))
        self.lives[name] = life
        self._step.lives.add(name)
        if life.state is not State.WAITING:
            self._holds.pop(name, None)
        if life.state is not before.state or life.frozen_for != before.frozen_for or self.room.line:
            admission.followed(self, name, before, life)
        if self._holds and blockers.face(before) != blockers.face(life):
            for other in self.graph.neighbours(name):
                if other in self._holds:
                    self._holds[other].look(name)

    def change(self, name: str, **facts: object) -> None:
        self.set_life(name, replace(self.life(name), **facts))

    def set_goal(self, name: str, goal: Goal, *, bounce: bool = False) -> None:
        life = self.life(name)
        if life.goal is not goal or life.bounce != bounce:
            self.change(name, goal=goal, bounce=bounce)
            self.stir(name)

    def stir(self, name: str) -> None:
        """Ask this unit and its neighbours anew what they want."""
        self.ask_anew((name, *self.graph.neighbours(name)))

    def ask_anew(self, names: Iterable[str]) -> None:
        """Who is already to be asked will be asked once, and sees all that has changed until then."""
        for name in names:
            if name not in self._in_todo:
                self._in_todo.add(name)
                self._todo.append(name)

    def apply(self, name: str, moment: Input, words: str = "") -> None:
        """Put one input to one unit, through the table."""
        self.at_work = name
        before = self.life(name)
        outcome = machine.step(Scene(self.units[name], before, self.now, self.chance, words), moment)
        life = outcome.life
        self.set_life(name, life)
        self._step.deeds.extend(outcome.deeds)
        if "probe" in before.awaits and "probe" not in life.awaits:
            self._step.deeds.append(Unprobe(before.agent))
        for one in outcome.news:
            self._step.news.append(replace(one, state=str(life.coarse)))
        treasury.followed(self, name, before, moment)
        bonds.followed(self, name, before, outcome.news)
        if life != before:
            if life.state is not before.state or blockers.face(life) != blockers.face(before):
                self.stir(name)
            else:
                self.ask_anew((name,))
            self.book.conclude(name)
        if life.state is State.STOPPING and policy.is_lost_in_forking(life):
            hearing.emptied(self, life.agent)  # there is nobody to wait for

    def settle(self) -> None:
        """Let every unit that may care do what it wants now, until all is still."""
        turns = 0
        bound = 100 * (len(self.units) + 10)
        while self._todo:
            name = self._todo.popleft()
            self._in_todo.discard(name)
            if name in self.units:
                self._urge(name)
            turns += 1
            if turns > bound + 100 * len(self._step.lives) ** 2:
                raise Impossible(f"the world does not come to rest; last asked: {name}")

    def _urge(self, name: str) -> None:
        """What this unit wants now, given its goal and its neighbours."""
        life = self.life(name)
        if life.goal is Goal.DOWN and life.state in (State.WAITING, State.BACKOFF, State.COOLDOWN):
            self.apply(name, Input.HALT)
        elif life.state is State.WAITING:
            starting.try_start(self, name, life)
        elif life.state in (State.DEAD, State.FAILED):
            bonds.uphold(self, name, life)
        elif bonds.lost(self, name, life):
            self.set_goal(name, Goal.UP, bounce=True)
        elif treasury.urge(self, name, life):
            pass
        elif life.must_be_halted and (
            life.unordered or not blockers.is_held_up(name, self.graph, self.lives)
        ):
            why = treasury.why_down(self, name, life) or bonds.why_down(self, name, life)
            self.apply(name, Input.HALT, why)
        elif not life.must_come_down:
            slices.follow(self, name, life)

    def hold_of(self, name: str) -> blockers.Hold:
        """What is known of what holds a start back beside budgets and room."""
        if name not in self._holds:
            self._holds[name] = blockers.Hold(name, self.graph, self.lives, self.units)
        return self._holds[name]

    def measure(self) -> None:
        """Have it looked at what the host has left."""
        self._step.measure = True

    def refuse(self, name: str, refusal: Refusal) -> None:
        self._step.refusals[name] = refusal
