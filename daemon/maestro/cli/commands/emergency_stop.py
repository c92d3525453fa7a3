"""maestroctl emergency-stop."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import Command, Option
from maestro.cli.text import clean, count
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context

_GRACE = 1.0  # seconds that the daemon has to answer
# What it may say that is an answer. All else means that it cannot do it just now.
_ANSWERS = ("not-allowed", "may-not-open")
_DONE = {"freeze": "frozen", "thaw": "thawed", "stop": "killed"}


def _run(context: Context, given: dict[str, Any]) -> int:
    if given["stop"] and given["thaw"]:
        raise CallError("bad-request", "--stop and --thaw contradict each other", "name one of them")
    act = "stop" if given["stop"] else "thaw" if given["thaw"] else "freeze"
    by, trouble = "daemon", ""
    try:
        limit = min(context.limit or _GRACE, _GRACE)
        view = context.client.call("emergency-stop", {"act": act}, limit=limit)
    except CallError as error:
        if error.code in _ANSWERS:
            raise
        by, trouble = "kernel", error.message
        view = _without_daemon(context, act, trouble)
    if context.json:
        context.say_json({**view, "act": act, "by": by, "trouble": trouble})
    else:
        _tell(context, act, view, trouble)
    return exits.OK if view["still"] or act != "freeze" else exits.FAILED


def _without_daemon(context: Context, act: str, trouble: str) -> dict[str, Any]:
    from maestro.cli import kernel

    try:
        do = {"freeze": kernel.freeze, "thaw": kernel.thaw, "stop": kernel.stop}[act]
        done = do(context.paths)
    except kernel.CannotReach as why:
        raise CallError("no-answer", f"{trouble}; and without it: {why}") from None
    return {"agents": done.agents, "how": done.how, "took": round(done.took, 6), "still": done.still}


def _tell(context: Context, act: str, view: dict[str, Any], trouble: str) -> None:
    if trouble:
        context.complain(f"the daemon does not answer ({clean(trouble)}): done without it")
    if context.quiet:
        return
    how = "at once" if view["how"] == "group" else "by signals, one by one"
    context.say(f"{count(view['agents'], 'agent')} {_DONE[act]} {how}, in {view['took'] * 1000:.1f} ms")
    if act == "freeze" and not view["still"]:
        context.complain("some do not stand still yet: maestroctl status shows which")
    if act == "freeze":
        context.say("nothing is started until: maestroctl emergency-stop --thaw, or --stop")


COMMAND = Command(
    "emergency-stop",
    "Have every agent stand still at once, also when the daemon does not answer.",
    _run,
    options=(
        Option("--thaw", help="Let all go on that are held."),
        Option("--stop", help="Kill all where they stand, and start nothing again."),
    ),
)
