"""maestroctl export."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import TEXT, Argument, Command, Option
from maestro.cli.text import clean
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context

_FORMATS = ("systemd",)


def _run(context: Context, given: dict[str, Any]) -> int:
    """Asks no daemon: loads the units the way the daemon does."""
    format, *names = given["names"]
    if format not in _FORMATS or bool(names) == given["all"]:
        hint = "write maestroctl export systemd NAME..., or --all instead of names"
        context.say_error(CallError("bad-request", "export takes a format and units", hint))
        return exits.USAGE
    from maestro.exporting import exports

    found, missing = exports(names, context.paths, given["to"] or "", force=given["force"])
    if context.json:
        _say_json(context, found, missing)
    else:
        for one in found:
            _say(context, one)
        for name in missing:
            context.complain(f"maestroctl: no unit {clean(name)} that loads")
    if missing:
        return exits.NO_SUCH_UNIT
    if any(one.kept for one in found):
        return exits.FAILED
    lost = any(remark.grade == "dropped" for one in found for remark in one.file.remarks)
    return exits.INCOMPLETE if lost else exits.OK


def _say(context: Context, one: Any) -> None:
    """The file where none is written; remarks beside it, for the file may go into a pipe."""
    if one.kept:
        context.complain(
            f"maestroctl: {clean(one.path)} is there already: it is left as it is without --force"
        )
    elif one.path and not context.quiet:
        context.say(f"wrote {clean(one.path)}")
    elif not one.path:
        context.say(one.file.text)
    for remark in one.file.remarks:
        if remark.grade != "exact":
            context.complain(clean(str(remark)))


def _say_json(context: Context, found: list[Any], missing: list[str]) -> None:
    import msgspec

    files = [msgspec.to_builtins(one) for one in found]
    context.say_json({"files": files, "missing": missing})


COMMAND = Command(
    "export",
    "Make files of systemd from units, and tell what it cannot express; needs no daemon.",
    _run,
    argument=Argument("systemd NAME"),
    options=(
        Option("--all", help="All units that there are."),
        Option("--to", kind=TEXT, metavar="DIR", help="Write files there, instead of showing them."),
        Option("--force", help="Overwrite files that are there."),
    ),
)
