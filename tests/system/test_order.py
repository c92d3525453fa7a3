"""Order on real processes: who waits for whom, what stops before what, and that the last verb wins."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import Daemon, is_alive, until
from tests.system.speakers import speaker

pytestmark = pytest.mark.system

SLEEP = ["/bin/sleep", "1000"]


def sh(code: str) -> list[str]:
    return ["/bin/sh", "-c", code.replace("%", "%%").replace("$", "$$")]


def noted(book: Path, name: str, then: str = "while :; do sleep 0.02; done") -> list[str]:
    """An agent that writes down when it begins and when it ends."""
    return sh(f"trap 'echo {name} ends >> {book}; exit 0' TERM; echo {name} begins >> {book}; {then}")


def meeting(daemon: Daemon, place: str, number: int) -> str:
    """Shell code that waits until so many units have come to the same place."""
    there = f"[ $(ls {daemon.root} | grep -c ^{place}-) = {number} ]"
    return f"touch {daemon.root}/{place}-$MAESTRO_UNIT; until {there}; do sleep 0.02; done"


def link(name: str) -> dict[str, list[str]]:
    return {"requires": [name], "after": [name]}


def job_of(answer: dict[str, Any], unit: str) -> dict[str, Any]:
    [job] = [job for job in answer["jobs"] if job["unit"] == unit]
    return dict(job)


def chain(daemon: Daemon, book: Path) -> list[str]:
    """Five in a row, each ready in another way."""
    gate = f"while [ ! -e {daemon.root}/go ]; do sleep 0.01; done"
    daemon.unit(
        "a", agent={"exec": sh(f"echo a begins >> {book}; {gate}; echo a ends >> {book}"), "type": "oneshot"}
    )
    daemon.unit(
        "b",
        unit=link("a"),
        agent={"exec": noted(book, "b", "echo 'b is up'; while :; do sleep 0.02; done")},
        health={"readiness": {"log": "^b is up$"}},
    )
    daemon.unit(
        "c",
        unit=link("b"),
        agent={"exec": noted(book, "c", f"touch {daemon.root}/c-up; while :; do sleep 0.02; done")},
        health={"readiness": {"exec": ["/usr/bin/test", "-e", f"{daemon.root}/c-up"], "interval": "50ms"}},
    )
    daemon.unit("d.target", unit=link("c"))
    daemon.unit("e", unit=link("d.target"), agent={"exec": noted(book, "e")})
    return ["a", "b", "c", "d.target", "e"]


def test_a_chain_starts_link_by_link_and_stops_in_reverse(daemon: Daemon) -> None:
    book = daemon.root / "book"
    names = chain(daemon, book)
    daemon.start()
    daemon.call("start", units=["e"], wait=False)
    until(book.exists)
    assert [daemon.status(name)["state"] for name in names[1:]] == ["waiting"] * 4
    assert "waits for a, which is still starting" in daemon.status("b")["cause"]
    (daemon.root / "go").touch()
    daemon.wait_state("e", "active")
    until(lambda: "e begins" in book.read_text())
    begun = [line for line in book.read_text().splitlines() if line != "a ends"]
    assert begun == [f"{name} begins" for name in "abce"]
    assert book.read_text().splitlines()[1] == "a ends", "b waited for the oneshot's end"
    book.write_text("")
    assert daemon.call("stop", units=["b"])["jobs"][0]["state"] == "done"
    assert [daemon.status(name)["state"] for name in names] == ["inactive"] * 5
    assert book.read_text().splitlines() == ["e ends", "c ends", "b ends"]


def test_the_daemon_stops_in_reverse_order(daemon: Daemon) -> None:
    book = daemon.root / "book"
    (daemon.root / "go").touch()
    chain(daemon, book)
    daemon.start()
    daemon.call("start", units=["e"])
    until(lambda: "e begins" in book.read_text())
    book.write_text("")
    assert daemon.stop() == 0
    assert book.read_text().splitlines() == ["e ends", "c ends", "b ends"]


def test_what_the_order_does_not_tie_starts_at_once(daemon: Daemon) -> None:
    """Each waits for all the others: one after the other, this would take for ever."""
    names = [f"one{number}" for number in range(8)]
    meet = meeting(daemon, "here", len(names))
    for name in names:
        daemon.unit(name, agent={"exec": sh(meet), "type": "oneshot", "start_timeout": "20s"})
    daemon.unit("all", unit={"requires": names, "after": names}, agent={"exec": SLEEP})
    daemon.start()
    assert job_of(daemon.call("start", units=["all"]), "all")["state"] == "done"


def test_stops_that_the_order_does_not_tie_go_at_once(daemon: Daemon) -> None:
    names = [f"one{number}" for number in range(4)]
    meet = meeting(daemon, "gone", len(names)) + "; exit 0"
    for name in names:
        daemon.unit(name, agent={"exec": sh(f"trap '{meet}' TERM; echo up; while :; do sleep 0.02; done")})
    daemon.start()
    daemon.call("start", units=names)
    until(lambda: all(daemon.log(name) == b"up\n" for name in names))
    answer = daemon.call("stop", units=names)
    assert {job["state"] for job in answer["jobs"]} == {"done"}
    assert {daemon.status(name)["cause"] for name in names} == {"stopped on request"}, "none had to be killed"


def test_a_cycle_is_named_edge_by_edge_with_file_and_line(daemon: Daemon) -> None:
    daemon.unit("a", unit={"description": "x", "after": ["b"]}, agent={"exec": SLEEP})
    daemon.unit("b", unit={"after": ["c"]}, agent={"exec": SLEEP})
    daemon.unit("c", unit={"before": ["b"], "requires": ["a"], "after": ["a"]}, agent={"exec": SLEEP})
    daemon.unit("free", agent={"exec": SLEEP})
    daemon.start()
    answer = daemon.call("start", units=["c", "free"])
    assert daemon.status("free")["state"] == "active", "one cycle harms nobody else"
    said = str(answer["errors"]) + str(daemon.call("hello")["notices"])
    for name in "abc":
        assert f"/{name}.agent.yaml:" in said
    assert "in a circle" in said
    daemon.unit("a", agent={"exec": SLEEP})
    daemon.call("daemon-reload")
    assert job_of(daemon.call("start", units=["c"]), "c")["state"] == "done"
    assert not any("circle" in notice for notice in daemon.call("hello")["notices"])


def test_the_recovery_of_a_dependency_starts_what_waited(daemon: Daemon) -> None:
    good = daemon.root / "good"
    daemon.unit(
        "db",
        agent={
            "exec": sh(f"[ -e {good} ] || exit 5; exec sleep 1000"),
            "restart": {"delay": "200ms", "start_limits": []},
        },
        health={"readiness": {"exec": ["/usr/bin/test", "-e", str(good)], "interval": "20ms"}},
    )
    daemon.unit("web", unit=link("db"), agent={"exec": SLEEP})
    daemon.unit("top", unit=link("web"), agent={"exec": SLEEP})
    daemon.start()
    answer = job_of(daemon.call("start", units=["top"]), "top")
    assert answer["state"] == "dependency"
    until(lambda: daemon.status("db")["restarts"] >= 2)
    until(lambda: "db, which is being restarted: ended with exit status 5" in daemon.status("web")["cause"])
    assert [daemon.status(name)["state"] for name in ("web", "top")] == ["waiting"] * 2
    assert daemon.status("web")["blocked_by"] == ["db"]
    good.touch()
    daemon.wait_state("top", "active")
    assert daemon.status("web")["state"] == "active"


def test_wants_does_not_hold_back_for_ever(daemon: Daemon) -> None:
    daemon.unit("extra", agent={"exec": ["/bin/false"], "type": "oneshot", "restart": {"policy": "no"}})
    daemon.unit(
        "web", unit={"wants": ["extra", "missing"], "after": ["extra", "missing"]}, agent={"exec": SLEEP}
    )
    daemon.start()
    assert job_of(daemon.call("start", units=["web"]), "web")["state"] == "done"
    assert daemon.status("extra")["state"] == "failed"


def test_a_missing_requirement_is_refused_in_words(daemon: Daemon) -> None:
    daemon.unit("web", unit=link("db"), agent={"exec": SLEEP})
    daemon.start()
    error = daemon.call("start", units=["web"])["errors"]["web"]
    assert error["code"] == "missing-requirement"
    assert error["message"] == "cannot start web: web requires db; there is no unit db, or it does not load"


def test_a_restart_takes_dependants_along_in_order(daemon: Daemon) -> None:
    book = daemon.root / "book"
    ready = {
        "readiness": {"exec": ["grep", "-q", "db begins", str(book)]}
    }  # its process runs before it writes
    daemon.unit("db", agent={"exec": noted(book, "db")}, health=ready)
    daemon.unit("web", unit=link("db"), agent={"exec": noted(book, "web")})
    daemon.start()
    daemon.call("start", units=["web"])
    until(lambda: book.exists() and book.read_text().count("begins") == 2)
    before = daemon.status("web")["pid"]
    book.write_text("")
    daemon.call("restart", units=["db"])
    until(lambda: daemon.status("web")["state"] == "active" and daemon.status("web")["pid"] != before)
    until(lambda: book.read_text().count("begins") == 2)
    assert book.read_text().splitlines() == ["web ends", "db ends", "db begins", "web begins"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_last_verb_wins(daemon: Daemon, seed: int) -> None:
    """Verbs without a pause between them, the manager killed in the middle: each unit ends where its last verb wanted it."""
    draw = random.Random(seed)
    names = ["a", "b", "c"]
    for name in names:
        daemon.unit(
            name,
            agent={
                "exec": sh(f"trap 'sleep 0.0{draw.randint(0, 9)}; exit 0' TERM; while :; do sleep 0.01; done")
            },
        )
    daemon.start()
    last: dict[str, str] = {}
    for number in range(60):
        name, verb = draw.choice(names), draw.choice(["start", "stop", "restart"])
        daemon.call(verb, units=[name], wait=draw.random() < 0.1)
        last[name] = verb
        if number == 30:
            daemon.kill_manager()
    for name in names:
        wanted = "inactive" if last[name] == "stop" else "active"
        one = daemon.wait_state(name, wanted)
        assert one["goal"] == ("down" if wanted == "inactive" else "up")
    mains = [one["pid"] for name in names if (one := daemon.status(name))["pid"]]
    assert all(map(is_alive, mains))
    there = {pid for pid in daemon.mains() if is_alive(pid)}
    assert set(mains) == there, "one copy of each, and none of what was stopped"


def test_a_stop_asked_while_it_starts_wins(daemon: Daemon) -> None:
    daemon.unit("slow", agent={"exec": SLEEP, "type": "notify"})
    daemon.unit("web", unit=link("slow"), agent={"exec": SLEEP})
    daemon.start()
    daemon.call("start", units=["web"], wait=False)
    daemon.wait_state("slow", "start")
    assert daemon.call("stop", units=["slow", "web"])["jobs"][0]["state"] == "done"
    assert [daemon.status(name)["state"] for name in ("slow", "web")] == ["inactive"] * 2
    assert not daemon.agents_of_this_root()


def test_a_start_asked_while_it_stops_wins(daemon: Daemon) -> None:
    go = daemon.root / "go"
    wait = f"while [ ! -e {go} ]; do sleep 0.01; done; exit 0"
    daemon.unit("slow", agent={"exec": sh(f"trap '{wait}' TERM; echo up; while :; do sleep 0.01; done")})
    daemon.start()
    daemon.call("start", units=["slow"])
    until(lambda: daemon.log("slow") == b"up\n")
    first = daemon.status("slow")["pid"]
    daemon.call("stop", units=["slow"], wait=False)
    daemon.wait_state("slow", "deactivating")
    daemon.call("start", units=["slow"], wait=False)
    assert is_alive(first)
    go.touch()
    second = until(lambda: (one := daemon.status("slow"))["state"] == "active" and one["pid"])
    assert second != first
    assert not is_alive(first)


def test_what_is_ordered_after_a_start_does_not_wait_until_that_is_ready(daemon: Daemon) -> None:
    say, prepared = daemon.root / "say", daemon.root / "prepared"
    code = f"import os\nwhile not os.path.exists({str(say)!r}): linger(0.01)\nsay('READY=1')\nforever()"
    prepare = sh(f"until [ -e {prepared} ]; do sleep 0.01; done")
    daemon.unit(
        "db", agent={"exec": speaker(daemon, "db", code), "type": "notify", "exec_start_pre": [prepare]}
    )
    daemon.unit("early", unit={"requires": ["db"], "after": ["db started"]}, agent={"exec": SLEEP})
    daemon.unit("late", unit={"requires": ["db"], "after": ["db"]}, agent={"exec": SLEEP})
    daemon.start()
    daemon.call("start", units=["early", "late"], wait=False)
    daemon.wait_state("db", "start-pre")
    assert daemon.status("early")["cause"] == "waits for db to be started"
    prepared.touch()
    daemon.wait_state("early", "active")
    assert daemon.status("db")["fine"] == "start"
    assert daemon.status("late")["cause"] == "waits for db, which is still starting"
    daemon.kill_manager()
    say.touch()
    daemon.wait_state("late", "active")
    assert daemon.call("stop", units=["db"], wait=True)["errors"] == {}
    assert [daemon.status(name)["state"] for name in ("db", "early", "late")] == ["inactive"] * 3
