"""Signals and exit codes by number and by name, as `systemd-analyze exit-status` lists them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from maestro.model.plain import Fault, Given, Mistake, Plain, is_scalar, kind_of, many, shorten

_SIGNAL_LIST = """
    HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT
    CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS
"""
SIGNALS = {name: number for number, name in enumerate(_SIGNAL_LIST.split(), 1)}
_BY_NUMBER = {number: name for name, number in SIGNALS.items()}
RTMIN, RTMAX = 34, 64  # as the C library has them; 32 and 33 it keeps for itself

EXIT_CODES = {
    "SUCCESS": 0, "FAILURE": 1, "INVALIDARGUMENT": 2, "NOTIMPLEMENTED": 3, "NOPERMISSION": 4,
    "NOTINSTALLED": 5, "NOTCONFIGURED": 6, "NOTRUNNING": 7, "USAGE": 64, "DATAERR": 65, "NOINPUT": 66,
    "NOUSER": 67, "NOHOST": 68, "UNAVAILABLE": 69, "SOFTWARE": 70, "OSERR": 71, "OSFILE": 72,
    "CANTCREAT": 73, "IOERR": 74, "TEMPFAIL": 75, "PROTOCOL": 76, "NOPERM": 77, "CONFIG": 78,
    "CHDIR": 200, "NICE": 201, "FDS": 202, "EXEC": 203, "MEMORY": 204, "LIMITS": 205, "OOM_ADJUST": 206,
    "SIGNAL_MASK": 207, "STDIN": 208, "STDOUT": 209, "CHROOT": 210, "IOPRIO": 211, "TIMERSLACK": 212,
    "SECUREBITS": 213, "SETSCHEDULER": 214, "CPUAFFINITY": 215, "GROUP": 216, "USER": 217,
    "CAPABILITIES": 218, "CGROUP": 219, "SETSID": 220, "CONFIRM": 221, "STDERR": 222, "PAM": 224,
    "NETWORK": 225, "NAMESPACE": 226, "NO_NEW_PRIVILEGES": 227, "SECCOMP": 228, "SELINUX_CONTEXT": 229,
    "PERSONALITY": 230, "APPARMOR": 231, "ADDRESS_FAMILIES": 232, "RUNTIME_DIRECTORY": 233,
    "CHOWN": 235, "SMACK_PROCESS_LABEL": 236, "KEYRING": 237, "STATE_DIRECTORY": 238, "CACHE_DIRECTORY": 239,
    "LOGS_DIRECTORY": 240, "CONFIGURATION_DIRECTORY": 241, "NUMA_POLICY": 242, "CREDENTIALS": 243,
    "BPF": 244, "EXCEPTION": 255,
}  # fmt: skip

_REAL_TIME = re.compile(r"RT(?:MIN(?:\+(?P<up>[0-9]{1,2}))?|MAX(?:-(?P<down>[0-9]{1,2}))?)")
_NUMBER = re.compile(r"[0-9]{1,3}")
_RANGE = re.compile(r"(?P<first>[0-9]{1,3})-(?P<last>[0-9]{1,3})")


def signal_number(text: str) -> int | None:
    """The number of "TERM", "SIGTERM", "15" or "RTMIN+3"; None when there is no such signal."""
    if _NUMBER.fullmatch(text):
        number = int(text)
        return number if number in _BY_NUMBER or RTMIN <= number <= RTMAX else None
    name = text.removeprefix("SIG")
    match = _REAL_TIME.fullmatch(name)
    if match is None:
        return SIGNALS.get(name)
    number = RTMIN + int(match["up"] or 0) if name.startswith("RTMIN") else RTMAX - int(match["down"] or 0)
    return number if RTMIN <= number <= RTMAX else None


def signal_name(number: int) -> str:
    return _BY_NUMBER.get(number) or (f"RTMIN+{number - RTMIN}" if RTMIN <= number <= RTMAX else str(number))


class SignalName(str):
    """A signal, by its name without SIG."""

    __slots__ = ("number",)
    number: int
    expected: ClassVar[str] = "a signal such as TERM, USR1 or RTMIN+3"

    def __new__(cls, text: str) -> SignalName:
        number = signal_number(text)
        if number is None:
            raise Mistake(f"there is no signal {shorten(text)}", _signal_hint(text))
        self = super().__new__(cls, signal_name(number))
        self.number = number
        return self

    @classmethod
    def read(cls, given: Given) -> SignalName:
        if isinstance(given.plain, bool) or not isinstance(given.plain, str | int):
            raise Mistake(f"expected {cls.expected}, found {kind_of(given.plain)}")
        return cls(given.text())

    def show(self) -> Plain:
        return str(self)

    @classmethod
    def schema(cls) -> dict[str, Plain]:
        return {"type": ["string", "integer"], "examples": ["TERM", "INT", "RTMIN+3"]}


def _signal_hint(text: str) -> str:
    if signal_number(text.upper()) is not None:
        return f"did you mean {text.upper()}?"
    return "write a name such as TERM or USR1, or a number"


class ExitStatusSet:
    """Exit codes and signals: `[1-5, 75, TEMPFAIL, SIGKILL]`."""

    __slots__ = ("codes", "signals")
    appends: ClassVar[bool] = True  # what a drop-in says comes to it
    expected: ClassVar[str] = "exit codes and signals such as [75, TEMPFAIL, 1-5, SIGKILL]"

    def __init__(self, items: Iterable[int | str]) -> None:
        codes: set[int] = set()
        signals: set[int] = set()
        for item in items:
            found, signal = _status(str(item))
            codes.update(found)
            signals.update(signal)
        self.codes = frozenset(codes)
        self.signals = frozenset(signals)

    def matches(self, code: int | None, signal: int | None) -> bool:
        """Whether an ending is among these."""
        return (code is not None and code in self.codes) or (signal is not None and signal in self.signals)

    @classmethod
    def read(cls, given: Given) -> ExitStatusSet:
        plain = given.plain
        if is_scalar(plain) and not isinstance(plain, bool):
            return cls(given.text().split())
        if not isinstance(plain, list):
            raise Mistake(f"expected {cls.expected}, found {kind_of(plain)}")
        faults: list[Fault] = []
        for place, item in enumerate(plain):
            try:
                if isinstance(item, bool) or not is_scalar(item):
                    raise Mistake(f"expected an exit code or a signal, found {kind_of(item)}")
                for word in given.text(place).split():
                    _status(word)
            except Mistake as mistake:
                faults.extend(Fault(f.message, f.hint, (place,)) for f in mistake.faults)
        if faults:
            raise many(faults)
        return cls(word for place in range(len(plain)) for word in given.text(place).split())

    def show(self) -> Plain:
        names = [signal_name(number) for number in sorted(self.signals)]
        return [*_ranges(sorted(self.codes)), *(f"SIG{name}" for name in names)]

    def __str__(self) -> str:
        return " ".join(str(item) for item in self.show())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExitStatusSet) and (self.codes, self.signals) == (other.codes, other.signals)

    def __hash__(self) -> int:
        return hash((self.codes, self.signals))

    def __repr__(self) -> str:
        return f"ExitStatusSet({self.show()!r})"

    @classmethod
    def schema(cls) -> dict[str, Plain]:
        return {
            "type": ["array", "string", "integer"],
            "items": {"type": ["string", "integer"]},
            "examples": [[75, "1-5", "SIGKILL"]],
        }


def _status(text: str) -> tuple[Iterable[int], Iterable[int]]:
    """The exit codes and the signals that one word stands for. A bare number is an exit code."""
    if (span := _RANGE.fullmatch(text)) is not None:
        first, last = int(span["first"]), int(span["last"])
        if first > last or last > 255:
            raise Mistake(
                f"{shorten(text)} is not a range of exit codes", "write it as 1-5, between 0 and 255"
            )
        return range(first, last + 1), ()
    if _NUMBER.fullmatch(text):
        if int(text) > 255:
            raise Mistake(f"{text} is not an exit code: they go from 0 to 255")
        return (int(text),), ()
    if text in EXIT_CODES:
        return (EXIT_CODES[text],), ()
    if (number := signal_number(text)) is not None:
        return (), (number,)
    raise Mistake(
        f"{shorten(text)} is neither an exit code nor a signal", "write a number, 1-5, TEMPFAIL or SIGKILL"
    )


def _ranges(codes: list[int]) -> list[Plain]:
    """Three and more codes in a row as "1-5"."""
    shown: list[Plain] = []
    place = 0
    while place < len(codes):
        end = place
        while end + 1 < len(codes) and codes[end + 1] == codes[end] + 1:
            end += 1
        if end - place >= 2:
            shown.append(f"{codes[place]}-{codes[end]}")
        else:
            shown.extend(codes[place : end + 1])
        place = end + 1
    return shown
