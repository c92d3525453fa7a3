"""Our planner beside systemd's, on random graphs: the same jobs, or the same refusal; or a difference that was meant.

`MAESTRO_GRAPHS` says how many graphs (default 5,000; systemd takes about 10 ms for each).
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from msgspec import Struct

from maestro.engine.graph import Graph
from maestro.engine.plan import Activity, Kind, Planner, Scope, Unplannable
from maestro.engine.relations import Atom
from maestro.engine.step import Refusal
from maestro.model.order import Predecessor
from maestro.model.unit import AgentSection, Unit, UnitSection
from maestro.model.values import CommandLine
from tests.oracles import systemd
from tests.oracles.systemd import Verdict

GRAPHS = int(os.environ.get("MAESTRO_GRAPHS", "5000"))
OPTIONS = {  # ours -> systemd's
    "requires": "Requires",
    "requisite": "Requisite",
    "wants": "Wants",
    "binds_to": "BindsTo",
    "part_of": "PartOf",
    "upholds": "Upholds",
    "conflicts": "Conflicts",
    "propagates_stop_to": "PropagatesStopTo",
    "after": "After",
    "before": "Before",
}
GHOST = "ghost"  # a name without a unit


class Case(Struct, frozen=True):
    """Units by name, each with what it names by option; the first is to be started."""

    units: dict[str, dict[str, list[str]]]
    masked: frozenset[str]

    @property
    def anchor(self) -> str:
        return next(iter(self.units))


def draw(seed: int) -> Case:
    chance = random.Random(seed)
    names = [f"u{number}" for number in range(chance.randint(2, 8))]
    units: dict[str, dict[str, list[str]]] = {name: {} for name in names}
    reached = names[:1]  # most say something only once they are named: so that the first leads to many
    for _ in range(chance.randint(1, 3 * len(names))):
        says = chance.choice(reached if chance.random() < 0.8 else names)
        named = GHOST if chance.random() < 0.03 else chance.choice(names)
        said = units[says].setdefault(chance.choice(list(OPTIONS)), [])
        if named != says and named not in said:
            said.append(named)
            reached.extend({named} & units.keys() - set(reached))
    return Case(units, frozenset(name for name in names[1:] if chance.random() < 0.05))


def as_services(case: Case) -> dict[str, str | None]:
    def text(said: dict[str, list[str]]) -> str:
        lines = [
            f"{OPTIONS[option]}={' '.join(f'{name}.service' for name in names)}"
            for option, names in said.items()
        ]
        return "\n".join(
            [
                "[Unit]",
                "DefaultDependencies=no",
                *lines,
                "[Service]",
                "Slice=-.slice",
                "ExecStart=/bin/true",
                "",
            ]
        )

    return {name: None if name in case.masked else text(said) for name, said in case.units.items()}


def scope(case: Case) -> Scope:
    def trouble(name: str) -> Refusal | None:
        if name in case.masked:
            return Refusal("masked", "")
        return None if name in case.units else Refusal("no-such-unit", "")

    return Scope(
        Graph(unit(name, said) for name, said in case.units.items() if name not in case.masked),
        trouble,
        lambda name: Activity.DOWN,
        lambda name: "",
        lambda name: False,
        lenient=True,
    )


def unit(name: str, said: dict[str, list[str]]) -> Unit:
    options: dict[str, Any] = {option: tuple(map(Predecessor, names)) for option, names in said.items()}
    agent = AgentSection(exec=CommandLine(["/bin/true"]))
    return Unit(name=name, kind="agent", unit=UnitSection(**options), agent=agent)


def ours(case: Case) -> Verdict:
    try:
        planned = Planner(scope(case)).make([(case.anchor, Kind.START)]).jobs
    except Unplannable as why:
        return Verdict(refused=why.refusal.code)
    return Verdict(jobs={job.unit: job.kind.value for job in planned})


# ------------------------------------------------------------------------------------------- meant


def cycles_are_broken_by_rule(case: Case, theirs: Verdict, mine: Verdict) -> bool:
    """Of a cycle, we leave out all that is only wished for, and say so; systemd leaves out some one job, by chance."""
    return theirs.broke_cycle


def clashes_are_settled_by_rule(case: Case, theirs: Verdict, mine: Verdict) -> bool:
    """Where what is wished for contradicts itself, we begin with what matters; systemd begins by chance."""
    differ = {name for name in case.units if theirs.jobs.get(name) != mine.jobs.get(name)}
    insisted = closure(case, {case.anchor}, (Atom.START, Atom.VERIFY))
    clashing = any(case.units[name].get("conflicts") for name in closure(case, {case.anchor}))
    return bool(theirs.jobs and mine.jobs) and clashing and not differ & insisted


def the_wished_for_is_left_out_whole(case: Case, theirs: Verdict, mine: Verdict) -> bool:
    """What is only wanted, and cannot have what it requires, is not started; systemd starts what it had added by then."""
    impossible = {GHOST, *case.masked}
    graph, changed = scope(case).graph, True
    while changed:
        more = {
            name
            for name in case.units
            if name not in impossible
            and any(
                other in impossible for atom in (Atom.START, Atom.VERIFY) for other in graph.of(name, atom)
            )
        }
        impossible |= more
        changed = bool(more)
    lost = {name for name, kind in theirs.jobs.items() if mine.jobs.get(name) != kind}
    wanted_by_lost = closure(case, lost & impossible)
    return bool(lost & impossible) and lost <= wanted_by_lost and set(mine.jobs) <= set(theirs.jobs)


def what_is_down_drags_nothing_down(case: Case, theirs: Verdict, mine: Verdict) -> bool:
    """A stop of what does not run is no job, so it is not passed on; systemd drops that job only after it was."""
    graph = scope(case).graph
    starting = closure(case, {case.anchor})
    stopped = {
        other for name in starting for atom in (Atom.STOP, Atom.TRY_STOP) for other in graph.of(name, atom)
    }
    dragged: set[str] = set()
    todo = list(stopped)
    while todo:
        new = set(graph.of(todo.pop(), Atom.PASS_STOP)) - dragged
        dragged |= new
        todo.extend(new)
    return bool(dragged & starting)


PULLING = (Atom.START, Atom.TRY_START, Atom.VERIFY)


def closure(case: Case, names: set[str], atoms: tuple[Atom, ...] = PULLING) -> set[str]:
    """All that a start of these would start."""
    graph, found, todo = scope(case).graph, set(names), list(names)
    while todo:
        name = todo.pop()
        new = {other for atom in atoms for other in graph.of(name, atom) if other not in found}
        found |= new
        todo.extend(new)
    return found


def one_of_several_reasons_is_named(case: Case, theirs: Verdict, mine: Verdict) -> bool:
    """Where two units cannot be started, either may be named as the reason."""
    return {theirs.refused, mine.refused} == {"masked", "no-such-unit"}


Meant = Callable[[Case, Verdict, Verdict], bool]
MEANT: tuple[Meant, ...] = (
    cycles_are_broken_by_rule,
    the_wished_for_is_left_out_whole,
    what_is_down_drags_nothing_down,
    one_of_several_reasons_is_named,
    clashes_are_settled_by_rule,
)


def judge(seed: int) -> tuple[int, str, Verdict, Verdict]:
    case = draw(seed)
    theirs, mine = systemd.start(as_services(case), case.anchor), ours(case)
    if (theirs.jobs, theirs.refused) == (mine.jobs, mine.refused):
        return seed, "same", theirs, mine
    meant = next((one.__name__ for one in MEANT if one(case, theirs, mine)), "")
    return seed, meant, theirs, mine


@pytest.mark.system
@pytest.mark.timeout(1200)
@pytest.mark.skipif(bool(systemd.why_not()), reason=systemd.why_not())
def test_the_planner_agrees_with_systemd() -> None:
    counts: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        for seed, how, theirs, mine in pool.map(judge, range(GRAPHS)):
            counts[how] += 1
            outcomes[mine.refused or "planned"] += 1
            if not how:
                wrong.append(f"graph {seed}: systemd {theirs}, Maestro {mine}, units {draw(seed)}")
    print(counts, outcomes)
    assert not wrong, f"{len(wrong)} of {GRAPHS} differ:\n" + "\n".join(wrong[:5])
    assert counts["same"] >= 0.9 * GRAPHS
    assert {"planned", "conflict", "cycle", "no-such-unit", "masked"} <= set(outcomes)


@pytest.mark.parametrize("seed", range(200))
def test_a_plan_is_the_same_whenever_it_is_made(seed: int) -> None:
    case = draw(seed)
    assert ours(case) == ours(case)
