"""maestroctl sandbox."""

from __future__ import annotations

import os

from maestro.cli import exits
from maestro.cli.command import Argument, Command
from maestro.cli.text import clean
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context

_ALIKE = (  # not its directories: those are the unit's
    "agent.user",
    "agent.group",
    "agent.supplementary_groups",
    "agent.dynamic_user",
    "agent.root_directory",
    "agent.working_directory",
    "resources.slice",
)
_HOMES = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")
_LONGEST = "30s"  # that the probe may take


def _run(context: Context, given: dict[str, Any]) -> int:
    what, *names = given["names"]
    if what != "check" or not names:
        raise CallError(
            "bad-request", f"sandbox: {what!r} cannot be done", "write maestroctl sandbox check UNIT"
        )
    shown = context.client.call("show", {"units": names}, limit=context.limit)
    found = [
        {"name": unit["name"], "tiers": unit["tiers"], **_check(context, unit)} for unit in shown["items"]
    ]
    if context.json:
        context.say_json({"units": found})
        return exits.OK
    from maestro.cli.render.sandbox import table

    for one in found:
        context.say(table(one, context.paint))
    return exits.OK


def _check(context: Context, unit: dict[str, Any]) -> dict[str, Any]:
    """What a probe sees that is confined as the unit is: as a transient unit with the same sandbox."""
    import json

    name = f"sandbox-check-{os.urandom(4).hex()}"
    began = context.now()
    fields = {"unit": name, "properties": _properties(unit), "wait": True}
    view = context.client.call("run", fields, limit=context.limit)
    asked = {"units": [name], "lines": None, "since": began, "follow": True, "to_end": True}
    lines = [line["text"] for line in context.client.stream("logs", asked, limit=context.limit)]
    for line in lines:
        if line.startswith('{"probe":'):
            probe: dict[str, Any] = json.loads(line)["probe"]
            return probe
    why = "; ".join(filter(None, (job["words"] for job in view["jobs"]))) or "it said nothing"
    said = f" ({clean(lines[-1])})" if lines else ""
    raise CallError(
        "failed",
        f"{unit['name']}: no probe could be run in its sandbox: {why}{said}",
        f"maestroctl logs {name}",
    )


def _properties(unit: dict[str, Any]) -> list[str]:
    import json
    import sys

    from maestro import probe
    from maestro.model.properties import command  # imports the model

    with open(probe.__file__, encoding="utf-8") as file:
        source = file.read()
    words = [_interpreter(sys.executable), "-I", "-S", "-B", "-c", source, json.dumps(probe.facts())]
    found = [
        f"{option}={json.dumps(value).replace('%', '%%')}"
        for option, value in unit["options"].items()
        if option in unit["origins"] and (option.startswith("sandbox.") or option in _ALIKE)
    ]
    own = ("agent.type=oneshot", f"agent.start_timeout={_LONGEST}", "unit.collect_mode=inactive-or-failed")
    described = f"unit.description={json.dumps('What is reachable in the sandbox of ' + unit['name'])}"
    return [f"agent.exec={command(words)}", *own, described, *found, *_dynamic_user(unit)]


def _dynamic_user(unit: dict[str, Any]) -> list[str]:
    """The unit's number goes by its name: under another the probe would be another user."""
    is_unnamed = unit["options"].get("agent.dynamic_user") and not unit["options"].get("agent.user")
    return [f"agent.user={unit['name']}"] if is_unnamed else []


def _interpreter(ours: str) -> str:
    """Any will do. One in somebody's home may be hidden."""
    real, usual = os.path.realpath(ours), "/usr/bin/python3"
    return usual if real.startswith(_HOMES) and os.access(usual, os.X_OK) else real


COMMAND = Command(
    "sandbox",
    "Run a probe that is confined as a unit is, and print what it can really see, touch and reach: `sandbox check UNIT`.",
    _run,
    argument=Argument("check UNIT"),
)
