"""The manager: one door for events, one way out for deeds.

`feed` never awaits, so nobody sees a half-made world. What follows from events is gathered into a batch, committed to the store, and only
then carried out and told. If the disk refuses, the deeds leave all the same: agents must be held even when nothing can be written.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping

import msgspec

from maestro.engine.events import Acknowledge, Deed, Event, Happening, Tick
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
_CATCHES_UP = 1.0  # seconds: a disk that hangs must not keep anybody from reading what it has
_LONGEST_NAP = 86400.0  # seconds; a loop's timer need not carry a year, and cannot carry for ever


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
        self.foresee: Callable[[Deed], None] = lambda deed: None  # notes what is to be committed with a deed
        self.hear: Callable[[], None] = lambda: None  # takes in what agents have said by now
        self.on_committed: Callable[[Iterable[str]], None] = lambda units: None  # is told whose lives were
        self.measure: Callable[[], None] = lambda: None  # looks at what the host has left, and feeds it
        self.on_accounts: Callable[[], None] = lambda: None  # is told that a budget is at work
        self._unsaved: set[str] = set()  # units whose lives the disk has refused so far
        self._batch = Batch()
        self._deeds: list[Deed] = []
        self._told: list[Told] = []
        self._ended_jobs: list[Job] = []
        self._uncommitted: set[int] = set()  # jobs whose end is not in the store yet
        self._waiters: dict[int, list[asyncio.Future[Job]]] = {}
        self._settlers: list[asyncio.Future[None]] = []
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
        self._deeds.extend(step.deeds)
        for deed in step.deeds:
            self.foresee(deed)
        if step.jobs or step.deeds:
            self._stir()
        self._wind()
        if step.accounts:
            self.on_accounts()
        if step.measure:
            self.measure()
        return step

    def tell(self, happening: Happening) -> None:
        """Put one line into the event stream: it is published when it is committed."""
        told = self.hub.number(happening, self.clock.wall())
        self._told.append(told)
        self._batch.events.append((told.seq, told.time, _encode(told)))
        self._stir()

    def do(self, deed: Deed) -> None:
        """Have a deed carried out that an operator asked for, and not the engine, once it is committed that it was asked for."""
        self._deeds.append(deed)
        self._stir()

    def note_all(self) -> None:
        """Put every life and job into the next batch."""
        for name in self.world.lives:
            self._note_life(name)
        for holder in self.world.ledger.accounts:
            self._note_account(holder)
        for job in (*self.finished.values(), *self.world.book.jobs.values()):
            self._batch.jobs[job.id] = _encode(job)

    def _note_life(self, name: str) -> None:
        life = self.world.lives.get(name)
        self._batch.lives[name] = None if life is None else _encode(life)
        if life is None:
            self._batch.facts["forgotten_spawns"] = str(self.world.unseen.spawns)
        self._stir()

    def _note_account(self, holder: str) -> None:
        account = self.world.ledger.accounts.get(holder)
        self._batch.accounts[holder] = None if account is None else _encode(account)
        self._stir()

    def note_fact(self, name: str, value: str) -> None:
        self._batch.facts[name] = value
        self._stir()

    def note_definition(self, unit: str, body: bytes | None) -> None:
        self._batch.definitions[unit] = body
        self._stir()

    def note_audit(self, body: bytes) -> None:
        self._batch.audit.append((self.clock.wall(), body))
        self._stir()

    def _keep(self, job: Job) -> None:
        self._batch.jobs[job.id] = _encode(job)
        self._batch.facts["last_job"] = str(self.world.book.last)
        if job.state is not JobState.RUNNING:
            self.finished[job.id] = job
            self._ended_jobs.append(job)
            self._uncommitted.add(job.id)
            while len(self.finished) > KEPT_JOBS:
                oldest = next(iter(self.finished))
                del self.finished[oldest]
                self._batch.jobs[oldest] = None

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
            batch, self._batch = self._batch, Batch()
            deeds, self._deeds = self._deeds, []
            told, self._told = self._told, []
            ended, self._ended_jobs = self._ended_jobs, []
            settlers, self._settlers = self._settlers, []
            self._note_trouble(await self._store.commit(batch))
            self._unsaved.update(batch.lives)
            for deed in sorted(deeds, key=_can_wait):
                self._carry_out(deed)
            if deeds:
                os.sched_yield()  # the keeper first: to tell what was done takes longer than to do it
            for one in told:
                self.hub.publish(one)
            for job in ended:
                self._uncommitted.discard(job.id)
                for waiter in self._waiters.pop(job.id, ()):
                    if not waiter.done():
                        waiter.set_result(job)
            for settler in settlers:
                if not settler.done():
                    settler.set_result(None)
            self._tell_committed()

    def _tell_committed(self) -> None:
        """But not of those that have changed again."""
        if self._unsaved and not self.store_trouble:
            committed = self._unsaved - self._batch.lives.keys()
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
        self._settlers.append(settled)
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
