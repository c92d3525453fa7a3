"""Who may speak for an agent, and an agent whose main process hands over to another."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from tests.system.harness import Daemon, children, is_alive, pause, until
from tests.system.speakers import SLEEP, catches, speaker, start

pytestmark = pytest.mark.system


# ------------------------------------------------------------------------------------------- senders


def test_a_stranger_cannot_make_it_ready(daemon: Daemon) -> None:
    daemon.unit("shy", agent={"exec": SLEEP, "type": "notify"})
    daemon.start()
    start(daemon, "shy")
    pid = daemon.wait_state("shy", "start")["pid"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
        for text in (
            b"READY=1\nSTATUS=I am shy",
            f"MAINPID={os.getpid()}\nREADY=1".encode(),
            b"\xff" * 8000,
            b"READY=1\n" * 900,
        ):
            mouth.sendto(text, str(daemon.root / "run/maestro/notify.sock"))
    before = daemon.status("shy")
    assert (before["fine"], before["status"], before["pid"]) == ("start", "", pid)
    # what an agent sends afterwards is heard after: so the above was heard, and left out
    daemon.unit(
        "talker", agent={"exec": speaker(daemon, "talker", "say('READY=1'); forever()"), "type": "notify"}
    )
    daemon.call("daemon-reload")
    start(daemon, "talker", wait=True)
    assert daemon.status("shy")["fine"] == "start"
    assert daemon.status("shy")["pid"] == pid


def test_the_main_process_alone_where_the_unit_says_so(daemon: Daemon) -> None:
    code = "if os.fork() == 0:\n    say('READY=1'); print('child has spoken', flush=True); forever()\n"
    code += "on('USR1', lambda: say('READY=1'))\nforever()"
    daemon.unit(
        "parent", agent={"exec": speaker(daemon, "parent", code), "type": "notify", "notify_access": "main"}
    )
    daemon.start()
    start(daemon, "parent")
    until(lambda: b"child has spoken" in daemon.log("parent"))
    assert daemon.status("parent")["fine"] == "start"
    until(lambda: catches(daemon.status("parent")["pid"], signal.SIGUSR1))
    os.kill(daemon.status("parent")["pid"], signal.SIGUSR1)
    daemon.wait_state("parent", "running")


def test_a_childs_word_counts_by_default(daemon: Daemon) -> None:
    code = "if os.fork() == 0:\n    say('READY=1\\nSTATUS=by the child'); forever()\nforever()"
    daemon.unit("parent", agent={"exec": speaker(daemon, "parent", code), "type": "notify"})
    daemon.start()
    assert start(daemon, "parent", wait=True)["jobs"][0]["state"] == "done"
    assert daemon.status("parent")["status"] == "by the child"


def handover(daemon: Daemon, *, named: bool = True) -> tuple[int, int]:
    """An agent whose main process has named its child as the main one; the pids of both."""
    code = "child = os.fork()\nif child == 0:\n    on('USR2', lambda: os._exit(5)); forever()\n" + (
        "say(f'MAINPID={child}\\nREADY=1')\non('USR1', lambda: os._exit(0))\nforever()"
        if named
        else "on('USR1', lambda: (say(f'MAINPID={child}'), os._exit(0)))\nsay('READY=1')\nforever()"
    )
    agent = {"exec": speaker(daemon, "giver", code), "type": "notify", "restart": {"policy": "no"}}
    daemon.unit("giver", agent=agent)
    daemon.start()
    start(daemon, "giver", wait=True)
    [parent] = daemon.mains()
    [child] = children(parent)
    main = child if named else parent
    until(lambda: daemon.status("giver")["pid"] == main, what="the keeper has taken note of the main process")
    until(lambda: catches(parent, signal.SIGUSR1) and catches(child, signal.SIGUSR2))
    return parent, child


def test_a_main_process_that_hands_over(daemon: Daemon) -> None:
    """The first main process may end when it has named another: the agent runs on, and ends with that one."""
    parent, child = handover(daemon)
    os.kill(parent, signal.SIGUSR1)
    until(lambda: not is_alive(parent))
    dead = daemon.kill_manager()
    until(lambda: daemon.manager() not in (None, dead))
    one = daemon.status("giver")
    assert (one["fine"], one["pid"], one["restarts"]) == ("running", child, 0)
    os.kill(child, signal.SIGUSR2)
    one = daemon.wait_state("giver", "dead", "failed")
    assert (one["fine"], one["cause"]) == ("failed", "ended with exit status 5")
    assert not daemon.agents_of_this_root()


def test_a_main_process_that_handed_over_is_stopped_with_all_of_it(daemon: Daemon) -> None:
    parent, child = handover(daemon)
    os.kill(parent, signal.SIGUSR1)
    until(lambda: not is_alive(parent))
    assert daemon.call("stop", units=["giver"])["jobs"][0]["state"] == "done"
    assert not is_alive(child)
    assert daemon.status("giver")["state"] == "inactive"
    assert not daemon.agents_of_this_root()


def test_many_hand_over_and_are_gone_before_they_are_heard(daemon: Daemon) -> None:
    """The datagram's sender has ended when it is read: he was the main process, and so his word counts."""
    code = "child = os.fork()\nif child == 0: forever()\nsay(f'MAINPID={child}\\nREADY=1')\nos._exit(0)"
    for number in range(20):
        agent = {"exec": speaker(daemon, f"g{number}", code), "type": "notify", "restart": {"policy": "no"}}
        daemon.unit(f"g{number}", agent=agent)
    daemon.start()
    jobs = daemon.call("start", units=["g*"])["jobs"]
    assert [job["words"] for job in jobs if job["state"] != "done"] == []


def test_a_hand_over_while_there_is_no_manager(daemon: Daemon) -> None:
    parent, child = handover(daemon, named=False)
    dead = until(daemon.manager)
    os.kill(dead, signal.SIGSTOP)
    os.kill(parent, signal.SIGUSR1)  # names the child, and ends
    until(lambda: not is_alive(parent))
    os.kill(dead, signal.SIGKILL)
    until(lambda: daemon.status("giver")["pid"] == child)
    assert daemon.status("giver")["fine"] == "running"


def test_nothing_that_was_heard_is_lost_with_a_manager(daemon: Daemon) -> None:
    """Each says it once: what a manager has taken from the socket and not committed is heard again by the next."""
    for number in range(40):
        code = f"linger({number % 10 / 20})\nsay('READY=1'); forever()"
        daemon.unit(f"n{number}", agent={"exec": speaker(daemon, f"n{number}", code), "type": "notify"})
    daemon.start()
    with daemon.in_background(("start", {"units": ["n*"]})) as answers:
        for _ in range(8):
            pause(0.1)
            daemon.new_manager(daemon.kill_manager())
    assert [job["words"] for job in answers[0]["jobs"] if job["state"] != "done"] == []
    assert len(answers[0]["jobs"]) == 40


LOOSE = """
import socket, sys, msgpack
one = socket.socket(socket.AF_UNIX)
one.connect(sys.argv[1])
message = msgpack.packb({"v": 1, "id": "x", "do": "hello"})
one.sendall(len(message).to_bytes(4, "big") + message)
size = int.from_bytes(one.recv(4), "big")
print(msgpack.unpackb(one.recv(size))["done"]["role"], flush=True)
"""


def test_an_agent_is_no_operator_whatever_it_does(daemon: Daemon) -> None:
    """A process that has cut every tie to its agent but its output is still the agent's: it does not get the role of its uid."""
    script = daemon.root / "loose.py"
    script.write_text(LOOSE)
    code = (
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        f"        os.execve(sys.executable, [sys.executable, {str(script)!r}, os.environ['MAESTRO_CONTROL']], {{}})\n"
        "    os._exit(0)\nos.wait()\nforever()"
    )
    daemon.unit("sly", agent={"exec": speaker(daemon, "sly", code)})
    daemon.start()
    start(daemon, "sly", wait=True)
    until(lambda: daemon.log("sly"))
    assert daemon.log("sly") == b"agent\n"
