"""A unit that another's end has started knows whose, and how that ended."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.engine.state import Life, Result, State
from maestro.model.unit import RestartSection
from maestro.testing.theatre import FOREVER, Play, Theatre, unit

NEVER = RestartSection(policy="no")


def hook(play: Play, option: str, **more: Any) -> Life:
    """The life of the hook after the other unit went so."""
    theatre = Theatre(
        (unit("web", **{option: ["hook"], "restart": NEVER, **more}), unit("hook")),
        lambda name, number: play if name == "web" else FOREVER,
    )
    theatre.ask("start", "web")
    theatre.run(1000)
    return theatre.life("hook")


def test_the_end_of_the_other_is_kept() -> None:
    trigger = hook(Play(ends=5, code=3), "on_failure").trigger
    assert trigger is not None
    assert trigger.ended is not None
    assert (trigger.unit, trigger.agent, trigger.result, trigger.ended.code) == (
        "web",
        "web#1",
        Result.EXIT_CODE,
        3,
    )


@pytest.mark.parametrize(
    ("play", "option", "result"),
    [
        (Play(ends=5), "on_success", Result.SUCCESS),
        (Play(ends=5, code=None, signal=9), "on_failure", Result.SIGNAL),
        (Play(refused="assert user=x was not met"), "on_failure", Result.ASSERT),
        (Play(cannot="no such program"), "on_failure", Result.RESOURCES),
    ],
)
def test_every_kind_of_end(play: Play, option: str, result: Result) -> None:
    trigger = hook(play, option).trigger
    assert trigger is not None
    assert trigger.result is result


def test_giving_up_is_a_trigger() -> None:
    rule = RestartSection(policy="always", on_give_up="fail")
    trigger = hook(Play(ends=0, code=1), "on_give_up", restart=rule).trigger
    assert trigger is not None
    assert trigger.unit == "web"


def test_a_start_by_hand_has_none_and_one_that_runs_keeps_its_own() -> None:
    theatre = Theatre(
        (unit("web", on_failure=["hook"], restart=NEVER), unit("hook")),
        lambda name, number: Play(ends=5, code=1) if name == "web" else FOREVER,
    )
    theatre.ask("start", "hook")
    theatre.ask("start", "web")
    theatre.run(10)
    assert theatre.life("web").state is State.FAILED
    assert theatre.life("hook").trigger is None
    theatre.ask("stop", "hook")
    theatre.run(11)
    theatre.ask("start", "web")
    theatre.run(20)
    assert theatre.life("hook").trigger is not None
    theatre.ask("restart", "hook")
    theatre.run(30)
    assert theatre.life("hook").trigger is None
