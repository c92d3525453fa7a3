"""Restarts and stops on real processes: true endings, promised pauses, sequences that are kept."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from tests.system.harness import Daemon, is_alive, patient, until

pytestmark = pytest.mark.system

SLEEP = ["/bin/sleep", "1000"]


def sh(code: str) -> list[str]:
    """A shell's command line; specifiers and variables are the shell's, not the unit's."""
    return ["/bin/sh", "-c", code.replace("%", "%%").replace("$", "$$")]


def once(daemon: Daemon, name: str, code: str, **restart: Any) -> dict[str, Any]:
    """Run one that ends by itself and is not to come back; its status then."""
    daemon.unit(name, agent={"exec": sh(code), "restart": {"policy": "no", **restart}})
    daemon.call("daemon-reload")
    daemon.call("start", units=[name])
    return daemon.wait_state(name, "inactive", "failed")


def told(daemon: Daemon, unit: str) -> list[dict[str, Any]]:
    with daemon.client as client:
        return list(client.stream("events", {"units": [unit], "lines": 1000, "follow": False}))[1:]


def starts(log: bytes) -> list[float]:
    return [float(line) for line in log.split()]


# ------------------------------------------------------------------------------------------- endings


def test_every_ending_is_told_as_it_was(daemon: Daemon) -> None:
    daemon.start()
    for code in (1, 2, 77, 255):
        one = once(daemon, f"code{code}", f"exit {code}")
        assert (one["state"], one["result"]) == ("failed", "exit-code")
        assert one["cause"] == f"ended with exit status {code}"
    for name in ("KILL", "SEGV", "ABRT", "USR1"):
        one = once(daemon, f"sig{name}", f"kill -{name} $$")
        assert (one["state"], one["result"]) == ("failed", "signal")
        assert one["cause"] == f"was killed by SIG{name}"
    for number, end in enumerate(
        ("exit 0", "kill -TERM $$", "kill -HUP $$", "kill -INT $$", "kill -PIPE $$")
    ):
        one = once(daemon, f"clean{number}", end)
        assert (one["state"], one["result"]) == ("inactive", "success"), end


def test_a_unit_says_what_is_a_clean_end(daemon: Daemon) -> None:
    for name, code in (("a", "exit 7"), ("b", "kill -USR2 $$"), ("c", "exit 8")):
        daemon.unit(
            name, agent={"exec": sh(code), "success_exit_status": ["7", "USR2"], "restart": {"policy": "no"}}
        )
    daemon.start()
    for name, result in (("a", "success"), ("b", "success"), ("c", "exit-code")):
        daemon.call("start", units=[name])
        assert daemon.wait_state(name, "inactive", "failed")["result"] == result


POLICIES: list[tuple[str, str, bool]] = [
    ("no", "exit 1", False),
    ("always", "exit 0", True),
    ("on-success", "exit 0", True),
    ("on-success", "exit 1", False),
    ("on-failure", "exit 1", True),
    ("on-failure", "kill -KILL $$", True),
    ("on-failure", "exit 0", False),
    ("on-abnormal", "exit 1", False),
    ("on-abnormal", "kill -SEGV $$", True),
    ("on-abort", "kill -ABRT $$", True),
    ("on-abort", "exit 1", False),
    ("on-watchdog", "kill -ABRT $$", False),
]
LISTS: list[tuple[dict[str, Any], str, bool]] = [
    ({"prevent_exit_status": ["3"]}, "exit 3", False),
    ({"prevent_exit_status": ["3"]}, "exit 4", True),
    ({"prevent_exit_status": ["SEGV"]}, "kill -SEGV $$", False),
    ({"policy": "no", "force_exit_status": ["3"]}, "exit 3", True),
    ({"policy": "no", "force_exit_status": ["0"]}, "exit 0", True),
    ({"policy": "always", "prevent_exit_status": ["0"]}, "exit 0", False),
    ({"prevent_exit_status": ["3"], "force_exit_status": ["3"]}, "exit 3", False),
]


def test_policies_and_lists(daemon: Daemon) -> None:
    """All of them at once, on real endings; the whole table of systemd is proved in the engine's tests."""
    cases = [*(({"policy": policy}, code, again) for policy, code, again in POLICIES), *LISTS]
    for number, (rule, code, _) in enumerate(cases):
        daemon.unit(
            f"case{number}", agent={"exec": sh(code), "restart": {"delay": "1h", "max_delay": "1h", **rule}}
        )
    daemon.start()
    daemon.call("start", units=["case*"], wait=False)
    for number, (rule, code, again) in enumerate(cases):
        one = daemon.wait_state(f"case{number}", "auto-restart", "dead", "failed")
        assert (one["fine"] == "auto-restart") is again, (rule, code, one["cause"])


# ------------------------------------------------------------------------------------------- pauses


def test_pauses_grow_and_are_kept(daemon: Daemon) -> None:
    """Never before the promised time, and not later than a second after it."""
    daemon.unit(
        "crash",
        agent={
            "exec": sh("date +%s.%N; exit 1"),
            "restart": {"delay": "100ms", "max_delay": "400ms", "jitter": "50%", "start_limits": []},
        },
    )
    daemon.start()
    daemon.call("start", units=["crash"], wait=False)
    until(lambda: len(starts(daemon.log("crash"))) >= 5)
    daemon.call("stop", units=["crash"])
    at = starts(daemon.log("crash"))
    ends = [one["time"] for one in told(daemon, "crash") if one["kind"] == "restart-scheduled"]
    for number, promised in enumerate((0.1, 0.2, 0.4, 0.4)):
        assert promised - 0.005 <= at[number + 1] - ends[number] <= promised * 1.5 + 1
    words = [one["words"] for one in told(daemon, "crash") if one["kind"] == "restart-scheduled"]
    assert words[0].startswith("ended with exit status 1; next try in 0.1 s")
    assert words[2].startswith("ended with exit status 1, third time in a row; next try in 0.")


def test_status_tells_when_the_next_try_comes(daemon: Daemon) -> None:
    daemon.unit(
        "crash",
        agent={"exec": ["/bin/false"], "restart": {"delay": "100s", "max_delay": "100s", "jitter": "0%"}},
    )
    daemon.start()
    daemon.call("start", units=["crash"], wait=False)
    one = daemon.wait_state("crash", "auto-restart")
    assert one["next"] == "restart"
    assert 90 < one["next_in"] <= 100
    daemon.kill_manager()
    again = daemon.status("crash")
    assert (again["fine"], again["next"]) == ("auto-restart", "restart")
    assert 85 < again["next_in"] <= one["next_in"]
    daemon.call("start", units=["crash"], wait=False)  # by hand: at once
    until(lambda: daemon.status("crash")["agent"] == "crash#2")


def test_giving_up_is_a_cool_down(daemon: Daemon) -> None:
    daemon.unit(
        "crash",
        agent={
            "exec": sh("date +%s.%N; exit 1"),
            "restart": {
                "delay": "10ms",
                "jitter": "0%",
                "factor": 1,
                "start_limits": ["2/1h"],
                "cooldown": "600ms",
            },
        },
    )
    daemon.start()
    daemon.call("start", units=["crash"], wait=False)
    one = daemon.wait_state("crash", "cooldown")
    assert (one["state"], one["next"]) == ("failed", "start after the cool-down")
    assert "gave up after 2/1h" in one["cause"]

    def gave_up_at() -> float:
        return next((float(one["time"]) for one in told(daemon, "crash") if one["kind"] == "gave-up"), 0.0)

    gave_up = until(gave_up_at, what="the event")  # told once it is committed
    until(lambda: len(starts(daemon.log("crash"))) >= 4)
    at = starts(daemon.log("crash"))
    assert 0.595 <= at[3] - gave_up <= 0.6 + patient(1)
    daemon.wait_state("crash", "cooldown")  # and gives up again after two more


def test_giving_up_may_be_final_and_a_start_by_hand_is_never_refused(daemon: Daemon) -> None:
    daemon.unit(
        "crash",
        agent={
            "exec": ["/bin/false"],
            "restart": {"delay": "10ms", "start_limits": ["2/1h"], "on_give_up": "fail"},
        },
    )
    daemon.start()
    for first in (1, 4):
        daemon.call("start", units=["crash"], wait=False)
        until(lambda: daemon.status("crash")["fine"] == "failed")
        one = daemon.status("crash")
        assert (one["agent"], one["goal"], one["next"]) == (f"crash#{first + 2}", "down", "")


# ------------------------------------------------------------------------------------------- cannot be spawned


def cannot_start(daemon: Daemon, cases: dict[str, tuple[dict[str, Any], str]]) -> None:
    """Start all of them; each fails, in these words."""
    for name, (agent, _) in cases.items():
        daemon.unit(name, agent=agent | {"restart": {"policy": "no"}})
    daemon.start()
    answer = daemon.call("start", units=list(cases))
    by_unit = {job["unit"]: job for job in answer["jobs"]}
    for name, (_, words) in cases.items():
        assert (by_unit[name]["state"], by_unit[name]["words"]) == ("failed", words)
        one = daemon.status(name)
        assert (one["state"], one["result"], one["cause"], one["pid"]) == ("failed", "resources", words, 0)


def test_why_a_program_cannot_be_executed_is_named(daemon: Daemon) -> None:
    plain, garbage = daemon.root / "plain", daemon.root / "garbage"
    plain.write_text("#!/bin/sh\n")
    plain.chmod(0o644)
    garbage.write_bytes(b"\0\1\2\3")
    garbage.chmod(0o755)
    programs = {
        "missing": ("/no/such/program", "no such file or directory"),
        "nowhere": ("no-such-program", "no such file or directory"),
        "plain": (str(plain), "permission denied"),
        "garbage": (str(garbage), "exec format error"),
    }
    cannot_start(
        daemon,
        {name: ({"exec": [path]}, f"cannot execute {path}: {why}") for name, (path, why) in programs.items()},
    )


def test_why_a_program_cannot_have_its_surroundings_is_named(daemon: Daemon) -> None:
    plain, inside = daemon.root / "plain", daemon.root / "inside"
    plain.write_text("")
    inside.mkdir(mode=0o700)
    inside.chmod(0o700)
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "cwd": (
            {"working_directory": "/no/dir"},
            "cannot change directory to /no/dir: no such file or directory",
        ),
        "file": (
            {"working_directory": str(plain)},
            f"cannot change directory to {plain}: not a directory",
        ),
        "user": ({"user": "no-such-user"}, "cannot run as user no-such-user: no such user"),
        "group": ({"group": "no-such-group"}, "cannot run as group no-such-group: no such group"),
        "files": (
            {"environment_file": ["/no/env"]},
            "cannot read environment file /no/env: no such file or directory",
        ),
    }
    if os.geteuid() == 0:
        as_nobody = {"user": "nobody", "working_directory": str(inside)}
        cases["closed"] = (as_nobody, f"cannot change directory to {inside}: permission denied")
    cannot_start(daemon, {name: ({"exec": SLEEP, **agent}, words) for name, (agent, words) in cases.items()})


def test_maestroctl_says_why(daemon: Daemon) -> None:
    daemon.unit("missing", agent={"exec": ["/no/such/program"], "restart": {"policy": "no"}})
    daemon.start()
    done = daemon.ctl("start", "missing")
    assert done.returncode != 0
    assert "cannot execute /no/such/program: no such file or directory" in done.stdout + done.stderr
    assert "cannot execute /no/such/program" in daemon.ctl("status", "missing").stdout


def test_what_could_not_be_started_is_tried_again_by_policy(daemon: Daemon) -> None:
    program = daemon.root / "late"
    daemon.unit("late", agent={"exec": [str(program)], "restart": {"delay": "50ms", "start_limits": []}})
    daemon.start()
    daemon.call("start", units=["late"])
    until(lambda: daemon.status("late")["restarts"] >= 2)
    (daemon.root / "new").write_text("#!/bin/sh\nexec sleep 1000\n")
    (daemon.root / "new").chmod(0o755)
    (daemon.root / "new").rename(program)
    daemon.wait_state("late", "active")


# ------------------------------------------------------------------------------------------- stops


def stubborn(*heard: str, ends_by: str = "") -> list[str]:
    """A shell that writes down the signals it gets; one of them ends it."""
    traps = "".join(f"trap 'echo {name}{'; exit 0' if name == ends_by else ''}' {name}; " for name in heard)
    return sh(f"{traps}echo up; while :; do sleep 0.02; done")


def test_a_stop_sequence_is_walked_step_by_step(daemon: Daemon) -> None:
    daemon.unit(
        "stubborn",
        agent={
            "exec": stubborn("INT", "USR1", "TERM", ends_by="TERM"),
            "stop": {"sequence": ["INT 200ms", "USR1 300ms", "TERM 10s"], "kill_mode": "process"},
        },
    )
    daemon.start()
    daemon.call("start", units=["stubborn"])
    until(lambda: daemon.log("stubborn") == b"up\n")
    began = time.monotonic()
    assert daemon.call("stop", units=["stubborn"])["jobs"][0]["state"] == "done"
    assert 0.49 <= time.monotonic() - began <= patient(5)
    assert daemon.log("stubborn") == b"up\nINT\nUSR1\nTERM\n"
    assert daemon.status("stubborn")["cause"] == "stopped on request"
    words = [one["words"] for one in told(daemon, "stubborn") if one["kind"] == "stopping"]
    assert words[0] == "stop asked"
    assert "SIGUSR1 sent" in words[1]
    assert "SIGTERM sent" in words[2]


def test_who_ignores_term_is_killed_with_all_of_it(daemon: Daemon) -> None:
    pids = daemon.root / "pids"
    away = f"setsid sh -c 'trap \"\" TERM; echo $$ >> {pids}; sleep 1000'"
    code = f"trap '' TERM INT; sleep 1000 & echo $$ $! >> {pids}; {away} & echo up; wait"
    daemon.unit("stubborn", agent={"exec": sh(code), "stop": {"sequence": ["TERM 200ms"]}})
    daemon.start()
    daemon.call("start", units=["stubborn"])
    until(lambda: pids.exists() and len(pids.read_text().split()) == 3)
    assert daemon.call("stop", units=["stubborn"])["jobs"][0]["state"] == "done"
    assert not any(is_alive(int(pid)) for pid in pids.read_text().split())
    one = daemon.status("stubborn")
    assert (one["state"], one["cause"]) == ("inactive", "stopped on request, had to be killed")
    assert not daemon.agents_of_this_root()


def test_a_daemon_that_forked_away_is_found_and_ended(daemon: Daemon) -> None:
    """Twice forked, in a session of its own: it comes to the keeper as an orphan, and is still the agent's."""
    pid_file = daemon.root / "pid"
    code = f"(setsid sh -c 'echo $$ > {pid_file}; exec sleep 1000' &) ; echo up; exec sleep 1000"
    daemon.unit("forker", agent={"exec": sh(code)})
    daemon.start()
    daemon.call("start", units=["forker"])
    until(lambda: pid_file.exists() and pid_file.read_text().strip())
    escaped = int(pid_file.read_text())
    assert is_alive(escaped)
    assert daemon.call("stop", units=["forker"])["jobs"][0]["state"] == "done"
    assert not is_alive(escaped)


def test_a_restart_waits_until_the_last_of_the_old_one_is_gone(daemon: Daemon) -> None:
    log = daemon.root / "lives"
    code = (
        f"trap 'exit 0' TERM; echo up >> {log}; "
        f"sh -c 'trap \"sleep 0.3; echo gone >> {log}; exit 0\" TERM; while :; do sleep 0.02; done' & "
        "while :; do sleep 0.02; done"
    )
    daemon.unit("pair", agent={"exec": sh(code)})
    daemon.start()
    daemon.call("start", units=["pair"])
    until(lambda: log.exists())
    until(lambda: len(daemon.status("pair")["processes"]) >= 3)
    assert daemon.call("restart", units=["pair"])["jobs"][0]["state"] == "done"
    until(lambda: log.read_text().splitlines() == ["up", "gone", "up"])


def test_the_kill_verb_sends_any_signal(daemon: Daemon) -> None:
    daemon.unit("listener", agent={"exec": stubborn("USR1", "HUP"), "restart": {"delay": "20ms"}})
    daemon.start()
    daemon.call("start", units=["listener"])
    until(lambda: daemon.log("listener") == b"up\n")
    daemon.call("kill", units=["listener"], signal="USR1", whole=False)
    until(lambda: daemon.log("listener") == b"up\nUSR1\n")
    daemon.call("kill", units=["listener"], signal="SIGKILL")
    until(lambda: daemon.status("listener")["restarts"] == 1)
    assert any(
        one["kind"] == "kill" and one["words"].startswith("SIGKILL sent by uid")
        for one in told(daemon, "listener")
    )


def test_the_daemons_end_is_the_end_of_all(daemon: Daemon) -> None:
    for number in range(5):
        daemon.unit(f"one{number}", agent={"exec": SLEEP})
    daemon.unit("crash", agent={"exec": ["/bin/false"], "restart": {"delay": "1h"}})
    daemon.start()
    daemon.call("start", units=["one*"])
    daemon.call("start", units=["crash"], wait=False)
    pids = [daemon.status(f"one{number}")["pid"] for number in range(5)]
    assert daemon.stop() == 0
    assert not any(map(is_alive, pids))
    assert not daemon.agents_of_this_root()
