"""Credentials: what an agent is handed as files that nobody else reads. The secrets among them are never shown."""

from __future__ import annotations

from typing import ClassVar, Self

from maestro.model.mappings import ByName
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


class OfCredentials(ByName[str]):
    """Something for each of several credentials, by their names."""

    __slots__ = ()
    names: ClassVar[str] = "^[^/:]{1,255}$"

    @classmethod
    def one(cls, given: Given, name: str) -> str:
        return given.resolve(given.text(name))

    @classmethod
    def hint(cls, plain: Plain) -> str:
        return 'write "" for an empty text' if plain is None else ""

    @classmethod
    def faults_of(cls, name: str, value: str) -> list[Fault]:
        if is_credential_name(name):
            return cls._faults_in(name, value)
        hint = "write letters, digits, - _ and ., and neither / nor :"
        message = f"{shorten(name)} cannot be the name of a credential"
        return [Fault(message, hint, (name,), of_key=True)]

    @classmethod
    def _faults_in(cls, name: str, value: str) -> list[Fault]:
        return []


class CredentialPaths(OfCredentials):
    """The files that credentials are read from: a mapping, or a list of NAME:PATH, where NAME alone is the file of that name."""

    __slots__ = ()
    expected: ClassVar[str] = "a mapping such as {api-key: /etc/keys/api}"
    example: ClassVar[tuple[str, Plain]] = ("api-key", "/etc/keys/api")

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
    def _faults_in(cls, name: str, value: str) -> list[Fault]:
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
    example: ClassVar[tuple[str, Plain]] = ("api-key", REDACTED)

    @classmethod
    def one(cls, given: Given, name: str) -> str:
        return Secret(given.text(name))  # no specifiers: a percent sign in it is its own

    @classmethod
    def kind(cls, plain: Plain) -> str:
        """What was found, without a word of it."""
        return "a text" if is_scalar(plain) else kind_of(plain)

    def show(self) -> Plain:
        return dict.fromkeys(self._pairs, REDACTED)


class CredentialVariables(OfCredentials):
    """The variables that credentials are told in besides."""

    __slots__ = ()
    expected: ClassVar[str] = "a mapping such as {api-key: API_KEY}"
    example: ClassVar[tuple[str, Plain]] = ("api-key", "API_KEY")

    @classmethod
    def _faults_in(cls, name: str, value: str) -> list[Fault]:
        return [Fault(fault.message, fault.hint, (name,)) for fault in variable_faults(value, "")]


def is_credential_name(text: str) -> bool:
    """What systemd takes: a file's name that LISTEN_FDNAMES could carry."""
    return is_descriptor_name(text) and "/" not in text and text not in (".", "..")
