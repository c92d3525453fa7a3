"""What is looked at just before a start: the checks of `condition:` and `assert:`, each declared once.

How a check is read is here; how it is made is in manager/conditions.py, under the same name.
"""

from __future__ import annotations

import re
from typing import ClassVar

from msgspec import Struct

from maestro.model.option import Change, option
from maestro.model.plain import Given, Mistake, Plain, scalar_text, shorten
from maestro.model.values import Size, Word
from maestro.model.versions import order_of


class Check(Word):
    """What is asked, with its marks taken off: `!` in front negates, `|` makes it one of which one must hold."""

    __slots__ = ("either", "negated", "subject")
    either: bool
    negated: bool
    subject: str
    expected: ClassVar[str] = "a text"
    examples: ClassVar[tuple[str, ...]] = ("main", "!main")

    def __new__(cls, text: str) -> Check:
        rest = text.strip()
        either = rest.startswith("|")
        rest = rest.removeprefix("|").lstrip()
        negated = rest.startswith("!")
        rest = rest.removeprefix("!").lstrip() if negated else rest
        if not rest:
            raise Mistake(f"{shorten(text)} asks nothing", f"write {cls.expected}")
        if "\0" in rest:
            raise Mistake("a text may not contain a NUL character")
        subject = cls.checked(rest)
        self = super().__new__(cls, "|" * either + "!" * negated + subject)
        self.either, self.negated, self.subject = either, negated, subject
        return self

    @classmethod
    def checked(cls, subject: str) -> str:
        """The canonical text of what is asked; a `Mistake` where it cannot be asked."""
        return subject


class PathCheck(Check):
    __slots__ = ()
    expected: ClassVar[str] = "an absolute path"
    examples: ClassVar[tuple[str, ...]] = ("/etc/researcher.conf", "!/run/no-agents")

    @classmethod
    def checked(cls, subject: str) -> str:
        if not subject.startswith("/"):
            raise Mistake(f"{shorten(subject)} is not absolute", "begin it with /")
        return subject


class MemoryCheck(Check):
    __slots__ = ()
    expected: ClassVar[str] = "a comparison with a size, such as >=4G"
    examples: ClassVar[tuple[str, ...]] = (">=4G", "<512M")

    @classmethod
    def checked(cls, subject: str) -> str:
        order, rest = order_of(subject)
        return f"{order or '>='}{Size(rest)}"


class NumberCheck(Check):
    __slots__ = ()
    expected: ClassVar[str] = "a comparison with a number, such as >=4"
    examples: ClassVar[tuple[str, ...]] = (">=4", "<2")

    @classmethod
    def checked(cls, subject: str) -> str:
        order, rest = order_of(subject)
        if not re.fullmatch("[0-9]{1,9}", rest):
            raise Mistake(f"{shorten(subject)} compares with no number", f"write {cls.expected}")
        return f"{order or '>='}{int(rest)}"


class VersionCheck(Check):
    """Words, each a comparison or a pattern; the first comparison may stand apart from its version."""

    __slots__ = ()
    expected: ClassVar[str] = "comparisons with versions, such as >=5.10 <7, or patterns such as 6.1.*"
    examples: ClassVar[tuple[str, ...]] = (">=5.10", "6.1.*")

    @classmethod
    def checked(cls, subject: str) -> str:
        words = subject.split()
        if order_of(words[0]) == (words[0], "") and len(words) > 1:
            words[:2] = ["".join(words[:2])]
        if any(order and not version for order, version in map(order_of, words)):
            raise Mistake(f"{shorten(subject)} compares with no version", f"write {cls.expected}")
        return " ".join(words)


_FIELD = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)((?:[<>!]=|[<>=]).+)")


class FieldCheck(Check):
    """Words, each a comparison of a field."""

    __slots__ = ()
    expected: ClassVar[str] = "comparisons with fields, such as ID=debian or VERSION_ID>=12"
    examples: ClassVar[tuple[str, ...]] = ("ID=debian", "ID=debian VERSION_ID>=12")

    @classmethod
    def checked(cls, subject: str) -> str:
        for word in subject.split():
            if _FIELD.fullmatch(word) is None:
                raise Mistake(f"{shorten(word)} compares no field", f"write {cls.expected}")
        return " ".join(subject.split())


def field_of(word: str) -> tuple[str, str]:
    """The field that a word of a `FieldCheck` compares, and the comparison."""
    match = _FIELD.fullmatch(word)
    assert match is not None, word
    return match[1], match[2]


ARCHITECTURES = {  # the kernel's name of a machine -> systemd's
    "x86_64": "x86-64", "i686": "x86", "i586": "x86", "i486": "x86", "i386": "x86", "aarch64": "arm64",
    "aarch64_be": "arm64-be", "armv8l": "arm", "armv7l": "arm", "armv6l": "arm", "ppc64": "ppc64",
    "ppc64le": "ppc64-le", "ppc": "ppc", "riscv64": "riscv64", "riscv32": "riscv32", "s390x": "s390x",
    "s390": "s390", "mips64": "mips64", "mips": "mips", "loongarch64": "loongarch64", "ia64": "ia64",
    "sparc64": "sparc64", "sparc": "sparc", "alpha": "alpha", "parisc64": "parisc64", "parisc": "parisc",
    "m68k": "m68k",
}  # fmt: skip


class ArchitectureCheck(Check):
    __slots__ = ()
    expected: ClassVar[str] = "an architecture such as x86-64, arm64 or native"
    examples: ClassVar[tuple[str, ...]] = ("x86-64", "arm64", "native")

    @classmethod
    def checked(cls, subject: str) -> str:
        if subject not in (*ARCHITECTURES.values(), "native"):
            raise Mistake(f"{shorten(subject)} is no architecture", f"write {cls.expected}")
        return subject


CAPABILITIES = (
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
)  # fmt: skip; by number, from 0


class CapabilityCheck(Check):
    __slots__ = ()
    expected: ClassVar[str] = "a capability such as CAP_NET_ADMIN"
    examples: ClassVar[tuple[str, ...]] = ("CAP_NET_ADMIN",)

    @classmethod
    def checked(cls, subject: str) -> str:
        if subject.lower().removeprefix("cap_") not in CAPABILITIES:
            raise Mistake(f"{shorten(subject)} is no capability", f"write {cls.expected}")
        return f"CAP_{subject.lower().removeprefix('cap_')}".upper()


_TRUTH = {"true": "true", "yes": "true", "1": "true", "false": "false", "no": "false", "0": "false"}


class TruthCheck(Check):
    __slots__ = ()
    expected: ClassVar[str] = "true or false"
    examples: ClassVar[tuple[str, ...]] = ("true", "false")

    @classmethod
    def read(cls, given: Given) -> TruthCheck:
        if isinstance(given.plain, bool):
            return cls(scalar_text(given.plain))
        return super().read(given)

    @classmethod
    def checked(cls, subject: str) -> str:
        if subject not in _TRUTH:
            raise Mistake(f"{shorten(subject)} is neither true nor false")
        return _TRUTH[subject]

    @classmethod
    def schema(cls) -> dict[str, Plain]:
        return {"type": ["string", "boolean"], "examples": list(cls.examples)}


class CheckSection(Struct, frozen=True, kw_only=True):
    """What must hold when the agent is about to be started. `"!…"` negates; of those with `"|…"` one must hold.

    The marks are YAML's, too: a value that begins with one is quoted.
    """

    path_exists: tuple[PathCheck, ...] = option((), "This path exists.", change=Change.LIVE)
    path_exists_glob: tuple[PathCheck, ...] = option(
        (), "Something exists whose path matches this pattern.", change=Change.LIVE
    )
    path_is_directory: tuple[PathCheck, ...] = option((), "This path is a directory.", change=Change.LIVE)
    path_is_symbolic_link: tuple[PathCheck, ...] = option(
        (), "This path is a symbolic link.", change=Change.LIVE
    )
    path_is_mount_point: tuple[PathCheck, ...] = option(
        (), "Something is mounted at this path.", change=Change.LIVE
    )
    path_is_read_write: tuple[PathCheck, ...] = option(
        (), "The file system of this path is not mounted read-only.", change=Change.LIVE
    )
    directory_not_empty: tuple[PathCheck, ...] = option(
        (), "This directory holds something, hidden files and left copies aside.", change=Change.LIVE
    )
    file_not_empty: tuple[PathCheck, ...] = option((), "This regular file has content.", change=Change.LIVE)
    file_is_executable: tuple[PathCheck, ...] = option(
        (), "This is a regular file that may be executed.", change=Change.LIVE
    )
    environment: tuple[Check, ...] = option(
        (), "Maestro's own environment has this variable, or this NAME=VALUE.", change=Change.LIVE
    )
    host: tuple[Check, ...] = option(
        (), "The host has this name, which may be a pattern, or this machine id.", change=Change.LIVE
    )
    user: tuple[Check, ...] = option(
        (),
        "Maestro runs as this user: a name, a number, or @system for any of the system.",
        change=Change.LIVE,
    )
    group: tuple[Check, ...] = option((), "Maestro is in this group: a name or a number.", change=Change.LIVE)
    memory: tuple[MemoryCheck, ...] = option(
        (),
        "The host's memory compares so with this size; by default it is as much at least.",
        change=Change.LIVE,
    )
    cpus: tuple[NumberCheck, ...] = option(
        (), "The CPUs that Maestro may use; by default they are as many at least.", change=Change.LIVE
    )
    architecture: tuple[ArchitectureCheck, ...] = option(
        (), "The machine is of this architecture.", change=Change.LIVE
    )
    kernel_version: tuple[VersionCheck, ...] = option(
        (), "The kernel's version compares so, or matches this pattern.", change=Change.LIVE
    )
    kernel_command_line: tuple[Check, ...] = option(
        (), "The kernel was started with this word, or with a value for it.", change=Change.LIVE
    )
    capability: tuple[CapabilityCheck, ...] = option(
        (), "Maestro's processes may have this capability.", change=Change.LIVE
    )
    credential: tuple[Check, ...] = option(
        (), "A credential of this name is in Maestro's $CREDENTIALS_DIRECTORY.", change=Change.LIVE
    )
    first_boot: tuple[TruthCheck, ...] = option(
        (), "Whether this is the host's first boot, as systemd has noted it.", change=Change.LIVE
    )
    ac_power: tuple[TruthCheck, ...] = option((), "Whether the host is on mains power.", change=Change.LIVE)
    os_release: tuple[FieldCheck, ...] = option(
        (), "The fields of /etc/os-release compare so.", change=Change.LIVE
    )
