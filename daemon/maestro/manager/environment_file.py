"""Files of NAME=VALUE lines, read as systemd reads those of EnvironmentFile=."""

from __future__ import annotations

import glob
import os
import re
import stat

_MAX_FILE = 1 << 20
_MOST_TOLD = 5  # of the lines that set nothing

# A line break ends a line, unless it is quoted or behind a backslash. Quantifiers do not go back, so time is linear.
_BEGINNING = re.compile(r"[ \t\n\r]*+(?:[#;][^\n\r]*+|(?P<name>[^\n\r][^=\n\r]*+)(?P<equals>=?))")
_NAME = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*")
_QUOTED = re.compile(
    r"""[ \t]*+(?:'(?P<single>[^']*+)'? | "(?P<double>(?:[^"\\]|\\.)*+)\\?"?)""", re.VERBOSE | re.DOTALL
)
_BARE = re.compile(r"[ \t]*+(?P<value>(?:[^\\\n\r]*+\\(?:.|\Z))*+)(?P<rest>[^\\\n\r]*+)", re.DOTALL)
_ESCAPED_IN_QUOTES = re.compile(r'\\(?:\n|(["\\$`]))')
_ESCAPED = re.compile(r"\\(?:[\n\r]|\Z|(.))")


def load(option: str) -> tuple[dict[str, str], list[str]]:
    """What a file, or the files of a pattern, set; and what is to be told of them. `-` in front: what cannot be read is left out.

    Raises OSError.
    """
    found: dict[str, str] = {}
    told: list[str] = []
    pattern = option.removeprefix("-")
    for path in sorted(glob.glob(pattern)) or [pattern]:
        try:
            text = _read(path)
        except OSError:
            if option.startswith("-"):
                continue
            raise
        variables, faults = parse(text)
        found |= variables
        told += [f"{path}:{line}: left out: {fault}" for line, fault in faults[:_MOST_TOLD]]
        if len(faults) > _MOST_TOLD:
            told.append(f"{path}: and {len(faults) - _MOST_TOLD} more")
    return found, told


def _read(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a fifo must not hold the manager up
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(0, "not a regular file", path)
        with os.fdopen(fd, "rb", closefd=False) as file:
            content = file.read(_MAX_FILE + 1)
    finally:
        os.close(fd)
    if len(content) > _MAX_FILE:
        raise OSError(0, f"it is larger than {_MAX_FILE >> 20} MiB", path)
    if b"\0" in content:
        raise OSError(0, "it has a NUL byte, so it is no text", path)
    return content.decode("utf-8", "surrogateescape")


def parse(text: str) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """The variables, and the numbers of the lines that set none, with the reason. It does not quote them: they may be secret."""
    found: dict[str, str] = {}
    faults: list[tuple[int, str]] = []
    at, line, counted = 0, 1, 0
    while beginning := _BEGINNING.match(text, at):
        at = beginning.end()
        if beginning["name"] is None:
            continue
        line += text.count("\n", counted, at)
        counted = at
        if not beginning["equals"]:
            faults.append((line, "expected NAME=VALUE"))
            continue
        value, at = _value(text, at)
        if name := _NAME.fullmatch(beginning["name"]):
            found[name[1]] = value
        else:
            faults.append((line, "no variable can have this name"))
    return found, faults


def _value(text: str, at: int) -> tuple[str, int]:
    """What follows `=`: any number of quoted pieces, then one without quotes; and where it ends."""
    value = ""
    while quoted := _QUOTED.match(text, at):
        at = quoted.end()
        if quoted["single"] is not None:
            value += quoted["single"]
        else:
            value += _ESCAPED_IN_QUOTES.sub(lambda match: match[1] or "", quoted["double"])
    bare = _BARE.match(text, at)
    assert bare is not None  # it matches nothing, too
    value += _ESCAPED.sub(lambda match: match[1] or "", bare["value"])
    return value + bare["rest"].rstrip(" \t"), bare.end()
