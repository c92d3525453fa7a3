"""An agent that leaves processes behind, each in a way of its own.

Run as `python -I -S tree.py FOLDER HOW…`. Each HOW starts one process, which writes `HOW PID` to FOLDER/pids and
stays; then the main process does the same and stays, or with `crash=STATUS` among the words it ends.

    plain      a child
    group      in a process group of its own
    session    in a session of its own
    daemon     forked twice, in a session of its own
    closed     the same, with every descriptor closed
    bare       the same, executed anew with an empty environment, as by `env -i`
    deaf       the same as daemon, and ignores SIGTERM
    breeding   a child that forks again and again and lets its parent go, ignoring SIGTERM
"""

import os
import select
import signal
import sys

folder, *hows = sys.argv[1:]
NOTES = os.path.join(folder, "pids")


def note(how: str) -> None:
    fd = os.open(NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    os.write(fd, f"{how} {os.getpid()}\n".encode())
    os.close(fd)


def stay(how: str) -> None:
    note(how)
    while True:
        signal.pause()


def become(how: str) -> None:
    if how == "group":
        os.setpgid(0, 0)
    elif how != "plain":
        os.setsid()
    if how in ("daemon", "closed", "bare", "deaf", "breeding") and os.fork():
        os._exit(0)
    if how in ("deaf", "breeding"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if how == "closed":
        os.closerange(0, 100)
    if how == "bare":
        os.execve(sys.executable, [sys.executable, "-I", "-S", __file__, folder, "stay=bare"], {})
    if how == "breeding":
        note(how)
        while True:  # each lives for a moment only, and is gone before its child is
            if os.fork():
                os._exit(0)
            select.select([], [], [], 0.002)
    stay(how)


crash = None
for how in hows:
    word, _, value = how.partition("=")
    if word == "crash":
        crash = int(value)
    elif word == "stay":
        stay(value)
    elif os.fork() == 0:
        become(how)


def noted() -> list[str]:
    """Who has said who he is."""
    try:
        with open(NOTES) as file:
            return [line.split()[0] for line in file.read().splitlines()]
    except FileNotFoundError:
        return []


if crash is not None:
    wanted = {how for how in hows if "=" not in how}
    while not wanted <= set(noted()):
        select.select([], [], [], 0.005)
    note("main")
    os._exit(crash)
stay("main")
