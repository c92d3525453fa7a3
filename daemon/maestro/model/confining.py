"""Values of the section `sandbox`: paths, bind mounts, file systems in memory, sets of capabilities."""

from __future__ import annotations

import re
from collections.abc import Iterable
from posixpath import normpath
from typing import ClassVar

from maestro.model.plain import Given, Mistake, Plain, is_scalar, kind_of, shorten
from maestro.model.values import Word

_ADDRESS = re.compile(r"(?P<host>127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|\[::1\]):(?P<port>[0-9]{1,5})")
_NAMES = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
    SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
    MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
CAPABILITIES = {f"CAP_{name}": number for number, name in enumerate(_NAMES.split())}

_TMPFS = re.compile("(size|nr_blocks|nr_inodes|mode|uid|gid|huge)=[A-Za-z0-9%_-]+")
_SWITCHES = (
    *("ro", "rw", "noexec", "exec", "nosuid", "suid", "nodev", "dev", "nosymfollow", "symfollow"),
    *("noatime", "atime", "nodiratime", "diratime", "relatime", "norelatime", "strictatime", "nostrictatime"),
)


class SandboxPath(Word):
    """An absolute path: with `-` in front it may be missing, with `+` it is one below `agent.root_directory`."""

    __slots__ = ("may_miss", "path", "rooted")
    path: str
    may_miss: bool
    rooted: bool
    expected: ClassVar[str] = "an absolute path"
    examples: ClassVar[tuple[str, ...]] = ("/srv/papers", "-/opt/models")

    def __new__(cls, text: str) -> SandboxPath:
        marks, path = _marks(text)
        self = super().__new__(cls, marks + path)
        self.path, self.may_miss, self.rooted = path, "-" in marks, "+" in marks
        return self


class BindPath(Word):
    """What is shown at another place: `SOURCE`, `SOURCE:DESTINATION`, `SOURCE:DESTINATION:norbind`."""

    __slots__ = ("destination", "may_miss", "recursive", "source")
    source: str
    destination: str
    may_miss: bool
    recursive: bool  # with what is mounted below it
    expected: ClassVar[str] = "a path, or SOURCE:DESTINATION"
    examples: ClassVar[tuple[str, ...]] = ("/srv/papers", "/srv/models:/models", "-/srv/cache:/cache:norbind")

    def __new__(cls, text: str) -> BindPath:
        source, *more = text.split(":")
        if len(more) > 2:
            raise Mistake(f"{shorten(text)} has too many parts", "write SOURCE:DESTINATION, or add :norbind")
        how = more[1] if len(more) > 1 else "rbind"
        if how not in ("rbind", "norbind"):
            raise Mistake(f"{shorten(how)} is neither rbind nor norbind", "leave it out for rbind")
        marks, path = _marks(source, "-")
        self = super().__new__(cls, text)
        self.source, self.may_miss, self.recursive = path, "-" in marks, how == "rbind"
        self.destination = _marks(more[0], "")[1] if more and more[0] else path
        return self


class TemporaryFileSystem(Word):
    """An empty file system in memory: `PATH`, or `PATH:OPTIONS` as tmpfs(5) has them, and ro, noexec, nodev, noatime and such."""

    __slots__ = ("options", "path")
    path: str
    options: tuple[str, ...]
    expected: ClassVar[str] = "a path, or PATH:OPTIONS"
    examples: ClassVar[tuple[str, ...]] = ("/var/cache", "/scratch:size=64M,mode=0700")

    def __new__(cls, text: str) -> TemporaryFileSystem:
        path, _, options = text.partition(":")
        words = tuple(filter(None, options.split(",")))
        for word in words:
            if word not in _SWITCHES and _TMPFS.fullmatch(word) is None:
                raise Mistake(f"{shorten(word)} is no option of a tmpfs", "size=64M and mode=0700 are usual")
        self = super().__new__(cls, text)
        self.path, self.options = _marks(path, "")[1], words
        return self


def _marks(text: str, allowed: str = "-+") -> tuple[str, str]:
    path = text.lstrip(allowed) if allowed else text
    marks = text[: len(text) - len(path)]
    if not path.startswith("/"):
        raise Mistake(f"{shorten(path)} is not absolute", "begin it with /")
    if ".." in path.split("/"):
        raise Mistake(f"{shorten(path)} goes up by ..", "write the path that is meant")
    if "\0" in path:
        raise Mistake("a path may not contain a NUL character")
    if len(marks) != len(set(marks)):
        raise Mistake(f"{shorten(text)} has a mark twice", "write it once")
    return marks, "/" + normpath(path).lstrip("/")


class ListenAddress(Word):
    """An address of the loopback, and a port."""

    __slots__ = ("host", "port")
    host: str
    port: int
    expected: ClassVar[str] = "an address of the loopback and a port"
    examples: ClassVar[tuple[str, ...]] = ("127.0.0.1:4001", "[::1]:4000")

    def __new__(cls, text: str) -> ListenAddress:
        match = _ADDRESS.fullmatch(text)
        if match is None or not 0 < int(match["port"]) < 65536:
            raise Mistake(
                f"{shorten(text)} is no address of the loopback with a port", "write 127.0.0.1:4000"
            )
        self = super().__new__(cls, text)
        self.host, self.port = match["host"].strip("[]"), int(match["port"])
        return self


class CapabilitySet:
    """Capabilities by name; with `~` before the first, all but these."""

    __slots__ = ("inverted", "names")
    expected: ClassVar[str] = (
        "capabilities such as [CAP_NET_BIND_SERVICE], or [~CAP_SYS_ADMIN] for all but these"
    )

    def __init__(self, words: Iterable[str]) -> None:
        given = [word for text in words for word in text.split()]
        self.inverted = bool(given) and given[0].startswith("~")
        bare = [given[0][1:], *given[1:]] if self.inverted else given
        self.names = frozenset(_capability(word) for word in bare if word)

    @property
    def numbers(self) -> frozenset[int]:
        """Of those that are meant, as the kernel numbers them."""
        meant = CAPABILITIES.keys() - self.names if self.inverted else self.names
        return frozenset(CAPABILITIES[name] for name in meant)

    @classmethod
    def read(cls, given: Given) -> CapabilitySet:
        plain = given.plain
        if isinstance(plain, str):
            return cls([given.resolve(plain)])
        if not isinstance(plain, list):
            raise Mistake(f"expected {cls.expected}, found {kind_of(plain)}")
        for item in plain:
            if not is_scalar(item):
                raise Mistake(f"expected the name of a capability, found {kind_of(item)}")
        return cls(given.resolve(given.text(place)) for place in range(len(plain)))

    def show(self) -> Plain:
        names = sorted(self.names, key=CAPABILITIES.__getitem__)
        if not self.inverted:
            return names
        return [f"~{names[0]}", *names[1:]] if names else ["~"]

    def __str__(self) -> str:
        return " ".join(self.show())

    def __eq__(self, other: object) -> bool:
        mine = (self.inverted, self.names)
        return isinstance(other, CapabilitySet) and mine == (other.inverted, other.names)

    def __hash__(self) -> int:
        return hash((self.inverted, self.names))

    def __repr__(self) -> str:
        return f"CapabilitySet({self.show()!r})"

    @classmethod
    def schema(cls) -> dict[str, Plain]:
        return {
            "type": ["array", "string"],
            "items": {"type": "string"},
            "examples": [["CAP_NET_BIND_SERVICE"], ["~CAP_SYS_ADMIN", "CAP_SYS_PTRACE"]],
        }


def _capability(word: str) -> str:
    name = word.upper()
    if name not in CAPABILITIES:
        guess = f"CAP_{name}"
        hint = f"did you mean {guess}?" if guess in CAPABILITIES else "capabilities(7) lists them"
        raise Mistake(f"{shorten(word)} is no capability", hint)
    return name
