"""maestroctl top."""

from __future__ import annotations

import os
import select
import sys
import time

from maestro.cli import exits
from maestro.cli.command import COUNT, TEXT, Argument, Command, Option
from maestro.cli.render import usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context

_EVERY = 1.0  # seconds between two pictures
_KEYS = {"c": "cpu", "m": "memory", "t": "tasks", "i": "io", "n": "name"}
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # another screen, without a cursor
_HELP = "q quits; c m t i n sort by cpu, memory, tasks, io, name"


def _run(context: Context, given: dict[str, Any]) -> int:
    fields = {"units": given["names"]}
    if given["once"] or context.json or not context.is_tty:
        return _once(context, fields, given)
    keys = _Keys()
    context.out.write(_ENTER)
    try:
        return _live(context, fields, given, keys)
    except KeyboardInterrupt:
        return exits.OK
    finally:
        context.out.write(_LEAVE)
        context.out.flush()
        keys.close()


def _once(context: Context, fields: dict[str, Any], given: dict[str, Any]) -> int:
    view = context.client.call("usage", fields, limit=context.limit)
    units = usage.ordered(view["units"], given["sort"])[: given["lines"]]
    if context.json:
        context.say_json({**view, "units": units})
    else:
        if not context.quiet:
            context.say(usage.summary(view, given["sort"]))
        for line in usage.table(units, context.width, context.paint):
            context.say(line)
    for error in view["errors"].values():
        context.complain_about(error)
    return exits.worst([exits.of_error(error["code"]) for error in view["errors"].values()])


def _live(context: Context, fields: dict[str, Any], given: dict[str, Any], keys: _Keys) -> int:
    """A picture each second, until somebody has seen enough."""
    sort = given["sort"]
    while True:
        view = context.client.call("usage", fields, limit=context.limit)
        _draw(context, view, sort, given["lines"])
        until = time.monotonic() + _EVERY
        while (left := until - time.monotonic()) > 0:
            key = keys.next(left)
            if key in ("q", "Q", "\x03"):
                return exits.OK
            if key in _KEYS:
                sort = _KEYS[key]
                _draw(context, view, sort, given["lines"])


def _draw(context: Context, view: dict[str, Any], sort: str, most: int | None) -> None:
    size = os.get_terminal_size(context.out.fileno())
    room = max(1, size.lines - 3)
    units = usage.ordered(view["units"], sort)[: room if most is None else min(most, room)]
    lines = [usage.summary(view, sort), *usage.table(units, size.columns, context.paint)]
    lines += [context.paint("dim", _HELP[: size.columns])]
    context.out.write(
        "\x1b[H" + "".join(f"{line}\x1b[K\r\n" for line in lines[:-1]) + lines[-1] + "\x1b[K\x1b[J"
    )
    context.out.flush()


class _Keys:
    """Single keys of the terminal, while there is one."""

    def __init__(self) -> None:
        self._fd, self._before = -1, None
        if sys.stdin.isatty():
            import termios
            import tty

            self._fd = sys.stdin.fileno()
            self._before = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd)

    def next(self, within: float) -> str:
        """The next one, or nothing when time is up."""
        if not select.select([self._fd] if self._fd >= 0 else [], [], [], within)[0]:
            return ""
        key = os.read(self._fd, 1).decode("ascii", "replace")
        if not key:  # the terminal is gone
            self.close()
        return key or "q"

    def close(self) -> None:
        if self._before is not None:
            import termios

            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)
            self._fd, self._before = -1, None


COMMAND = Command(
    "top",
    "Show what agents use, as it changes: CPU, memory, tasks, input and output.",
    _run,
    argument=Argument(required=False),
    options=(
        Option(
            "-s",
            "--sort",
            kind=TEXT,
            metavar="KEY",
            choices=tuple(usage.SORTS),
            default="cpu",
            help="cpu, memory, tasks, io or name; most first.",
        ),
        Option("-n", "--lines", kind=COUNT, metavar="N", help="No more than N agents."),
        Option(
            "--once",
            help="Print once, and not again and again; that is also done where there is no terminal.",
        ),
    ),
)
