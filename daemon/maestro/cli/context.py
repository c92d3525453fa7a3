"""What a command works with: the client, the terminal, the time."""

from __future__ import annotations

import os
import sys
import time

from maestro.cli.text import Paint, clean
from maestro.control.client import Client
from maestro.paths import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TextIO

    from maestro.control.trouble import CallError
    from maestro.paths import Paths

SCHEMA = 1  # of what `--output json` prints: fields may be added, names and meanings stay


class Context:
    """One run of maestroctl."""

    def __init__(
        self, given: Mapping[str, Any], environ: Mapping[str, str], out: TextIO, err: TextIO
    ) -> None:
        self.paths: Paths = find(given.get("root"), environ, os.geteuid())
        self.client = Client(self.paths.control, self.paths.root)
        self.json: bool = given.get("output") == "json"
        self.quiet: bool = bool(given.get("quiet"))
        self.limit: float | None = given.get("limit")
        self.environ = environ
        self.out = out
        self.err = err
        self.is_tty = out.isatty()
        self.err_is_tty = err.isatty()
        colors = not given.get("no_color") and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        self.paint = Paint(colors and self.is_tty)
        self.err_paint = Paint(colors and self.err_is_tty)

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None where lines need not fit."""
        if not self.is_tty:
            return None
        try:
            return os.get_terminal_size(self.out.fileno()).columns or None
        except (OSError, ValueError):
            return None

    def now(self) -> float:
        return time.time_ns() / 1e9

    def say(self, text: str) -> None:
        self.out.write(text if text.endswith("\n") else f"{text}\n")

    def complain(self, text: str) -> None:
        """Something for the person, beside what the command prints."""
        self.out.flush()
        self.err.write(f"{text}\n")
        self.err.flush()

    def say_json(self, view: Mapping[str, Any]) -> None:
        """One object on one line. Keys keep their order, so that lines can be compared."""
        import json

        self.say(json.dumps({"schema": SCHEMA, **view}, ensure_ascii=False))

    def complain_about(self, view: Mapping[str, Any]) -> None:
        """An `ErrorView`; with JSON it is part of what is printed already."""
        if self.json:
            return
        self.complain(f"{self.err_paint.red('maestroctl:')} {clean(view['message'])}")
        if view["hint"]:
            self.complain(f"  {clean(view['hint'])}")

    def say_error(self, error: CallError) -> None:
        if self.json:
            self.say_json({"error": {"code": error.code, "message": error.message, "hint": error.hint}})
            return
        self.complain_about({"message": error.message, "hint": error.hint})


def standard(given: Mapping[str, Any]) -> Context:
    """With this process's own streams."""
    return Context(given, os.environ, sys.stdout, sys.stderr)
