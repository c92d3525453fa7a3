"""The manager: one door for events, one way out for deeds.

`feed` never awaits, so nobody sees a half-made world. What follows from events is gathered into a batch, committed to the store, and only
then carried out and told; but for the restart of what has ended, of which the keeper's memory is enough. If the disk refuses, the deeds
leave all the same: agents must be held even when nothing can be written.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from maestro.engine.events import Acknowledge, Deed, Ended, Event, Happening, Spawn, Tick
from maestro.engine.jobs import Job, JobState
from maestro.engine.state import Life
from maestro.engine.step import Step
from maestro.engine.world import World
from maestro.manager.answered import Answered
from maestro.manager.happened import Hub, Told
from maestro.ports import Batch, Chance, Clock, Store

_log = logging.getLogger("maestro")
_encode = msgspec.msgpack.Encoder().encode
KEPT_JOBS = 1000  # finished jobs that are remembered, so that a request sent again finds its answer
RETRY_STORE = 2.0  # seconds between two tries when the disk refuses
_MOMENT = 0.002  # seconds in which the keeper has mostly started what it was ordered to
_CATCHES_UP = 1.0  # seconds: a disk that hangs must not keep anybody from reading what it has
_LONGEST_NAP = 86400.0  # seconds; a loop's timer need not carry a year, and cannot carry for ever


class _Gathered:
    """What has followed from events since the last batch was taken. Rows are made when it is: of a life that changes often, one."""

    __slots__ = (
        "ahead",
        "barred",
        "batch",
        "deeds",
        "deeds_in_order",
        "ended",
        "jobs",
        "lives",
        "settlers",
        "sure",
        "told",
    )

    def __init__(self, barred: frozenset[str] = frozenset()) -> None:
        self.batch = Batch()
        self.ahead: set[str] = set()  # units of which a restart need not wait for the commit
        self.barred = barred  # those of what is being committed meanwhile
        self.lives: dict[str, Life | None] = {}  # that have changed, or are gone
        self.jobs: dict[int, Job] = {}
        self.ended: list[Job] = []
        self.told: list[Told] = []
        self.sure: list[Deed] = []  # need not wait for the commit
        self.deeds: list[Deed] = []
        self.deeds_in_order = False  # some of them have to be carried out before what comes after them
        self.settlers: list[asyncio.Future[None]] = []

    def take(self, event: Event, deeds: Sequence[Deed], with_rows: Sequence[bool]) -> None:
        """Deeds in their order, each with whether something has to be committed before it.

        The restart of what has ended may leave at once: a manager that dies before it is committed loses nothing by it. The keeper forgets
        an end only once that is committed, and answers an order that it has carried out already by what came of it: so the next manager
        hears of that end again, orders the same, and is told of the process that runs. Nothing else may wait to be done before it,
        and nothing else may follow from that end: of another that is started for it, nobody would know why it runs. And it is the only one
        of its unit: of two, a keeper that knows neither would start the first beside the second.
        """
        plain = isinstance(event, Ended) and not self.deeds_in_order and not any(with_rows)
        if plain and all(isinstance(deed, Acknowledge) or self._may_leave(deed, event) for deed in deeds):
            self.ahead.update(deed.unit for deed in deeds if isinstance(deed, Spawn))
            self.sure.extend(deed for deed in deeds if isinstance(deed, Spawn))
            self.deeds.extend(deed for deed in deeds if not isinstance(deed, Spawn))
        else:
            self.deeds.extend(deeds)
            self.deeds_in_order |= any(not isinstance(deed, Acknowledge) for deed in deeds)

    def _may_leave(self, deed: Deed, event: Event) -> bool:
        """Whether it starts the main process of the unit that one has just ended of."""
        if not isinstance(event, Ended) or not isinstance(deed, Spawn) or deed.errand is not None:
            return False
        is_its_own = event.agent.rpartition("#")[0] == deed.unit
        return is_its_own and deed.unit not in self.ahead and deed.unit not in self.barred

    def rows(self) -> Batch:
        batch = self.batch
        for name, life in self.lives.items():
            batch.lives[name] = None if life is None else _encode(life)
        for job in self.jobs.values():
            batch.jobs[job.id] = _encode(job)
        batch.events.extend((told.seq, told.time, _encode(told)) for told in self.told)
        return batch


class Manager:
    """Holds the world, and stands between it and everything outside."""

    def __init__(self, world: World, store: Store, clock: Clock, chance: Chance, hub: Hub) -> None:
        self.world = world
        self.hub = hub
        self.clock = clock
        self.store_trouble = ""
        self.finished: dict[int, Job] = {}  # the newest KEPT_JOBS
        self.answered = Answered(lambda fact: self.note_fact("answered", fact))
        self._store = store
        self._chance = chance
        self._carry: Callable[[Deed], None] = lambda deed: None
        self._doom: Callable[[str], None] = lambda unit: None
        # notes what is to be committed before a deed; whether there was anything
        self.foresee: Callable[[Deed], bool] = lambda deed: False
        self.hear: Callable[[], None] = lambda: None  # takes in what agents have said by now
        self.on_committed: Callable[[Iterable[str]], None] = lambda units: None  # is told whose lives were
        self.measure: Callable[[], None] = lambda: None  # looks at what the host has left, and feeds it
        self.on_accounts: Callable[[], None] = lambda: None  # is told that a budget is at work
        self._unsaved: set[str] = set()  # units whose lives the disk has refused so far
        self._next = _Gathered()
        self._in_order = False  # what is being committed has deeds that come before all that is fed meanwhile
        self._moment: float | None = None  # until when the keeper has the processor for itself
        self._uncommitted: set[int] = set()  # jobs whose end is not in the store yet
        self._waiters: dict[int, list[asyncio.Future[Job]]] = {}
        self._stirred = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._retry: asyncio.TimerHandle | None = None

    def employ(self, carry: Callable[[Deed], None], doom: Callable[[str], None]) -> None:
        """Name who carries deeds out, and who ends this process when a bug of ours has left the world half-made.

        Apart from the constructor, because the first feeds events back.
        """
        self._carry, self._doom = carry, doom

    def restore(self, lives: dict[str, Life], jobs: list[Job], facts: Mapping[str, str]) -> None:
        """Go on from what an earlier manager had committed."""
        self.world.unseen = Life(spawns=int(facts.get("forgotten_spawns", "0")))
        self.finished = {
            job.id: job for job in sorted(jobs, key=lambda job: job.id) if job.state is not JobState.RUNNING
        }
        self.world.restore(lives, [job for job in jobs if job.state is JobState.RUNNING])
        self.world.book.last = max([int(facts.get("last_job", "0")), *(job.id for job in jobs)])

    # ---------------------------------------------------------------------------------- the door

    def feed(self, event: Event) -> Step:
        """Take in one event. Never awaits."""
        try:
            step = self.world.feed(event, self.clock.now(), self._chance(), self.clock.wall())
        except Exception:
            _log.exception("a bug of Maestro's, at %s, by %r", self.world.at_work, event)
            self._doom(self.world.at_work)
            raise
        for name in step.lives:
            self._note_life(name)
        for holder in step.accounts:
            self._note_account(holder)
        for job in step.jobs:
            self._keep(job)
        for happening in step.news:
            self.tell(happening)
        self._next.take(event, step.deeds, tuple(map(self.foresee, step.deeds)))
        if step.lives or step.jobs or step.deeds:
            self._stir()
        self._wind()
        if step.accounts:
            self.on_accounts()
        if step.measure:
            self.measure()
        if not self._in_order:
            self._hurry()
        return step

    def tell(self, happening: Happening) -> None:
        """Put one line into the event stream: it is published when it is committed."""
        self._next.told.append(self.hub.number(happening, self.clock.wall()))
        self._stir()

    def do(self, deed: Deed) -> None:
        """Have a deed carried out that an operator asked for, and not the engine, once it is committed that it was asked for."""
        self._next.deeds.append(deed)
        self._next.deeds_in_order = True
        self._stir()

    def note_all(self) -> None:
        """Put every life and job into the next batch."""
        for name in self.world.lives:
            self._note_life(name)
        for holder in self.world.ledger.accounts:
            self._note_account(holder)
        for job in (*self.finished.values(), *self.world.book.jobs.values()):
            self._next.jobs[job.id] = job
        self._stir()

    def _note_life(self, name: str) -> None:
        life = self._next.lives[name] = self.world.lives.get(name)
        if life is None:
            self._next.batch.facts["forgotten_spawns"] = str(self.world.unseen.spawns)

    def _note_account(self, holder: str) -> None:
        account = self.world.ledger.accounts.get(holder)
        self._next.batch.accounts[holder] = None if account is None else _encode(account)
        self._stir()

    def note_fact(self, name: str, value: str) -> None:
        self._next.batch.facts[name] = value
        self._stir()

    def note_definition(self, unit: str, body: bytes | None) -> None:
        self._next.batch.definitions[unit] = body
        self._stir()

    def note_generation(self, number: int, head: bytes, body: bytes) -> None:
        self._next.batch.generations[number] = head, body
        self._stir()

    def note_audit(self, body: bytes) -> None:
        self._next.batch.audit.append((self.clock.wall(), body))
        self._stir()

    def _keep(self, job: Job) -> None:
        gathered = self._next
        gathered.jobs[job.id] = job
        gathered.batch.facts["last_job"] = str(self.world.book.last)
        if job.state is not JobState.RUNNING:
            self.finished[job.id] = job
            gathered.ended.append(job)
            self._uncommitted.add(job.id)
            while len(self.finished) > KEPT_JOBS:
                oldest = next(iter(self.finished))
                del self.finished[oldest]
                gathered.jobs.pop(oldest, None)
                gathered.batch.jobs[oldest] = None

    # ---------------------------------------------------------------------------------- time

    def _wind(self) -> None:
        """Keep one timer of the loop on the world's next ring."""
        at = self.world.next_ring()
        if at == self._timer_at and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, at
        if at is not None:
            delay = min(max(0.0, at - self.clock.now()), _LONGEST_NAP)
            self._timer = asyncio.get_running_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        self._timer, self._timer_at = None, None
        self.hear()  # a sign of life that waits to be read came in time, however late we are
        self.feed(Tick())

    # ---------------------------------------------------------------------------------- the way out

    def _stir(self) -> None:
        self._stirred.set()

    async def run(self) -> None:
        """Commit and carry out, for ever. One batch is written while the next is gathered."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            await self._give_a_moment()
            await self._commit()

    async def _commit(self) -> None:
        """One batch, of which nothing is kept until the next: it may be that of a thousand starts."""
        gathered = self._next
        self._next = _Gathered(frozenset(gathered.ahead))
        self._in_order = gathered.deeds_in_order or bool(gathered.sure)
        batch = gathered.rows()
        self._note_trouble(await self._store.commit(batch))
        self._next.barred = frozenset()
        self._unsaved.update(batch.lives)
        for deed in (*gathered.sure, *sorted(gathered.deeds, key=_can_wait)):
            self._carry_out(deed)
        self._in_order = False
        if gathered.deeds:
            os.sched_yield()  # the keeper first: to tell what was done takes longer than to do it
        self._publish(gathered)
        self._tell_committed()

    def _hurry(self) -> None:
        """Carry out what need not wait, but for what is done before it."""
        sure, self._next.sure = self._next.sure, []
        for deed in sure:
            self._carry_out(deed)
        if sure and self._moment is None:
            self._moment = self.clock.now() + _MOMENT

    async def _give_a_moment(self) -> None:
        """To the keeper, after an order: it needs the processor more, and what comes of it is committed with the rest."""
        while self._moment is not None and (left := self._moment - self.clock.now()) > 0:
            self._stirred.clear()
            alarm = asyncio.get_running_loop().call_later(left, self._stir)
            await self._stirred.wait()
            alarm.cancel()
        self._moment = None

    def _publish(self, gathered: _Gathered) -> None:
        for one in gathered.told:
            self.hub.publish(one)
        for job in gathered.ended:
            self._uncommitted.discard(job.id)
            for waiter in self._waiters.pop(job.id, ()):
                if not waiter.done():
                    waiter.set_result(job)
        for settler in gathered.settlers:
            if not settler.done():
                settler.set_result(None)

    def _tell_committed(self) -> None:
        """But not of those that have changed again."""
        if self._unsaved and not self.store_trouble:
            committed = self._unsaved - self._next.lives.keys()
            self._unsaved = set()
            self.on_committed(committed)

    def _carry_out(self, deed: Deed) -> None:
        try:
            self._carry(deed)
        except Exception:
            unit = getattr(deed, "unit", "") or getattr(deed, "agent", "").rpartition("#")[0]
            _log.exception("a bug of Maestro's, at %s, by %r", unit, deed)
            self._doom(unit)
            raise

    def settle(self) -> asyncio.Future[None]:
        """Done when all that has been fed by now is committed and carried out, however much is fed meanwhile."""
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._next.settlers.append(settled)
        self._stir()
        return settled

    async def caught_up(self) -> None:
        """What has happened by now is in the store and told: whoever has seen a state may ask how it came to be."""
        await asyncio.wait({self.settle()}, timeout=_CATCHES_UP)

    def _note_trouble(self, trouble: str | None) -> None:
        if trouble and not self.store_trouble:
            _log.error("the store cannot be written: %s; agents run on, and writing is tried again", trouble)
        if self.store_trouble and not trouble:
            _log.warning("the store can be written again; nothing of the states was lost")
        self.store_trouble = trouble or ""
        self.hub.disk_refuses = bool(trouble)
        if self._retry is not None:
            self._retry.cancel()
        self._retry = asyncio.get_running_loop().call_later(RETRY_STORE, self._stir) if trouble else None

    # ---------------------------------------------------------------------------------- jobs

    def when_done(self, job: Job) -> asyncio.Future[Job]:
        """A future of the job's end, told only after it was committed."""
        future: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        if job.id in self.finished and job.id not in self._uncommitted:
            future.set_result(self.finished[job.id])
        else:
            self._waiters.setdefault(job.id, []).append(future)
        return future

    def asked_before(self, request: str) -> list[Job]:
        """The jobs that a request of this id made, if it was seen before."""
        if not request:
            return []
        return [
            job
            for jobs in (self.finished, self.world.book.jobs)
            for job in jobs.values()
            if request in job.requests
        ]


def _can_wait(deed: Deed) -> bool:
    """A replacement is not to wait until the keeper has forgotten the one before."""
    return isinstance(deed, Acknowledge)
