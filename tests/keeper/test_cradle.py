"""The thread that the keeper lives in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from maestro.keeper import signals
from maestro.keeper.cradle import live_apart
from tests.system.harness import patient


@pytest.fixture(autouse=True)
def _own_mask() -> object:
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def test_it_gives_back_what_is_returned_and_what_is_raised() -> None:
    assert live_apart(lambda: 42) == 42
    with pytest.raises(ZeroDivisionError):
        live_apart(lambda: 1 // 0)
    assert live_apart(threading.get_ident) != threading.get_ident()


def test_it_hears_the_signals_that_the_first_thread_does_not() -> None:
    def masks() -> int:
        return len(signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    assert live_apart(masks) == 0
    assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_without_a_second_thread_it_lives_in_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("_thread.start_new_thread", refuse)
    assert live_apart(threading.get_ident) == threading.get_ident()


@pytest.mark.system
def test_what_is_left_behind_is_a_child_of_the_first_thread_alone() -> None:
    script = """
import os, subprocess, sys, time
from maestro.keeper import kernel
from maestro.keeper.cradle import live_apart
from tests.system.harness import patient
kernel.adopt_orphans()
def live():
    own = subprocess.Popen(["sh", "-c", "sleep 1000 & echo $!; exec sleep 1000"], stdout=subprocess.PIPE)
    orphan = int(own.stdout.readline())
    gone = subprocess.Popen(["sh", "-c", "sleep 1000 & echo $!"], stdout=subprocess.PIPE)
    left = int(gone.stdout.readline())
    gone.wait()
    first = {int(pid) for pid in open(f"/proc/self/task/{os.getpid()}/children").read().split()}
    assert left in first and own.pid not in first, (left, own.pid, first)
    for pid in (own.pid, orphan, left):
        os.kill(pid, 9)
    return 7
sys.exit(live_apart(live))
"""
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    assert (
        subprocess.run([sys.executable, "-c", script], env=environment, timeout=patient(20)).returncode == 7
    )


def test_a_child_is_made_while_nothing_is_heard() -> None:
    with signals.Held():
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
