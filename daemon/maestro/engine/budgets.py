"""What has been used of a budget: arithmetic on an account, with the time as an argument.

An account belongs to a holder: a unit, or what sums over several. It has an entry for each limit, and begins the entry anew when
its window is over; nobody has to reset anything. What a counter of the kernel says is turned into what came since the last
reading (`measure`), and the reading is kept with the sum, in one commit: so nothing is counted twice, and nothing is lost,
whenever the manager dies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from math import inf

from msgspec import Struct
from msgspec.structs import replace

from maestro.engine import calendar
from maestro.model.budget import INVOCATION, RESOURCES, BudgetSection, Limit, limits, say

_GRAIN = 1e-6  # seconds, bytes: sums of floats are not more exact than this
_OF = {
    "hour": "of this hour",
    "day": "of today",
    "week": "of this week",
    "month": "of this month",
    INVOCATION: "of this invocation",
}


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One resource in one window."""

    started: float = 0.0  # seconds since 1970
    ends: float = inf
    used: float = 0.0
    granted: float = 0.0  # what an operator has added, until the window ends
    warned: bool = False
    told: bool = False  # that it is used up


class Account(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a holder has used, and up to which reading of which counters that is."""

    entries: dict[str, Entry] = {}  # "cpu_seconds/day"
    totals: dict[str, float] = {}  # resource -> all that was ever used
    agent: str = ""  # whose counters were read
    seen: dict[str, float] = {}  # resource -> the reading that is part of the sums
    at: float = 0.0  # CLOCK_MONOTONIC of it
    running: bool = False  # whether time is counted from then on


class Terms(Struct, frozen=True, kw_only=True):
    """What a budget says, put together once: it is looked at with every reading."""

    limits: tuple[Limit, ...] = ()
    zone: tzinfo = UTC
    zone_name: str = "UTC"
    warn_at: float = 1.0
    on_exhausted: str = "notify"


def terms_of(section: BudgetSection) -> Terms:
    return Terms(
        limits=limits(section),
        zone=section.time_zone.zone,
        zone_name=str(section.time_zone),
        warn_at=section.warn_at.fraction,
        on_exhausted=section.on_exhausted,
    )


class Spent(Struct, frozen=True):
    """A limit that is reached."""

    limit: Limit
    entry: Entry

    @property
    def allowed(self) -> float:
        return self.limit.amount + self.entry.granted


class News(Struct, frozen=True):
    kind: str
    words: str
    limit: Limit


# ------------------------------------------------------------------------------------------- reading counters


def measure(
    account: Account, agent: str, counters: Mapping[str, float], now: float
) -> tuple[Account, dict[str, float]]:
    """Take in readings; returns what has come since the last ones.

    Counters begin at 0 with each agent id, and never go back for the same one: a lower reading is one of less, the main
    process's own account of itself after that of all its group, say.
    """
    seen = dict(account.seen) if agent == account.agent else {}
    deltas = {}
    for resource, reading in counters.items():
        before = seen.get(resource, 0.0)
        if reading > before:
            deltas[resource] = reading - before
            seen[resource] = reading
    if account.running and now > account.at:
        deltas["wall_time"] = now - account.at
    if not (deltas or account.running) and agent == account.agent:
        return account, {}  # nothing to take in, and nothing to be committed
    return replace(account, agent=agent, seen=seen, at=max(now, account.at)), deltas


def measured_until(account: Account, now: float) -> Account:
    """Nothing ran since the last readings."""
    return replace(account, at=max(now, account.at))


def running(account: Account, runs: bool, now: float) -> Account:
    """Time is counted from now on, or no more."""
    return replace(account, running=runs, at=now)


def rebooted(account: Account) -> Account:
    """Its processes are gone with the host, and so is the clock that time was counted by."""
    return replace(account, agent="", seen={}, at=0.0, running=False)


# ------------------------------------------------------------------------------------------- sums


def turned(terms: Terms, account: Account, wall: float) -> Account:
    """Begin the windows that are to begin."""
    known = account.entries
    new = [one for one in terms.limits if one.key not in known or not _is_in(known[one.key], wall)]
    if not new:
        return account
    entries = {key: entry for key, entry in known.items() if entry.ends > wall}
    entries |= {limit.key: _begun(terms, limit, wall) for limit in new}
    return replace(account, entries=entries)


def _begun(terms: Terms, limit: Limit, wall: float) -> Entry:
    if limit.window == INVOCATION:
        return Entry()
    started, ends = calendar.bounds(limit.window, wall, terms.zone)
    return Entry(started=started, ends=ends)


def _is_in(entry: Entry, wall: float) -> bool:
    """Whether a window still lasts. A clock that is put back a little gives no new one; one that was far ahead and is mended does."""
    return wall < entry.ends and (wall >= entry.started or entry.started - wall <= entry.ends - entry.started)


def charge(
    terms: Terms, account: Account, deltas: Mapping[str, float], wall: float, elapsed: float = 0.0
) -> Account:
    """Add what was used in the last `elapsed` seconds. Of a window that is younger than that, its share."""
    account = turned(terms, account, wall)
    deltas = {resource: delta for resource, delta in deltas.items() if delta > 0}
    if not deltas:
        return account
    entries, totals = dict(account.entries), dict(account.totals)
    for resource, delta in deltas.items():
        totals[resource] = totals.get(resource, 0.0) + delta
    for key, entry in entries.items():
        delta = deltas.get(key.partition("/")[0], 0.0)
        if delta:
            entries[key] = replace(entry, used=entry.used + delta * _share(entry, wall, elapsed))
    return replace(account, entries=entries, totals=totals)


def _share(entry: Entry, wall: float, elapsed: float) -> float:
    age = wall - entry.started
    return age / elapsed if 0 <= age < elapsed else 1.0


def begun(account: Account, *, automatic: bool) -> tuple[Account, dict[str, float]]:
    """An invocation begins: its own windows, too. Returns what that uses."""
    entries = {key: entry for key, entry in account.entries.items() if not key.endswith(f"/{INVOCATION}")}
    used = {
        name: 1.0
        for name, resource in RESOURCES.items()
        if resource.counts_starts and (automatic or resource.starts == "every")
    }
    return replace(account, entries=entries), used


def granted(account: Account, keys: tuple[str, ...], amount: float) -> Account:
    changes = {
        key: _anew(account.entries[key], granted=account.entries[key].granted + amount) for key in keys
    }
    return replace(account, entries={**account.entries, **changes})


def reset(account: Account, keys: tuple[str, ...]) -> Account:
    """As if nothing had been used; the readings stay, or it would be counted again."""
    changes = {key: _anew(account.entries[key], used=0.0, granted=0.0) for key in keys}
    return replace(account, entries={**account.entries, **changes})


def _anew(entry: Entry, **changes: float) -> Entry:
    return replace(entry, warned=False, told=False, **changes)


# ------------------------------------------------------------------------------------------- verdicts


def exhausted(terms: Terms, account: Account, wall: float) -> tuple[Spent, ...]:
    """The limits that are reached, in windows that last."""
    found = []
    for limit in terms.limits:
        entry = account.entries.get(limit.key)
        if entry is not None and _is_in(entry, wall) and left(limit, entry) <= 0:
            found.append(Spent(limit, entry))
    return tuple(found)


def left(limit: Limit, entry: Entry) -> float:
    """What may still be used."""
    rest = limit.amount + entry.granted - entry.used
    return rest if rest > _GRAIN else 0.0


def until_warning(terms: Terms, limit: Limit, entry: Entry) -> float:
    rest = (limit.amount + entry.granted) * terms.warn_at - entry.used
    return rest if rest > _GRAIN else 0.0


def notice(terms: Terms, account: Account) -> tuple[Account, tuple[News, ...]]:
    """What is to be told: each once in a window."""
    entries, news = dict(account.entries), []
    for limit in terms.limits:
        entry, key = entries[limit.key], limit.key
        if not entry.told and left(limit, entry) <= 0:
            entries[key] = replace(entry, told=True, warned=True)
            news.append(News("budget-exhausted", used_up(Spent(limit, entry)), limit))
        elif not entry.warned and until_warning(terms, limit, entry) <= 0:
            entries[key] = replace(entry, warned=True)
            news.append(News("budget-warning", share(limit, entry), limit))
    return (replace(account, entries=entries), tuple(news)) if news else (account, ())


def ends(spent: tuple[Spent, ...]) -> float:
    """When the last of these windows is over, in seconds since 1970; infinite where no clock ends it."""
    return max(one.entry.ends for one in spent)


def next_end(spent: tuple[Spent, ...]) -> float:
    return min(one.entry.ends for one in spent)


# ------------------------------------------------------------------------------------------- words


def used_up(one: Spent) -> str:
    """`cpu_seconds of today are used up (4h of 4h)`."""
    name = one.limit.resource
    verb = "is" if name == "wall_time" else "are"
    used, allowed = say(name, one.entry.used), say(name, one.allowed)
    return f"{name} {_OF[one.limit.window]} {verb} used up ({used} of {allowed})"


def share(limit: Limit, entry: Entry) -> str:
    """`61% of cpu_seconds of today are used (2h 26min of 4h)`."""
    allowed = limit.amount + entry.granted
    verb = "is" if limit.resource == "wall_time" else "are"
    amounts = f"{say(limit.resource, entry.used)} of {say(limit.resource, allowed)}"
    return f"{percent(limit, entry)}% of {limit.resource} {_OF[limit.window]} {verb} used ({amounts})"


def percent(limit: Limit, entry: Entry) -> int:
    return int(100 * entry.used / (limit.amount + entry.granted) + _GRAIN)


class Lack(Struct, frozen=True):
    """What of one budget is used up."""

    holder: str
    terms: Terms
    spent: tuple[Spent, ...]


def remedy(lacks: Sequence[Lack], wall: float, goes_on: str = "goes on") -> str:
    """`goes on at 00:00 UTC, or by maestroctl budget grant web cpu_seconds 1h`. Of several budgets, none may be used up."""
    grants = dict.fromkeys((lack.holder, one.limit.resource) for lack in lacks for one in lack.spent)
    grant = " and ".join(
        f"`maestroctl budget grant {holder} {resource} {RESOURCES[resource].kind.step}`"
        for holder, resource in grants
    )
    last = max(lacks, key=lambda lack: ends(lack.spent))
    over = ends(last.spent)
    if over == inf:
        return f"{goes_on} by {grant}, or by a restart"
    return f"{goes_on} at {calendar.stamp(over, wall, last.terms.zone, last.terms.zone_name)}, or by {grant}"


def said(lack: Lack, name: str) -> str:
    """What is used up, as the unit `name` is told."""
    words = " and ".join(map(used_up, lack.spent))
    return words if lack.holder == name else f"budget of slice {lack.holder} exhausted: {words}"


def tell(name: str, lacks: Sequence[Lack], wall: float, goes_on: str = "goes on") -> str:
    """All that is used up, and what ends that."""
    return f"{' and '.join(said(lack, name) for lack in lacks)}; {remedy(lacks, wall, goes_on)}"
