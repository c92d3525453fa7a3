"""Values that are mappings: something for each name, every fault of them found at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar, Self, TypeVar

from maestro.model.plain import Fault, Given, Mistake, Plain, is_scalar, kind_of, many

V = TypeVar("V")


class ByName(Mapping[str, V]):
    """What a kind of them is says what a name and a value may be."""

    __slots__ = ("_pairs",)
    expected: ClassVar[str] = "a mapping"
    content: ClassVar[str] = "a text"  # what is expected for each name
    names: ClassVar[str] = ""  # pattern, for the schema
    types: ClassVar[tuple[str, ...]] = ("string", "number", "boolean")
    example: ClassVar[tuple[str, Plain]] = ("", "")

    def __init__(self, pairs: Mapping[str, V]) -> None:
        if faults := [fault for name, value in pairs.items() for fault in self.faults_of(name, value)]:
            raise many(faults)
        self._pairs = dict(pairs)

    @classmethod
    @abstractmethod
    def faults_of(cls, name: str, value: V) -> list[Fault]:
        """What is wrong with a pair, each fault with its name as the place."""

    @classmethod
    @abstractmethod
    def one(cls, given: Given, name: str) -> V:
        """The value that is given for a name. May raise `Mistake`."""

    @classmethod
    def name_of(cls, given: Given, name: str) -> str:
        return name

    @classmethod
    def kind(cls, plain: Plain) -> str:
        """What was found, for a message."""
        return kind_of(plain)

    @classmethod
    def hint(cls, plain: Plain) -> str:
        """What to write in place of something that is no value."""
        return ""

    @classmethod
    def read(cls, given: Given) -> Self:
        if not isinstance(given.plain, dict):
            raise Mistake(f"expected {cls.expected}, found {cls.kind(given.plain)}")
        pairs: dict[str, V] = {}
        faults: list[Fault] = []
        for written, plain in given.plain.items():
            if not is_scalar(plain):
                message = f"expected {cls.content}, found {cls.kind(plain)}"
                faults.append(Fault(message, cls.hint(plain), (written,)))
                continue
            try:
                name = cls.name_of(given, written)
                pairs[name] = cls.one(given, written)
                found = cls.faults_of(name, pairs[name])
                faults.extend(Fault(f.message, f.hint, (written,), f.of_key) for f in found)
            except Mistake as mistake:
                faults.extend(Fault(f.message, f.hint, (written,)) for f in mistake.faults)
        if faults:
            raise many(faults)
        return cls(pairs)

    def show(self) -> Plain:
        return dict(self._pairs)

    def __getitem__(self, name: str) -> V:
        return self._pairs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __hash__(self) -> int:
        return hash(frozenset(self._pairs.items()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.show()!r})"

    @classmethod
    def schema(cls) -> dict[str, Plain]:
        name, value = cls.example
        return {
            "type": "object",
            "propertyNames": {"pattern": cls.names},
            "additionalProperties": {"type": list(cls.types)},
            "examples": [{name: value}],
        }
