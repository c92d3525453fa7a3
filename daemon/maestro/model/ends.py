"""What follows an agent's end, and how one is brought about: the sections `agent.restart` and `agent.stop`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from maestro.model.option import Change, option
from maestro.model.values import ExitStatusSet, Percentage, Seconds, StartLimit, StopStep


class RestartSection(Struct, frozen=True, kw_only=True):
    """Whether and when an ended agent is started again. By default after 1 s, 2 s … 60 s, plus 0–20 %."""

    policy: Literal["no", "always", "on-success", "on-failure", "on-abnormal", "on-abort", "on-watchdog"] = (
        option(
            "on-failure",
            "Which endings lead to a restart, as in systemd.service(5).",
            change=Change.LIVE,
        )
    )
    delay: Seconds = option(Seconds(1), "Pause before the first restart.", change=Change.LIVE)
    max_delay: Seconds = option(Seconds(60), "The pause grows to this and no further.", change=Change.LIVE)
    factor: float = option(
        2.0, "What the pause is multiplied by for each further restart.", at_least=1, change=Change.LIVE
    )
    jitter: Percentage = option(
        Percentage(20), "Up to this much is added to each pause, drawn once per restart.", change=Change.LIVE
    )
    reset_after: Seconds | None = option(
        None,
        "An agent that was ready for this long starts again from the first pause; by default 60 s or the "
        "current pause, whichever is longer.",
        change=Change.LIVE,
    )
    start_limits: tuple[StartLimit, ...] = option(
        (StartLimit("5/10s"), StartLimit("20/1h")),
        "Automatic starts allowed in a time (`5/10s`); one more and the unit gives up. "
        "Starts by hand are never counted, and clear the count.",
        change=Change.LIVE,
    )
    on_give_up: Literal["cooldown", "fail"] = option(
        "cooldown",
        "When a start limit is hit: try again after `cooldown`, or stay failed.",
        change=Change.LIVE,
    )
    cooldown: Seconds = option(Seconds(600), "How long a unit that gave up rests.", change=Change.LIVE)
    prevent_exit_status: ExitStatusSet = option(
        ExitStatusSet(()),
        "Exit codes and signals that are never followed by a restart.",
        change=Change.LIVE,
    )
    force_exit_status: ExitStatusSet = option(
        ExitStatusSet(()),
        "Exit codes and signals that are always followed by a restart.",
        change=Change.LIVE,
    )
    steps: int = option(
        0,
        "In how many restarts the pause grows from `delay` to `max_delay`, as systemd's RestartSteps does; "
        "with 0, it grows by `factor`.",
        at_least=0,
        change=Change.LIVE,
    )
    profile: Literal["maestro", "systemd", "docker", "kubelet", "pebble"] = option(
        "maestro",
        "Whose pauses to follow: sets the defaults of delay, max_delay, factor, steps, jitter, reset_after, "
        "start_limits and on_give_up as that supervisor has them. Each may still be set.",
        change=Change.LIVE,
    )


class StopSection(Struct, frozen=True, kw_only=True):
    """How an agent is ended."""

    sequence: tuple[StopStep, ...] = option(
        (StopStep("TERM 30s"), StopStep("KILL")),
        "Signals sent in turn, each followed by a wait of 10 s unless it says otherwise. KILL is always the "
        "last: it is appended where it is missing.",
        change=Change.LIVE,
    )
    kill_mode: Literal["control-group", "mixed", "process"] = option(
        "control-group",
        "Who gets the signals: all processes of the agent; or the main one, and all only at KILL (`mixed`); "
        "or the main one alone.",
        change=Change.LIVE,
    )
    drain_max: Seconds = option(
        Seconds(600),
        "How far EXTEND_TIMEOUT_USEC may push a stop out, counted from its beginning.",
        change=Change.LIVE,
    )
