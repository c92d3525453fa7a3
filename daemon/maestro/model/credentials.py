"""Credentials: what an agent is handed as files that nobody else reads. The secrets among them are never shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

from maestro.model.plain import Fault, Given, Mistake, Plain, is_scalar, kind_of, many, shorten
from maestro.model.streams import is_descriptor_name
from maestro.model.values import variable_faults

SECRET = "set_credential"  # whatever stands below a key of this name in a unit's file
REDACTED = "[redacted]"  # what stands wherever a secret would be shown


class Secret(str):
    """A text that is only ever shown as `[redacted]`, in messages and tracebacks too."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Secret({REDACTED!r})"


class OfCredentials(Mapping[str, str]):
    """Something for each of several credentials, by their names."""

    __slots__ = ("_pairs",)
    expected: ClassVar[str] = "a mapping"
    example: ClassVar[tuple[str, str]] = ("", "")

    def __init__(self, pairs: Mapping[str, str]) -> None:
        faults = [fault for name, value in pairs.items() for fault in self._faults(name, value)]
        if faults:
            raise many(faults)
        self._pairs = dict(pairs)

    @classmethod
    def read(cls, given: Given) -> Self:
        if not isinstance(given.plain, dict):
            raise Mistake(f"expected {cls.expected}, found {cls._kind(given.plain)}")
        pairs, faults = {}, []
        for name, value in given.plain.items():
            if not is_scalar(value):
                hint = 'write "" for an empty text' if value is None else ""
                faults.append(Fault(f"expected a text, found {cls._kind(value)}", hint, (name,)))
                continue
            try:
                pairs[name] = cls._text(given, name)
                faults.extend(cls._faults(name, pairs[name]))
            except Mistake as mistake:
                faults.extend(Fault(f.message, f.hint, (name,)) for f in mistake.faults)
        if faults:
            raise many(faults)
        return cls(pairs)

    @classmethod
    def _text(cls, given: Given, name: str) -> str:
        return given.resolve(given.text(name))

    @classmethod
    def _kind(cls, plain: Plain) -> str:
        return kind_of(plain)

    @classmethod
    def _faults(cls, name: str, value: str) -> list[Fault]:
        if is_credential_name(name):
            return cls._faults_of(name, value)
        hint = "write letters, digits, - _ and ., and neither / nor :"
        message = f"{shorten(name)} cannot be the name of a credential"
        return [Fault(message, hint, (name,), of_key=True)]

    @classmethod
    def _faults_of(cls, name: str, value: str) -> list[Fault]:
        return []

    def show(self) -> Plain:
        return dict(self._pairs)

    def __getitem__(self, name: str) -> str:
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
            "propertyNames": {"pattern": "^[^/:]{1,255}$"},
            "additionalProperties": {"type": ["string", "number", "boolean"]},
            "examples": [{name: value}],
        }


class CredentialPaths(OfCredentials):
    """The files that credentials are read from: a mapping, or a list of NAME:PATH, where NAME alone is the file of that name."""

    __slots__ = ()
    expected: ClassVar[str] = "a mapping such as {api-key: /etc/keys/api}"
    example: ClassVar[tuple[str, str]] = ("api-key", "/etc/keys/api")

    @classmethod
    def read(cls, given: Given) -> Self:
        if isinstance(given.plain, str):
            return cls._of_lines([given.resolve(given.plain)])
        if isinstance(given.plain, list):
            items = [given.item(place) for place in range(len(given.plain))]
            wrong = [place for place, item in enumerate(items) if not isinstance(item.plain, str)]
            if wrong:
                raise many([Fault("expected NAME:PATH", at=(place,)) for place in wrong])
            return cls._of_lines([item.resolve(item.plain) for item in items])
        return super().read(given)

    @classmethod
    def _of_lines(cls, lines: list[str]) -> Self:
        parts = (line.partition(":") for line in lines)
        try:
            return cls({name: path or name for name, _, path in parts})
        except Mistake as mistake:
            raise many([Fault(fault.message, fault.hint) for fault in mistake.faults]) from None

    @classmethod
    def _faults_of(cls, name: str, value: str) -> list[Fault]:
        if value and "\0" not in value and (value.startswith("/") or is_credential_name(value)):
            return []
        hint = "begin it with /, or name a file of etc/maestro/credentials"
        return [Fault(f"{shorten(value)} is no file that a credential can be read from", hint, (name,))]

    @classmethod
    def schema(cls) -> dict[str, Plain]:
        return {
            **super().schema(),
            "type": ["object", "array", "string"],
            "items": {"type": "string"},
        }


class CredentialTexts(OfCredentials):
    """Credentials by their contents: taken as they are, and shown to nobody."""

    __slots__ = ()
    expected: ClassVar[str] = "a mapping such as {api-key: TEXT}"
    example: ClassVar[tuple[str, str]] = ("api-key", REDACTED)

    @classmethod
    def _text(cls, given: Given, name: str) -> str:
        return Secret(given.text(name))  # no specifiers: a percent sign in it is its own

    @classmethod
    def _kind(cls, plain: Plain) -> str:
        """What was found, without a word of it."""
        return "a text" if is_scalar(plain) else kind_of(plain)

    def show(self) -> Plain:
        return dict.fromkeys(self._pairs, REDACTED)


class CredentialVariables(OfCredentials):
    """The variables that credentials are told in besides."""

    __slots__ = ()
    expected: ClassVar[str] = "a mapping such as {api-key: API_KEY}"
    example: ClassVar[tuple[str, str]] = ("api-key", "API_KEY")

    @classmethod
    def _faults_of(cls, name: str, value: str) -> list[Fault]:
        return [Fault(fault.message, fault.hint, (name,)) for fault in variable_faults(value, "")]


def is_credential_name(text: str) -> bool:
    """What systemd takes: a file's name that LISTEN_FDNAMES could carry."""
    return is_descriptor_name(text) and "/" not in text and text not in (".", "..")
