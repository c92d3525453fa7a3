"""Variables of the environment, by name, and by name and value."""

from __future__ import annotations

from typing import ClassVar

from maestro.model.plain import Fault, many
from maestro.model.values import Word, variable_faults


class VariableName(Word):
    __slots__ = ()
    expected: ClassVar[str] = "the name of a variable"
    examples: ClassVar[tuple[str, ...]] = ("HTTP_PROXY",)

    def __new__(cls, text: str) -> VariableName:
        if faults := variable_faults(text, ""):
            raise many([Fault(fault.message, fault.hint) for fault in faults])
        return super().__new__(cls, text)


class Assignment(Word):
    """NAME, or NAME=VALUE."""

    __slots__ = ("name", "value")
    name: str
    value: str | None
    expected: ClassVar[str] = "a variable, or NAME=VALUE"
    examples: ClassVar[tuple[str, ...]] = ("HTTP_PROXY", "LANG=C")

    def __new__(cls, text: str) -> Assignment:
        name, equals, value = text.partition("=")
        if faults := variable_faults(name, value):
            raise many([Fault(fault.message, fault.hint) for fault in faults])
        self = super().__new__(cls, text)
        self.name, self.value = name, value if equals else None
        return self
