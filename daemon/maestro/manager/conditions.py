"""Conditions and asserts, looked at just before a start. What each says is declared in model/conditions.py."""

from __future__ import annotations

import glob
import grp
import os
import pwd
import re
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase

from maestro.model.conditions import ARCHITECTURES, CAPABILITIES, Check, CheckSection, field_of
from maestro.model.option import describe
from maestro.model.values import Size
from maestro.model.versions import ORDERS, key, order_of

Environ = Mapping[str, str]  # Maestro's own
_SYSTEM = 999  # the highest number of a user or group of the system
_LEFT_COPIES = (
    ".rpmnew", ".rpmsave", ".rpmorig", ".dpkg-old", ".dpkg-new", ".dpkg-tmp", ".dpkg-dist", ".dpkg-bak",
    ".dpkg-backup", ".dpkg-remove", ".ucf-new", ".ucf-old", ".ucf-dist", ".swp", ".bak", ".old", ".new",
)  # fmt: skip
_NOTHING = CheckSection()
_NO_CONTENT = ("lost+found", "aquota.user", "aquota.group")


def unmet(section: CheckSection, what: str, environ: Environ) -> str:
    """What of a section does not hold, in words; empty where all does. `what` is "condition" or "assert"."""
    if section == _NOTHING:
        return ""
    some: list[str] = []  # of those of which one must hold
    one_holds = False
    for name, check in _given(section):
        if not check.either and not holds(name, check, environ):
            return f"{what} {name}={check} was not met"
        if check.either:
            some.append(f"{name}={check}")
            one_holds = one_holds or holds(name, check, environ)
    if some and not one_holds:
        return f"none of {what} {', '.join(some)} was met"
    return ""


def _given(section: CheckSection) -> Iterator[tuple[str, Check]]:
    for option in describe(CheckSection):
        for check in getattr(section, option.name):
            yield option.name, check


def holds(name: str, check: Check, environ: Environ) -> bool:
    """Whether a check holds. What cannot be looked at is not so, and its negation holds, as in systemd."""
    try:
        found = TESTS[name](check.subject, environ)
    except OSError:
        found = False
    return found is not check.negated


# ------------------------------------------------------------------------------------------- files


def _exists(path: str) -> bool:
    return os.access(path, os.F_OK)


def _glob_exists(pattern: str) -> bool:
    return any(next(glob.iglob(one), None) is not None for one in _alternatives(pattern))


def _alternatives(pattern: str) -> list[str]:
    """`{a,b}` stands for both."""
    braces = re.search(r"\{([^{}]*,[^{}]*)\}", pattern)
    if braces is None:
        return [pattern]
    before, behind = pattern[: braces.start()], pattern[braces.end() :]
    return [whole for word in braces[1].split(",") for whole in _alternatives(before + word + behind)]


def _is_mount_point(path: str) -> bool:
    """By the kernel's list: a bind mount of the same file system is one, too."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        points = {re.sub(r"\\([0-7]{3})", lambda o: chr(int(o[1], 8)), line.split()[4]) for line in mounts}
    return _exists(path) and os.path.realpath(path) in points


def _is_read_write(path: str) -> bool:
    return not os.statvfs(path).f_flag & os.ST_RDONLY


def _is_directory_with_content(path: str) -> bool:
    with os.scandir(path) as entries:
        return not all(_is_no_content(entry.name) for entry in entries)


def _is_no_content(name: str) -> bool:
    return name in _NO_CONTENT or name.startswith(".") or name.endswith(("~", *_LEFT_COPIES))


def _is_file(path: str, fits: Callable[[os.stat_result], object]) -> bool:
    found = os.stat(path)
    return stat.S_ISREG(found.st_mode) and bool(fits(found))


# ------------------------------------------------------------------------------------------- the host


def _has_variable(text: str, environ: Environ) -> bool:
    name, equals, value = text.partition("=")
    return environ.get(name) == value if equals else name in environ


def _is_host(text: str) -> bool:
    if re.fullmatch("[0-9a-fA-F]{32}", text.replace("-", "")):
        return _content("/etc/machine-id").strip() == text.replace("-", "").lower()
    return fnmatchcase(os.uname().nodename.lower(), text.lower())


def _is_user(text: str) -> bool:
    own = {os.getuid(), os.geteuid()}
    if text == "@system":
        return min(own) <= _SYSTEM
    return _number(text, lambda name: pwd.getpwnam(name).pw_uid) in own


def _is_in_group(text: str) -> bool:
    own = {os.getgid(), os.getegid(), *os.getgroups()}
    return _number(text, lambda name: grp.getgrnam(name).gr_gid) in own


def _number(text: str, by_name: Callable[[str], int]) -> int | None:
    try:
        return int(text) if text.isdigit() else by_name(text)
    except KeyError:
        return None


def _memory_compares(text: str) -> bool:
    order, size = order_of(text)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):
        memory = min(memory, int(_content("/sys/fs/cgroup/memory.max")))  # in a container
    return ORDERS[order](memory, int(Size(size)))


def _cpus_compare(text: str) -> bool:
    order, number = order_of(text)
    return ORDERS[order](len(os.sched_getaffinity(0)), int(number))


def _is_architecture(text: str) -> bool:
    return text in ("native", ARCHITECTURES.get(os.uname().machine))


def _kernel_compares(text: str) -> bool:
    return all(_version_fits(os.uname().release, word) for word in text.split())


def _version_fits(version: str, word: str) -> bool:
    order, other = order_of(word)
    return ORDERS[order](key(version), key(other)) if order else fnmatchcase(version, word)


def _kernel_was_told(text: str) -> bool:
    words = shlex.split(_content("/proc/cmdline"), posix=True)
    return any(word == text or ("=" not in text and word.startswith(f"{text}=")) for word in words)


def _has_capability(text: str) -> bool:
    bounds = re.search(r"^CapBnd:\s*([0-9a-f]+)$", _content("/proc/self/status"), re.MULTILINE)
    number = CAPABILITIES.index(text.lower().removeprefix("cap_"))
    return bounds is not None and bool(int(bounds[1], 16) >> number & 1)


def _has_credential(name: str, environ: Environ) -> bool:
    if "/" in name or name in (".", ".."):
        return False
    places = (environ.get("CREDENTIALS_DIRECTORY"), environ.get("ENCRYPTED_CREDENTIALS_DIRECTORY"))
    return any(_exists(os.path.join(place, name)) for place in places if place)


def _is_on_mains() -> bool:
    """Any supply of mains that is on; where none is named there is no battery that matters."""
    supplies = glob.glob("/sys/class/power_supply/*")
    mains = [one for one in supplies if _content(f"{one}/type").strip() in ("Mains", "USB")]
    return not mains or any(_content(f"{one}/online").strip() == "1" for one in mains)


def _release_compares(text: str) -> bool:
    fields = dict(re.findall(r"^([A-Za-z_]\w*)=(.*)$", _content("/etc/os-release"), re.MULTILINE))
    return all(_field_fits(fields.get(name), comparison) for name, comparison in map(field_of, text.split()))


def _field_fits(written: str | None, comparison: str) -> bool:
    """Not all fields are versions: = and != compare the text."""
    value = "".join(shlex.split(written)) if written is not None else ""
    order, other = order_of(comparison)
    if order in ("=", "!="):
        return ORDERS[order](value, other)
    return ORDERS[order](key(value), key(other))


def _content(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


TESTS: dict[str, Callable[[str, Environ], bool]] = {
    "path_exists": lambda path, _: _exists(path),
    "path_exists_glob": lambda pattern, _: _glob_exists(pattern),
    "path_is_directory": lambda path, _: os.path.isdir(path),
    "path_is_symbolic_link": lambda path, _: os.path.islink(path),
    "path_is_mount_point": lambda path, _: _is_mount_point(path),
    "path_is_read_write": lambda path, _: _is_read_write(path),
    "directory_not_empty": lambda path, _: _is_directory_with_content(path),
    "file_not_empty": lambda path, _: _is_file(path, lambda found: found.st_size),
    "file_is_executable": lambda path, _: _is_file(path, lambda found: found.st_mode & 0o111),
    "environment": _has_variable,
    "host": lambda text, _: _is_host(text),
    "user": lambda text, _: _is_user(text),
    "group": lambda text, _: _is_in_group(text),
    "memory": lambda text, _: _memory_compares(text),
    "cpus": lambda text, _: _cpus_compare(text),
    "architecture": lambda text, _: _is_architecture(text),
    "kernel_version": lambda text, _: _kernel_compares(text),
    "kernel_command_line": lambda text, _: _kernel_was_told(text),
    "capability": lambda text, _: _has_capability(text),
    "credential": _has_credential,
    "first_boot": lambda text, _: _exists("/run/systemd/first-boot") is (text == "true"),
    "ac_power": lambda text, _: _is_on_mains() is (text == "true"),
    "os_release": lambda text, _: _release_compares(text),
}
