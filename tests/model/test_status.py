"""Signals and exit codes, judged by systemd where it is installed."""

from __future__ import annotations

import shutil
import signal
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro.model.plain import Given, Mistake
from maestro.model.status import EXIT_CODES, RTMAX, RTMIN, SIGNALS, ExitStatusSet, SignalName

ANALYZE = shutil.which("systemd-analyze")


@pytest.mark.parametrize(
    ("text", "number", "shown"),
    [
        ("TERM", 15, "TERM"),
        ("SIGTERM", 15, "TERM"),
        ("15", 15, "TERM"),
        ("RTMIN", 34, "RTMIN+0"),
        ("RTMIN+3", 37, "RTMIN+3"),
        ("SIGRTMAX-2", 62, "RTMIN+28"),
        ("64", 64, "RTMIN+30"),
        ("IO", 29, "IO"),
    ],
)
def test_signals(text: str, number: int, shown: str) -> None:
    assert SignalName(text).number == number
    assert SignalName(text) == shown
    assert SignalName(shown).number == number


@pytest.mark.parametrize(
    "text", ["", "term", "SIG", "0", "32", "33", "65", "999", "RTMIN+31", "RTMIN-1", "RTMAX+1", "SIGSIGTERM"]
)
def test_no_signals(text: str) -> None:
    with pytest.raises(Mistake, match="no signal"):
        SignalName(text)


def test_lower_case_is_understood_in_the_hint() -> None:
    with pytest.raises(Mistake) as caught:
        SignalName("sigterm")
    assert caught.value.faults[0].hint == "did you mean SIGTERM?"


def test_numbers_are_this_machines() -> None:
    for name, number in SIGNALS.items():
        assert getattr(signal, f"SIG{name}", number) == number
    assert (RTMIN, RTMAX) == (signal.SIGRTMIN, signal.SIGRTMAX)


@pytest.mark.parametrize(
    ("items", "shown"),
    [
        ([], []),
        ([1, 2], [1, 2]),
        ([1, 2, 3, "5"], ["1-3", 5]),
        (["1-5", "TEMPFAIL", "SIGKILL", "TERM"], ["1-5", 75, "SIGKILL", "SIGTERM"]),
        (["0-255"], ["0-255"]),
        (["SUCCESS", "RTMIN+1"], [0, "SIGRTMIN+1"]),
        (["15"], [15]),
    ],
)
def test_sets(items: list[int | str], shown: list[int | str]) -> None:
    found = ExitStatusSet.read(Given(items))
    assert found.show() == shown
    assert ExitStatusSet(found.show()) == found
    assert hash(ExitStatusSet(found.show())) == hash(found)


def test_matches() -> None:
    some = ExitStatusSet(["1-3", "KILL"])
    assert some.matches(2, None)
    assert some.matches(None, 9)
    assert not some.matches(9, None)
    assert not some.matches(None, 2)
    assert not some.matches(None, None)


def test_a_text_is_a_list_of_words() -> None:
    assert ExitStatusSet.read(Given("1 2 SIGKILL")) == ExitStatusSet([1, 2, "KILL"])
    assert ExitStatusSet.read(Given(75)).codes == {75}


def test_all_wrong_items_are_named() -> None:
    with pytest.raises(Mistake) as caught:
        ExitStatusSet.read(Given([256, "5-1", "NOPE", True, [], 7]))
    assert [fault.at for fault in caught.value.faults] == [(0,), (1,), (2,), (3,), (4,)]


@given(st.sets(st.integers(0, 255)), st.sets(st.sampled_from(sorted(SIGNALS))))
def test_shown_is_read_back(codes: set[int], signals: set[str]) -> None:
    value = ExitStatusSet([*codes, *signals])
    assert ExitStatusSet.read(Given(value.show())) == value


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
def test_exit_codes_are_systemds() -> None:
    assert ANALYZE is not None
    listed = subprocess.run([ANALYZE, "exit-status"], capture_output=True, text=True, check=True).stdout
    theirs = {name: int(code) for name, code, *_ in map(str.split, listed.splitlines()[1:]) if code.isdigit()}
    for name, code in theirs.items():
        assert EXIT_CODES.get(name, code) == code
    assert (
        set(EXIT_CODES) <= set(theirs) or len(set(EXIT_CODES) - set(theirs)) <= 2
    )  # older systemds lack a few
