"""maestroctl config: a function for each of its commands."""

from __future__ import annotations

from maestro.cli.text import clean, columns, stamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from maestro.cli.context import Context
    from maestro.cli.render.common import View

_HEAD = ("", "NUMBER", "TIME", "AUTHOR", "FILES", "CHANGES", "REASON")
_KINDS = ("added", "changed", "removed")
_LOOKS = {"+": "green", "-": "red", "@": "cyan"}


def list(items: Sequence[View], context: Context) -> str:
    """A line for each, the newest first; a star marks the one in force."""
    rows = [_HEAD, *map(_row, items)]
    return "\n".join(columns(rows, context.width)) + "\n"


def _row(one: View) -> tuple[str, ...]:
    changes = ", ".join(f"{len(one[kind])} {kind}" for kind in _KINDS if one[kind])
    more = f" and {one['unnamed']} more" if one["unnamed"] else ""
    return (
        "*" if one["in_force"] else "",
        str(one["number"]),
        stamp(one["time"]),
        one["author"],
        str(one["files"]),
        (changes or "-") + more,
        clean(one["reason"]),
    )


def show(items: Sequence[View], context: Context) -> str:
    parts = (f"{context.paint('dim', '# ' + clean(one['path']))}\n{one['text'].rstrip()}\n" for one in items)
    return "\n".join(parts)


def diff(items: Sequence[View], context: Context) -> str:
    if not items:
        return "nothing is different\n"
    return "".join(_compared(one, context) for one in items)


def _compared(one: View, context: Context) -> str:
    head = context.paint("bold", f"{one['change']}: {clean(one['path'])}")
    lines = [context.paint(_LOOKS.get(line[:1], ""), line) for line in one["lines"]]
    return "\n".join([head, *lines]) + "\n"
