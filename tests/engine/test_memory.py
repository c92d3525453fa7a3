"""What becomes of a unit of which the kernel kills processes for want of memory."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from maestro.engine.events import OutOfMemory
from maestro.engine.state import Life, Result, State
from maestro.model.unit import ResourcesSection, RestartSection, Unit
from maestro.model.values import Command, Seconds
from maestro.testing.theatre import FOREVER, Play, Theatre, unit

WHY = "used 64M of memory_max 64M"
SAID = f"killed for want of memory: {WHY}"


def web(policy: Any, **options: Any) -> Unit:
    made = unit("web", restart=RestartSection(policy="on-failure", delay=Seconds(1)), **options)
    return replace(made, resources=ResourcesSection(oom_policy=policy))


def starved(policy: str, play: Play = FOREVER, **facts: Any) -> tuple[Theatre, Life]:
    """It runs, and loses a process."""
    theatre = Theatre([web(policy, **facts)], lambda name, number: play)
    theatre.ask("start", "web")
    theatre.run(1.0)
    theatre.feed(OutOfMemory("web", WHY, 1))
    return theatre, theatre.life("web")


def test_the_rest_is_stopped_and_counts_as_failed() -> None:
    theatre, life = starved("stop", Play(slow=5.0))
    assert (life.state, life.result) == (State.STOPPING, Result.OOM_KILL)
    assert theatre.signals == [("web#1", "TERM")]
    theatre.run(6.5)
    assert (theatre.life("web").state, theatre.life("web").result) == (State.BACKOFF, Result.OOM_KILL)
    assert theatre.life("web").cause == f"{SAID}; was killed by SIGTERM"


def test_the_rest_is_killed() -> None:
    theatre, life = starved("kill", Play(heeds=()))
    assert theatre.signals == [("web#1", "KILL")]
    assert life.result is Result.OOM_KILL
    theatre.run(1.5)
    assert theatre.news[-1].words.startswith(f"{SAID}; next try")


def test_the_rest_goes_on() -> None:
    theatre, life = starved("continue")
    assert (life.state, life.result, life.oom_kills) == (State.RUNNING, Result.SUCCESS, 1)
    assert life.cause == f"a process of it was {SAID}; the others go on"
    assert theatre.signals == []
    assert theatre.news[-1].kind == "oom-kill"


@pytest.mark.parametrize(
    ("ends", "result"), [(1.5, Result.OOM_KILL), (20.0, Result.SIGNAL)], ids=["at once", "later"]
)
def test_when_that_was_the_main_process(ends: float, result: Result) -> None:
    theatre, _ = starved("continue", Play(ends=ends, code=None, signal=9))
    theatre.run(ends + 0.1)
    assert theatre.life("web").result is result
    wanted = SAID if result is Result.OOM_KILL else "was killed by SIGKILL"
    assert theatre.life("web").cause == wanted


def test_commands_ask_what_is_left_to_stop() -> None:
    theatre, _ = starved("stop", exec_stop=(Command("/bin/bye"),))
    assert [one.option for one in theatre.ran] == ["exec_stop"]
    assert theatre.life("web").result is Result.OOM_KILL


def test_what_is_counted_of_its_group_goes_with_that() -> None:
    theatre, _ = starved("continue")
    theatre.ask("stop", "web")
    theatre.run(10.0)
    assert theatre.life("web").oom_kills == 0


def test_nothing_of_one_that_is_over() -> None:
    theatre = Theatre([web("stop")])
    theatre.feed(OutOfMemory("web", WHY, 1))
    assert theatre.life("web").state is State.DEAD
