"""maestroctl import."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import TEXT, Argument, Command, Option
from maestro.cli.text import clean, count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from maestro.cli.context import Context
    from maestro.importing import Written

_FORMATS = ("systemd", "supervisord", "compose", "procfile", "pm2", "crontab")


def _run(context: Context, given: dict[str, Any]) -> int:
    """Asks no daemon: reads files, and writes unit files."""
    from maestro.importing import imports

    folder = given["to"] or context.paths.units[0]
    found = imports(
        given["names"],
        given["format"] or "",
        folder,
        context.paths.units,
        dry=given["dry_run"],
        force=given["force"],
    )
    if context.json:
        context.say_json({"units": [_view(one) for one in found]})
    else:
        for one in found:
            _say(context, one, verbose=given["verbose"])
        if not context.quiet:
            context.say(_summary(found))
    if any(one.state == "kept" for one in found):
        return exits.FAILED
    lost = any(remark.grade == "dropped" for one in found for remark in one.imported.remarks)
    return exits.INCOMPLETE if lost else exits.OK


def _view(one: Written) -> dict[str, Any]:
    import msgspec

    remarks = [msgspec.to_builtins(remark) for remark in one.imported.remarks]
    return {"unit": one.imported.file, "path": one.path, "state": one.state, "remarks": remarks}


def _say(context: Context, one: Written, *, verbose: bool) -> None:
    remarks = one.imported.remarks
    if one.path and not context.quiet:
        words = f"{one.state} {one.path}: {_counted(one.imported.remarks)}"
        context.say(clean(words))
    if one.state == "kept":
        context.complain(
            f"maestroctl: {clean(one.path)} is there already: it is left as it is without --force"
        )
    for remark in remarks:
        if verbose or remark.grade != "exact":
            context.say(clean(str(remark)))


def _summary(found: list[Written]) -> str:
    made = sum(one.state in ("written", "would be written") for one in found)
    verb = "would be written" if any(one.state == "would be written" for one in found) else "written"
    return f"{count(made, 'unit')} {verb}: {_counted(remark for one in found for remark in one.imported.remarks)}"


def _counted(remarks: Iterable[Any]) -> str:
    grades = [remark.grade for remark in remarks]
    return ", ".join(f"{grades.count(grade)} {grade}" for grade in ("exact", "approximated", "dropped"))


COMMAND = Command(
    "import",
    "Make units from the files of systemd, supervisord, Docker Compose, Procfile, pm2 or cron; needs no daemon.",
    _run,
    argument=Argument("FILE|DIR"),
    options=(
        Option("--format", kind=TEXT, metavar="FORMAT", choices=_FORMATS, help="What the files are, where their names do not tell."),
        Option("--to", kind=TEXT, metavar="DIR", help="Where units are written; by default the directory of units."),
        Option("--dry-run", help="Write nothing, and say what would be."),
        Option("--force", help="Overwrite unit files that are there."),
        Option("--verbose", help="Tell of the lines that go over exactly, too."),
    ),
)  # fmt: skip
