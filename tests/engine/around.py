"""Units with commands around their main process, plays of them, and what befalls managers, for tests."""

from __future__ import annotations

from typing import Any

from maestro.model.unit import RestartSection, StopSection, Unit
from maestro.model.values import Command, StopStep
from maestro.testing.theatre import DONE, FOREVER, Play, Theatre, unit

NEVER = RestartSection(policy="no")
STOP = StopSection(sequence=(StopStep("TERM 5s"), StopStep("KILL 5s")))
BAD = Play(ends=0.0, code=3)
PHASES = ("exec_start_pre", "exec_start_post", "exec_stop", "exec_stop_post")


def commands(*lines: str) -> tuple[Command, ...]:
    return tuple(Command(line) for line in lines)


def around(*phases: str, **options: Any) -> Unit:
    """A unit with two commands in each of these phases."""
    more: dict[str, Any] = {phase: commands("/bin/one", "/bin/two") for phase in phases}
    return unit(restart=options.pop("restart", NEVER), stop=STOP, **more, **options)


def play(one: Unit, main: Play = FOREVER, **plays: Play) -> Theatre:
    """`plays` say how single commands go: exec_stop_1=BAD."""

    def cast(_: str, command: str) -> Play:
        return plays.get(command.replace("[", "_").rstrip("]"), DONE)

    return Theatre([one], lambda *_: main, commands=cast)


def ran(theatre: Theatre) -> list[str]:
    return [f"{errand.option}[{errand.place}]" for errand in theatre.ran]


def befall(theatre: Theatre, acts: list[tuple[str, object]]) -> Theatre:
    """Let time pass, managers die and verbs be asked; one that ends with `!` just before its manager dies."""
    for verb, what in acts:
        if verb == "run":
            theatre.run(until=theatre.now + float(what))  # type: ignore[arg-type]
        elif verb == "kill":
            theatre.kill_manager(keeper=bool(what))
        elif verb == "away":
            theatre.kill_manager(away=float(what))  # type: ignore[arg-type]
        elif verb.endswith("!"):
            theatre.ask_in_vain(verb.removesuffix("!"), str(what))
        else:
            theatre.ask(verb, str(what))
    return theatre
