"""The jobs that are pending, one a unit at most."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from maestro.engine.events import Happening
from maestro.engine.jobs import MOST_REQUESTS, Job, JobState, verdict
from maestro.engine.state import Life
from maestro.engine.step import Step


class Book:
    """Opens, joins and closes jobs, and notes in the step of the moment what became of them."""

    def __init__(self, life: Callable[[str], Life]) -> None:
        self.jobs: dict[int, Job] = {}
        self.last = 0  # number of the newest job there ever was
        self.step = Step()
        self._life = life
        self._of: dict[str, int] = {}

    def restore(self, jobs: Iterable[Job]) -> None:
        self.jobs = {job.id: job for job in jobs}
        self._of = {job.unit: job.id for job in self.jobs.values()}

    def of(self, unit: str) -> Job | None:
        """The pending job of a unit."""
        number = self._of.get(unit)
        return self.jobs[number] if number is not None else None

    def verb_of(self, unit: str) -> str:
        """What the pending job of a unit does; empty where there is none."""
        job = self.of(unit)
        return job.verb if job is not None else ""

    def open(self, unit: str, verb: str, request: str, now: float) -> Job:
        self.last += 1
        job = Job(id=self.last, unit=unit, verb=verb, requests=(request,), created=now)
        self.jobs[job.id] = job
        self._of[unit] = job.id
        self.step.jobs.append(job)
        return job

    def join(self, job: Job, request: str) -> None:
        """Another request is served by this job."""
        others = tuple(one for one in job.requests if one != request)
        self.jobs[job.id] = joined = replace(job, requests=(*others, request)[-MOST_REQUESTS:])
        self.step.jobs.append(joined)

    def close(self, job: Job, state: JobState, words: str) -> None:
        done = replace(job, state=state, words=words)
        del self.jobs[job.id]
        del self._of[job.unit]
        self.step.jobs = [one for one in self.step.jobs if one.id != job.id]
        self.step.jobs.append(done)
        text = f"{job.verb}: {state.value}" + (f": {words}" if words else "")
        coarse = str(self._life(job.unit).coarse)
        self.step.news.append(Happening(unit=job.unit, kind="job", words=text, job=job.id, state=coarse))

    def conclude(self, unit: str) -> None:
        """Close the unit's job if it has nothing to wait for."""
        job = self.of(unit)
        ended = verdict(job, self._life(unit)) if job is not None else None
        if job is not None and ended is not None:
            self.close(job, *ended)
