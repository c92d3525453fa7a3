"""What must hold between the options of model/directories.py, and others."""

from __future__ import annotations

from collections.abc import Iterator

from maestro.model.budget import CALENDAR, INVOCATION, RESOURCES
from maestro.model.directories import KINDS
from maestro.model.finding import Finding
from maestro.model.unit import Unit

_ROOTED = (*(f"{kind}_directory" for kind in KINDS), "load_credential", "set_credential")


def variables_name_credentials(unit: Unit) -> Iterator[Finding]:
    agent = unit.agent
    for name in agent.credentials_in_environment if agent is not None else ():
        if agent is not None and name not in agent.load_credential and name not in agent.set_credential:
            option = "agent.credentials_in_environment"
            others = ("agent.load_credential", "agent.set_credential")
            yield Finding(option, f"there is no credential {name}", "write load_credential", others)


def directories_are_in_sight(unit: Unit) -> Iterator[Finding]:
    """Behind another root they would be somewhere else than where their variables say."""
    agent = unit.agent
    if agent is None or not agent.root_directory:
        return
    for option in (name for name in _ROOTED if getattr(agent, name)):
        message = f"it could not be seen below root_directory {agent.root_directory}"
        yield Finding(f"agent.{option}", message, "leave one of the two out", ("agent.root_directory",))


def slices_are_not_invoked(unit: Unit) -> Iterator[Finding]:
    """Of what is in a slice each has invocations of its own."""
    for resource in RESOURCES if unit.kind == "slice" else ():
        if INVOCATION in getattr(unit.budget, resource):
            message = "a slice has no invocations: what is in it is started and stopped by itself"
            hint = f"write {', '.join(CALENDAR[:-1])} or {CALENDAR[-1]}, or give the agents a budget each"
            yield Finding(f"budget.{resource}.{INVOCATION}", message, hint, (f"budget.{resource}",))


CHECKS = (variables_name_credentials, directories_are_in_sight, slices_are_not_invoked)
