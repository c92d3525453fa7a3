"""The same commands as click knows them: for help, completion, and command lines with mistakes in them."""

from __future__ import annotations

import difflib
from typing import Any

import click

from maestro.cli import exits
from maestro.cli.command import COUNT, FLAG, GLOBALS, NAMES, Argument, Command, Option, find
from maestro.cli.context import standard
from maestro.control.trouble import CallError

Read = tuple[Command, dict[str, Any]]


def read(argv: list[str]) -> Read | int:
    """The command and what is given to it; an exit code when help or a mistake was shown."""
    try:
        result = group().main(argv, "maestroctl", standalone_mode=False)
    except click.UsageError as error:
        _tell(error, as_json=_asks_for_json(argv))
        return exits.USAGE
    except click.Abort:
        return exits.INTERRUPTED
    return result if isinstance(result, tuple) else int(result or 0)


def _tell(error: click.UsageError, *, as_json: bool) -> None:
    bare = isinstance(error, click.exceptions.NoArgsIsHelpError)  # its message is all of the help
    if as_json:
        message = "Missing command." if bare else error.format_message()
        hint = f"{error.ctx.command_path if error.ctx else 'maestroctl'} --help"
        standard({"output": "json"}).say_error(CallError("bad-request", message, hint))
    elif bare:
        click.echo(error.format_message(), err=True)
    else:
        error.show()


def _asks_for_json(argv: list[str]) -> bool:
    """What `--output` says on a line that cannot be read as a whole."""
    options = argv[: argv.index("--")] if "--" in argv else argv
    said = ""
    for word, following in zip(options, [*options[1:], ""], strict=True):
        if word in ("-o", "--output"):
            said = following
        elif word.startswith(("-o", "--output=")):
            said = word.removeprefix("--output=").removeprefix("-o")
    return said == "json"


def group() -> click.Group:
    """All of maestroctl."""
    return _Group(
        "maestroctl",
        help="Start, stop and look after agents.",
        epilog=exits.epilog(),
        params=[_option(option) for option in GLOBALS],
        callback=lambda **_: None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )


def _command(command: Command) -> click.Command:
    params: list[click.Parameter] = [_option(option) for option in (*command.options, *GLOBALS)]
    if command.argument is not None:
        params.insert(0, _argument(command.argument))

    @click.pass_context
    def taken(context: click.Context, /, **given: Any) -> Read:
        given.setdefault("names", ())
        before = context.parent.params if context.parent is not None else {}
        for option in GLOBALS:
            source = context.get_parameter_source(option.name)
            if source is not click.core.ParameterSource.COMMANDLINE:
                given[option.name] = before.get(option.name, option.default)
        return command, given

    whole = command.argument is not None and command.argument.rest
    return click.Command(
        command.name,
        help=command.help,
        short_help=command.help,
        params=params,
        callback=taken,
        context_settings={"allow_interspersed_args": not whole},
    )


def _option(option: Option) -> click.Option:
    if option.kind == FLAG:
        return click.Option([*option.flags], is_flag=True, default=option.default, help=option.help)
    kind: click.ParamType[Any] = click.STRING
    if option.kind == COUNT:
        kind = click.IntRange(min=0)
    elif option.choices:
        kind = click.Choice(option.choices)
    return click.Option(
        [*option.flags],
        type=kind,
        default=option.default,
        metavar=option.metavar,
        help=option.help,
        multiple=option.repeats,
    )


def _argument(argument: Argument) -> click.Argument:
    metavar = f"{argument.metavar}..." if argument.required else f"[{argument.metavar}]..."
    return click.Argument(["names"], nargs=-1, required=argument.required, metavar=metavar)


class _Group(click.Group):
    """Keeps the order of the table, lets the epilog stand as it is, and guesses what was meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _command(find(cmd_name)) if cmd_name in NAMES else None

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(f"\n{self.epilog}\n")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in NAMES and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], NAMES, 1)
            hint = f" Did you mean {close[0]}?" if close else " maestroctl --help lists the commands."
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)
