"""What a new manager does first: go on from what was committed, and compare it with what the keeper has."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from maestro.engine.budgets import Account, rebooted
from maestro.engine.events import Acknowledge, Asked, Looked, SetAside
from maestro.engine.jobs import Job, JobState
from maestro.engine.state import Life
from maestro.manager.carrier import Carrier
from maestro.manager.catalogue import Catalogue
from maestro.manager.loop import Manager
from maestro.ports import Saved, Table

T = TypeVar("T")
_log = logging.getLogger("maestro")
_MOST_TOLD = 20  # problems of unit files that are told at start


def restore(manager: Manager, catalogue: Catalogue, saved: Saved, boot: str) -> None:
    """Lives and jobs as committed; after a boot only the numbers that must not be used twice."""
    manager.hub.resume(saved.last_event)
    lives = {name: life for name, body in saved.lives.items() if (life := _decoded(body, Life, name))}
    jobs = [job for number, body in saved.jobs.items() if (job := _decoded(body, Job, f"job {number}"))]
    accounts = {name: one for name, body in saved.accounts.items() if (one := _decoded(body, Account, name))}
    booted = saved.facts.get("boot") != boot
    if booted:
        lives = {name: Life(spawns=life.spawns, agent=life.agent) for name, life in lives.items()}
        jobs = [_interrupted(job) for job in jobs]
        accounts = {name: rebooted(account) for name, account in accounts.items()}
    manager.answered.restore(saved.facts.get("answered", ""))
    manager.restore(lives, jobs, saved.facts)
    manager.world.ledger.restore(accounts)
    if booted:
        manager.note_all()  # with the boot's id: or the next manager would take the old lives for this boot's
    catalogue.load(manager.world, saved.definitions)
    for problem in catalogue.problems[:_MOST_TOLD]:
        _log.warning("%s", problem)


def _decoded(body: bytes, kind: type[T], what: str) -> T | None:
    """One record of the store; None for one that another version wrote and this one can't read: it must not stop the rest."""
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        _log.error("%s: what the store has of it cannot be read (%s); going on without", what, error)
        return None


def _interrupted(job: Job) -> Job:
    running = job.state is JobState.RUNNING
    return replace(job, state=JobState.CANCELED, words="the host was booted") if running else job


def set_aside(manager: Manager, unit: str) -> None:
    """Take a unit out of the game over which two managers in a row crashed."""
    if unit:
        _log.error("%s: set aside after two crashes of the manager over it", unit)
        why = "set aside: Maestro crashed twice over it, a bug of ours; `maestroctl start` tries again"
        manager.feed(SetAside(unit, why))


def take_up(manager: Manager, carrier: Carrier, table: Table) -> Looked:
    """Take the streams, end what earlier probes left, and say what the keeper's table shows."""
    for name, fd in table.streams.items():
        carrier.stream(name, fd)
    running, ended = {}, {}
    for entry in table.entries:
        if carrier.prober.sweep(entry.agent):
            continue
        if entry.ended is not None and not carrier.hands_over(entry.ended):
            ended[entry.agent] = entry.ended
            if not _is_ahead(manager.world.lives, entry.agent):
                carrier.settle_past(entry.agent)
        else:
            running[entry.agent] = (entry.pid, entry.start)
    return Looked(running, ended, fresh=False)


def _is_ahead(lives: Mapping[str, Life], agent: str) -> bool:
    """Whether it was ordered by a manager that did not live to commit it: its end may be one that is to be heard."""
    unit, _, number = agent.rpartition("#")
    return unit in lives and number.isdigit() and int(number) > lives[unit].spawns


def was_ending(saved: Saved, table: Table) -> bool:
    """Whether a manager of this keeper has died while it ended everything."""
    return saved.facts.get("session") == "ending" and saved.facts.get("keeper") == table.keeper


def begin(
    manager: Manager, carrier: Carrier, seen: Looked, table: Table, saved: Saved, boot: str
) -> Asked | None:
    """Feed what was seen. Returns the start of the default target, unless an earlier manager's work goes on."""
    ahead = [agent for agent in seen.ended if _is_ahead(manager.world.lives, agent)]
    fresh = saved.facts.get("keeper") != table.keeper
    goes_on = saved.facts.get("boot") == boot and saved.facts.get("session") in ("open", "ending")
    for fact, value in (("keeper", table.keeper), ("boot", boot), ("session", "open")):
        manager.note_fact(fact, value)
    step = manager.feed(Looked(seen.running, seen.ended, fresh))
    heard = {deed.agent for deed in step.deeds if isinstance(deed, Acknowledge)}
    for agent in ahead:
        if agent not in heard:
            carrier.settle_past(agent)
    return None if goes_on else Asked("start", ("default.target",))
