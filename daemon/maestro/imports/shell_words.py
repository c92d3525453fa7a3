"""Commands of formats that split words as a shell does, or have a shell run them."""

from __future__ import annotations

import re
import shlex

from maestro.imports.values import argument
from maestro.model.plain import Mistake

_NAME = re.compile(r"[^A-Za-z0-9:_.-]+")


def split(command: str) -> list[str]:
    """The words of a command that no shell runs."""
    try:
        found = shlex.split(command)
    except ValueError as error:
        raise Mistake(f"the command cannot be split in words: {str(error).lower()}") from None
    if not found:
        raise Mistake("the command is empty")
    return [argument(word) for word in found]


def by_shell(command: str) -> list[str]:
    """A command that a shell runs."""
    return ["/bin/sh", "-c", argument(command)]


def unit_name(text: str) -> str:
    """A name that a unit can have."""
    name = _NAME.sub("-", text).strip("-.")
    return name[:150] or "unnamed"


def free(name: str, taken: set[str]) -> str:
    """The name, with a number where it is taken; it is taken then."""
    found, count = name, 1
    while found in taken:
        count += 1
        found = f"{name}-{count}"
    taken.add(found)
    return found
