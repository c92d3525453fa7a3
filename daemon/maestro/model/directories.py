"""The options of the section `agent` about its own directories, a user of its own, and credentials."""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import Struct

from maestro.model.credentials import CredentialPaths, CredentialTexts, CredentialVariables
from maestro.model.option import Change, option
from maestro.model.plain import Mistake, shorten
from maestro.model.values import Word

_MODE = "[0-7]{1,4}"
_LONGEST_PART = 255
_LONGEST = 1024
KINDS = ("state", "cache", "logs", "runtime", "configuration")
_OPTIONS = {kind: f"{kind}_directory" for kind in KINDS}


class DirectoryName(Word):
    """A directory below one of the base directories; behind a colon a further name, which becomes a link to it."""

    __slots__ = ("link", "path")
    path: str
    link: str  # empty: none
    expected: ClassVar[str] = "a directory's name such as researcher, researcher/papers or researcher:papers"
    examples: ClassVar[tuple[str, ...]] = ("researcher", "researcher/papers", "researcher:papers")

    def __new__(cls, text: str) -> DirectoryName:
        path, colon, link = text.partition(":")
        path = _normal(path)
        link = _normal(link) if colon else ""
        if link == path:
            raise Mistake(f"{shorten(text)} is a link to itself", "choose another name behind the colon")
        self = super().__new__(cls, f"{path}:{link}" if link else path)
        self.path, self.link = path, link
        return self


def _normal(path: str) -> str:
    """Without doubled slashes and dots that mean nothing."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    shown = shorten(path)
    if path.startswith("/"):
        raise Mistake(f"{shown} is absolute", "leave out the base directory: it is added")
    if not parts:
        raise Mistake(f"{shown} names no directory", "write a name, such as researcher")
    if ".." in parts:
        raise Mistake(f"{shown} leads out of its base directory", "leave out ..")
    if parts[0] == "private":
        raise Mistake(f"{shown}: `private` holds the directories of dynamic users", "choose another name")
    if parts[0] == "maestro":
        raise Mistake(f"{shown}: this is where Maestro keeps what is its own", "choose another name")
    if not path.isprintable() or len(path) > _LONGEST or any(len(p.encode()) > _LONGEST_PART for p in parts):
        raise Mistake(
            f"{shown} cannot be a directory's name", "write a shorter name, without control characters"
        )
    return "/".join(parts)


def _directories(what: str, base: str, variable: str) -> tuple[DirectoryName, ...]:
    return option(
        (),
        f"Directories for {what}, below {base}, made before it starts and owned by its user; {variable} names "
        "them in alphabetical order, separated by colons. `NAME:LINK` makes a symbolic link to it besides.",
    )


def _mode(directories: str) -> str:
    return option("0755", f"Mode of {directories}, in octal.", pattern=_MODE)


class DirectoryOptions(Struct, frozen=True, kw_only=True):
    """Part of the section `agent`."""

    state_directory: tuple[DirectoryName, ...] = _directories("what it keeps", "%S", "$STATE_DIRECTORY")
    state_directory_mode: str = _mode("`state_directory`")
    cache_directory: tuple[DirectoryName, ...] = _directories(
        "what it can make again", "%C", "$CACHE_DIRECTORY"
    )
    cache_directory_mode: str = _mode("`cache_directory`")
    logs_directory: tuple[DirectoryName, ...] = _directories("its own logs", "%L", "$LOGS_DIRECTORY")
    logs_directory_mode: str = _mode("`logs_directory`")
    runtime_directory: tuple[DirectoryName, ...] = _directories(
        "what it needs while it runs", "%t", "$RUNTIME_DIRECTORY"
    )
    runtime_directory_mode: str = _mode("`runtime_directory`")
    runtime_directory_preserve: Literal["no", "yes", "restart"] = option(
        "no",
        "Whether `runtime_directory` outlives it: no; yes; or only where it is to be started again.",
        change=Change.LIVE,
    )
    configuration_directory: tuple[DirectoryName, ...] = option(
        (),
        "Directories for its configuration, below %E, made if they are not there; owner and mode of one that is "
        "are left alone. $CONFIGURATION_DIRECTORY names them.",
    )
    configuration_directory_mode: str = _mode("a `configuration_directory` that is made")
    dynamic_user: bool = option(
        False,
        "Whether it runs as a user that exists for it alone: a number from 61184 to 65519 that no account has, the "
        "same at every start. `user` may name it; by default it is called as the unit is. An account that there is "
        "under this name or number is taken instead. A dynamic user's state, cache, logs and "
        "runtime directories lie below `private`, where no other user gets to. Only where the daemon is root.",
    )
    load_credential: CredentialPaths = option(
        CredentialPaths({}),
        "Files whose contents it is handed as credentials, as NAME: PATH; a PATH that does not begin with / is in "
        "etc/maestro/credentials, and is left out where it is missing, which the log tells. They are read at each "
        "start, and at a reload. It finds them by name in "
        "$CREDENTIALS_DIRECTORY, where nobody else can read them, and nothing is on a disk.",
        change=Change.RELOAD,
    )
    set_credential: CredentialTexts = option(
        CredentialTexts({}),
        "Credentials by their contents, as NAME: TEXT, for those that `load_credential` has no file for. Whoever may "
        "read the unit's file can read them; Maestro shows them nowhere and keeps them in no other place.",
        change=Change.RELOAD,
    )
    credentials_in_environment: CredentialVariables = option(
        CredentialVariables({}),
        "Credentials that it is told in variables besides, as NAME: VARIABLE. What it starts inherits them, so a file "
        "is better.",
    )
    credentials_on_disk: bool = option(
        False,
        "Whether credentials may lie in files on a disk where nothing may be mounted for them, and the directory for "
        "runtime files is not in memory. Otherwise the start fails there.",
    )

    def directories(self, kind: str) -> tuple[DirectoryName, ...]:
        """Those of one of `KINDS`."""
        found: tuple[DirectoryName, ...] = getattr(self, _OPTIONS[kind])
        return found

    def directory_mode(self, kind: str) -> int:
        return int(getattr(self, f"{kind}_directory_mode"), 8)

    @property
    def has_credentials(self) -> bool:
        return bool(self.load_credential or self.set_credential)
