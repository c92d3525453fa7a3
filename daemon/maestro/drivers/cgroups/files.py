"""Files of control groups and of /proc, read and written."""

from __future__ import annotations

import contextlib
import logging
import os

from maestro.keeper import cgroup
from maestro.ports import Process

_PAGE = os.sysconf("SC_PAGE_SIZE")
_log = logging.getLogger(__name__)


def made(path: str) -> bool:
    """Whether it was made by this, with all above it; it may have been there."""
    try:
        os.mkdir(path)
    except FileNotFoundError:
        os.makedirs(path, exist_ok=True)
    except FileExistsError:
        return False
    return True


def remove(path: str) -> None:
    with contextlib.suppress(OSError):  # gone already, or in use: the next one to look removes it
        os.rmdir(path)


def below(group: str) -> list[str]:
    try:
        with os.scandir(group) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def read(path: str) -> str:
    """Empty where it cannot be read."""
    return cgroup.read(path).decode("ascii", "replace")


def reads(path: str, text: str) -> bool:
    """Whether a file says so already: a default need not be written."""
    with open(path, encoding="ascii") as file:
        return file.read().strip() == text


def write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode() or b"\n")
    finally:
        os.close(fd)


def wrote(path: str, text: str) -> bool:
    """Whether it could be written."""
    return cgroup.write(path, text.encode())


def write_softly(path: str, text: str) -> None:
    try:
        write(path, text)
    except OSError as error:
        _log.warning("%s: %s: %s", path, text, error.strerror)


def number(path: str) -> int | None:
    text = read(path).strip()
    return int(text) if text.isdigit() else None


def limit_v1(number: int | None) -> int | None:
    """v1 has the largest number of whole pages for no limit."""
    return None if number is None or number >= (1 << 63) - _PAGE else number


def process(pid: int) -> Process | None:
    stat = read(f"/proc/{pid}/stat")
    name, fields = stat.partition("(")[2].rpartition(")")[0], stat.rpartition(")")[2].split()
    if len(fields) < 22 or fields[0] == "Z" or fields[21] == "0":
        return None
    return Process(pid, name, int(fields[21]) * _PAGE)


def pairs(text: str) -> dict[str, int]:
    words = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdigit()}


def moved(text: str, key: str) -> int | None:
    """Bytes of all devices, by io.stat."""
    if not text:
        return None
    words = (word.partition("=") for line in text.splitlines() for word in line.split()[1:])
    return sum(int(value) for name, _, value in words if name == key)
