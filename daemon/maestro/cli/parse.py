"""Reads a command line that is plain. For help, mistakes and all that is not plain it gives up, and click reads it.

Both read the same table and must agree: tests/cli/test_parse.py compares them.
"""

from __future__ import annotations

from maestro.cli.command import COUNT, FLAG, GLOBALS, NAMES, Command, Option, find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read(argv: list[str]) -> tuple[Command, dict[str, Any]] | None:
    """The command and what is given to it; None when click must have a look."""
    options = _by_flag(GLOBALS)
    given: dict[str, Any] = {option.name: option.default for option in GLOBALS}
    place = 0
    while place < len(argv) and argv[place].startswith("-"):
        taken = _take(argv, place, options, given)
        if taken == 0:
            return None
        place += taken
    if place == len(argv) or argv[place] not in NAMES:
        return None
    command = find(argv[place])
    given |= {option.name: option.default for option in command.options}
    whole = command.argument is not None and command.argument.rest
    names = _rest(argv, place + 1, options | _by_flag(command.options), given, whole=whole)
    if names is None or (bool(names) and command.argument is None):
        return None
    if command.argument is not None and command.argument.required and not names:
        return None
    given["names"] = tuple(names)
    return command, given


def _by_flag(options: tuple[Option, ...]) -> dict[str, Option]:
    return {flag: option for option in options for flag in option.flags}


def _rest(
    argv: list[str], place: int, options: dict[str, Option], given: dict[str, Any], *, whole: bool
) -> list[str] | None:
    """The names behind the command; options among them are taken in, unless the names begin the `whole` rest."""
    names: list[str] = []
    while place < len(argv):
        if argv[place] == "--":
            return names + argv[place + 1 :]
        if not argv[place].startswith("-") and whole:
            return argv[place:]
        if not argv[place].startswith("-"):
            names.append(argv[place])
            place += 1
            continue
        taken = _take(argv, place, options, given)
        if taken == 0:
            return None
        place += taken
    return names


def _take(argv: list[str], place: int, options: dict[str, Option], given: dict[str, Any]) -> int:
    """Take in one option; how many words it has, 0 when it is not plain."""
    flag, equals, value = argv[place].partition("=")
    option = options.get(flag)
    if option is None or (equals and (option.kind == FLAG or not flag.startswith("--"))):
        return 0
    if option.kind == FLAG:
        given[option.name] = True
        return 1
    if not equals:
        if place + 1 == len(argv):
            return 0
        value = argv[place + 1]
    if option.kind == COUNT and not (value.isascii() and value.isdigit()):
        return 0
    if option.choices and value not in option.choices:
        return 0
    taken = int(value) if option.kind == COUNT else value
    given[option.name] = (*given[option.name], taken) if option.repeats else taken
    return 1 if equals else 2
