"""Limits, CPU sets, short durations and priorities as systemd's own library reads them. Where we differ on purpose is said beside it."""

from __future__ import annotations

import ctypes
import glob
import random
import re
import resource

import pytest

from maestro.model.amounts import NumberSet
from maestro.model.conditions import ARCHITECTURES
from maestro.model.limits import UNLIMITED, LimitsSection
from maestro.model.option import describe, without_none
from maestro.model.plain import Mistake
from maestro.model.scheduling import CORE_FILTER, IO_CLASSES, Nanoseconds

_LIBRARIES = [
    *glob.glob("/usr/lib/*/systemd/libsystemd-shared-*.so"),
    *glob.glob("/usr/lib/systemd/libsystemd-shared-*.so"),
]
_LOCKS = 10
_SYSTEMDS_ORDER = (  # of its own enumeration, which is the kernel's
    "cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile", "memlock", "as", "locks", "sigpending",
    "msgqueue", "nice", "rtprio", "rttime",
)  # fmt: skip
OPTIONS = {option.name: without_none(option.type) for option in describe(LimitsSection)}

pytestmark = pytest.mark.skipif(not _LIBRARIES, reason="systemd is not installed")


class _Pair(ctypes.Structure):
    _fields_ = (("soft", ctypes.c_uint64), ("hard", ctypes.c_uint64))


class _CpuSet(ctypes.Structure):
    _fields_ = (("bits", ctypes.POINTER(ctypes.c_ubyte)), ("bytes", ctypes.c_size_t))


@pytest.fixture(scope="module")
def systemd() -> ctypes.CDLL:
    library = ctypes.CDLL(_LIBRARIES[0])
    if not all(hasattr(library, name) for name in ("rlimit_parse", "parse_cpu_set_full", "parse_nsec")):
        pytest.skip("this systemd does not export what is asked")
    return library


def _limit(systemd: ctypes.CDLL, name: str, text: str) -> tuple[int, int] | None:
    """What systemd takes LimitNAME=TEXT for; None where it refuses."""
    pair = _Pair()
    told = systemd.rlimit_parse(_SYSTEMDS_ORDER.index(name), text.encode(), ctypes.byref(pair))
    return (pair.soft, pair.hard) if told >= 0 else None


def _ours(name: str, text: str) -> tuple[int, int] | None:
    try:
        limit = OPTIONS[name](text)
    except Mistake:
        return None
    return limit.soft, limit.hard


def test_all_limits_are_there_by_the_kernels_numbers() -> None:
    assert sorted(OPTIONS) == sorted(_SYSTEMDS_ORDER)
    numbers = [getattr(resource, f"RLIMIT_{name.upper()}", _LOCKS) for name in _SYSTEMDS_ORDER]
    assert numbers == list(range(16))


TEXTS = (
    "0", "1", "40", "41", "4096", "1024:4096", "4096:1024", "infinity", "0:infinity", "infinity:1", "1:1", "-1", "+1",
    "+0", "-0", "+19", "+20", "-20", "-21", "+5:-5", "-5:+5", "20:40", "1K", "512M", "1G 512M", "1.5G", "64K:1M", "1k",
    "16E", "1E", "10s", "1.5s", "1min", "2min 30s:3min", "500ms", "100us", "1h", "1w", "", ":", "1:", ":1", "x", "1:2:3",
    " 5", "5 : 6", "infinity:infinity", "1 2", "18446744073709551615", "99999999999999999999", "Infinity",
)  # fmt: skip
# systemd takes numbers of other bases and signs (0x10, 010) as well; no unit has them, and 010 would be read as 8.


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_limits_are_read_as_by_systemd(systemd: ctypes.CDLL, name: str) -> None:
    chance = random.Random(name)
    drawn = [
        f"{chance.choice(TEXTS)}:{chance.choice(TEXTS)}"
        if chance.random() < 0.7
        else str(chance.randint(0, 1 << 50))
        for _ in range(300)
    ]
    for text in (*TEXTS, *drawn):
        theirs, ours = _limit(systemd, name, text), _ours(name, text)
        if ours != theirs:
            assert _is_meant(name, text, ours, theirs), (name, text, ours, theirs)


def _is_meant(name: str, text: str, ours: tuple[int, int] | None, theirs: tuple[int, int] | None) -> bool:
    """Where we take more: blanks around a number; or less: a sign that says nothing, a colon at the end."""
    if theirs is None:
        return ours is not None and " " in text and _ours(name, text.replace(" ", "")) == ours
    return ours is None and bool(re.search("[+]|-0|:$", text))


def test_what_is_shown_is_read_by_systemd_as_the_same(systemd: ctypes.CDLL) -> None:
    for name, kind in OPTIONS.items():
        for text in kind.examples:
            limit = kind(text)
            if not (name == "rttime" and limit.soft == UNLIMITED):
                assert _limit(systemd, name, str(limit)) == (limit.soft, limit.hard)


CPUS = (
    "0",
    "0-3",
    "0-3 5,7",
    "5,0-1",
    "3-1",
    "1,,2",
    " 2 ",
    "0-8191",
    "8192",
    "x",
    "1-",
    "-1",
    "0 1 2 3",
    "0-1-2",
    "",
)


@pytest.mark.parametrize("text", CPUS)
def test_sets_of_cpus_are_read_as_by_systemd(systemd: ctypes.CDLL, text: str) -> None:
    found = _CpuSet()
    told = systemd.parse_cpu_set_full(text.encode(), ctypes.byref(found), False, None, None, 0, None)
    theirs = None
    if told >= 0:
        bits = int.from_bytes(bytes(found.bits[: found.bytes]), "little") if found.bytes else 0
        theirs = tuple(number for number in range(bits.bit_length()) if bits >> number & 1)
    try:
        ours: tuple[int, ...] | None = NumberSet(text).numbers
    except Mistake:
        ours = None
    if text in (
        "3-1",
        "",
    ):  # systemd warns of the one and leaves it out, and takes the other for "forget the earlier ones"
        assert (ours, theirs) == (None, ())
    else:
        assert ours == theirs


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "50000",
        "50us",
        "1ms",
        "1.5ms",
        "100ns",
        "1us 5ns",
        "1s",
        "infinity",
        "-1",
        "5 nsec",
        "x",
        "1min",
        "",
    ],
)
def test_short_durations_are_read_as_by_systemd(systemd: ctypes.CDLL, text: str) -> None:
    found = ctypes.c_uint64()
    told = systemd.parse_nsec(text.encode(), ctypes.byref(found))
    try:
        ours: int | None = int(Nanoseconds(text))
    except Mistake:
        ours = None
    if text == "infinity":  # prctl(2) has no word for it
        assert ours is None
    else:
        assert ours == (found.value if told >= 0 else None)
        assert ours is None or Nanoseconds(str(Nanoseconds(text))) == ours


def test_words_have_systemds_numbers(systemd: ctypes.CDLL) -> None:
    mask = ctypes.c_uint64()
    for bit, name in enumerate(CORE_FILTER):
        assert systemd.coredump_filter_mask_from_string(name.encode(), ctypes.byref(mask)) >= 0
        assert mask.value == 1 << bit
    assert [systemd.ioprio_class_from_string(name.encode()) for name in IO_CLASSES] == [0, 1, 2, 3]
    assert "x86-64" in ARCHITECTURES.values()
