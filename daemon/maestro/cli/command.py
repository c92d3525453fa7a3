"""What a command is, and which there are. Plain classes: dataclasses would cost 10 ms at each start."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from maestro.cli.context import Context

FLAG, TEXT, COUNT = "flag", "text", "count"  # kinds of options; a count is a whole number from 0


class Option:
    """`--lines N`. `name` is the key under which its value reaches the command; all values, of one that repeats."""

    __slots__ = ("choices", "default", "flags", "help", "kind", "metavar", "name", "repeats")

    def __init__(
        self,
        *flags: str,
        help: str,
        kind: str = FLAG,
        metavar: str = "",
        default: Any = None,
        choices: tuple[str, ...] = (),
        repeats: bool = False,
    ) -> None:
        self.flags = flags
        self.help = help
        self.kind = kind
        self.metavar = metavar
        self.choices = choices
        self.repeats = repeats
        self.default = False if kind == FLAG and default is None else () if repeats else default
        self.name = max(flags, key=len).lstrip("-").replace("-", "_")


class Argument:
    """`NAME…`. Its values reach the command as the tuple `names`; with `rest`, that is all from the first on."""

    __slots__ = ("metavar", "required", "rest")

    def __init__(self, metavar: str = "NAME", *, required: bool = True, rest: bool = False) -> None:
        self.metavar = metavar
        self.required = required
        self.rest = rest


class Command:
    __slots__ = ("argument", "help", "name", "options", "run")

    def __init__(
        self,
        name: str,
        help: str,
        run: Callable[[Context, dict[str, Any]], int],
        *,
        argument: Argument | None = None,
        options: tuple[Option, ...] = (),
    ) -> None:
        self.name = name
        self.help = help
        self.run = run
        self.argument = argument
        self.options = options


# Understood before the command and after it.
GLOBALS = (
    Option("--root", kind=TEXT, metavar="DIR", help="Where the daemon has its files ($MAESTRO_ROOT)."),
    Option(
        "-o",
        "--output",
        kind=TEXT,
        metavar="FORMAT",
        choices=("text", "json"),
        default="text",
        help="text, or json for programs.",
    ),
    Option(
        "--timeout", kind=TEXT, metavar="SPAN", help="Give up waiting after this long, such as 30s or 5min."
    ),
    Option("--no-color", help="No colours, even on a terminal ($NO_COLOR)."),
    Option("-q", "--quiet", help="Say nothing where all went well."),
)

# In the order in which help shows them; each is a module of maestro.cli.commands that declares COMMAND.
NAMES = (
    "start",
    "stop",
    "restart",
    "try-restart",
    "reload",
    "reload-or-restart",
    "isolate",
    "run",
    "cancel",
    "jobs",
    "reset-failed",
    "kill",
    "freeze",
    "thaw",
    "budget",
    "emergency-stop",
    "enable",
    "disable",
    "mask",
    "unmask",
    "preset",
    "preset-all",
    "is-enabled",
    "status",
    "why",
    "top",
    "is-active",
    "is-failed",
    "list",
    "show",
    "cat",
    "list-dependencies",
    "graph",
    "blame",
    "critical-chain",
    "plot",
    "doctor",
    "explain",
    "sandbox",
    "delta",
    "edit",
    "set",
    "logs",
    "events",
    "audit",
    "verify",
    "config",
    "import",
    "export",
    "daemon-reload",
    "daemon-reexec",
    "shutdown",
    "version",
)


def find(name: str) -> Command:
    """The command of this name; only its module is imported."""
    # Not importlib.import_module: importing importlib costs more than this.
    module = __import__(f"maestro.cli.commands.{name.replace('-', '_')}", fromlist=["COMMAND"])
    command: Command = module.COMMAND
    return command
