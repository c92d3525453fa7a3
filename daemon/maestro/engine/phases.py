"""The states in which commands around the main process run, and which of a unit's commands those are."""

from __future__ import annotations

from msgspec import Struct

from maestro.engine.state import State
from maestro.model.unit import AgentSection
from maestro.model.values import Command


class Phase(Struct, frozen=True):
    """The commands that run in one state."""

    options: tuple[str, ...]  # where the unit names them, one after the other
    label: str  # in agent ids: "researcher#17/pre1"
    comes_down: bool = False  # their time is that of a stop


PHASES: dict[State, Phase] = {
    State.START_PRE: Phase(("exec_condition", "exec_start_pre"), "pre"),
    State.START_POST: Phase(("exec_start_post",), "post"),
    State.RELOADING: Phase(("exec_reload",), "reload"),
    State.STOP_COMMAND: Phase(("exec_stop",), "stop", comes_down=True),
    State.STOP_POST: Phase(("exec_stop_post",), "stop-post", comes_down=True),
}


def commands(agent: AgentSection, state: State) -> list[tuple[str, int, Command]]:
    """The commands of the phase that a state is, each with its option and its place there."""
    return [
        (option, place, line)
        for option in PHASES[state].options
        for place, line in enumerate(getattr(agent, option))
    ]
