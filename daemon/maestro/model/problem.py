"""What is wrong with a unit file, for the one who wrote it."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct


class Problem(Struct, frozen=True):
    """One thing to mend, and where."""

    path: str
    line: int
    column: int
    option: str  # "agent.restart.delay"; empty when the file as a whole is meant
    message: str
    hint: str = ""

    def __str__(self) -> str:
        option = f"{self.option}: " if self.option else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.path}:{self.line}:{self.column}: {option}{self.message}{hint}"


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """As they stand in the file."""
    return tuple(sorted(problems, key=lambda p: (p.path, p.line, p.column, p.option, p.message)))
