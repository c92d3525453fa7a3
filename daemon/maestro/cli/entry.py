"""From a command line to an exit code."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what `signal` wraps; that costs 4 ms more
import sys

from maestro.cli import exits, parse
from maestro.cli.context import Context, standard
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.command import Command


def run(argv: list[str]) -> int:
    """All of maestroctl. Never raises."""
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)  # `maestroctl logs | head` just ends
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    read: tuple[Command, dict[str, Any]] | int | None = parse.read(argv)
    if read is None:
        from maestro.cli import clicked

        read = clicked.read(argv)
    return read if isinstance(read, int) else carry_out(*read)


def carry_out(command: Command, given: dict[str, Any], context: Context | None = None) -> int:
    """Run a command, and say what went wrong."""
    context = context or standard(given)
    try:
        context.limit = _limit(given.get("timeout"))
        code = command.run(context, given)
        context.out.flush()
    except CallError as error:
        context.say_error(error)
        return exits.of_error(error.code)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        context.complain(f"maestroctl: {where}{(error.strerror or str(error)).lower()}")
        return exits.FAILED
    finally:
        context.client.close()
    return code


def _limit(text: str | None) -> float | None:
    if text is None:
        return None
    from maestro.cli.moment import span

    return span(text, "--timeout")
