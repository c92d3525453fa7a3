"""Writes numbered lines until it ends at random, and writes the truth about itself beside the log.

Run as `python -I -S counter.py FOLDER SHORTEST LONGEST`. FOLDER/UNIT.truth gets `begin INVOCATION PID` and
`end INVOCATION LINES STATUS` (a status below 0 is a signal, as in subprocess); FOLDER/violations a line whenever
a second copy runs. While FOLDER/calm exists it does not end by itself. SIGTERM ends it with 143, SIGUSR2 with 7.
"""

import fcntl
import os
import select
import signal
import sys
import time

folder, shortest, longest = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
unit, me = os.environ["MAESTRO_UNIT"], os.environ["INVOCATION_ID"]
APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


def note(file: str, text: str) -> None:
    fd = os.open(os.path.join(folder, file), APPEND, 0o644)
    os.write(fd, f"{text}\n".encode())
    os.close(fd)


def chance() -> float:
    return int.from_bytes(os.urandom(4), "big") / (1 << 32)


def end(status: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    os.write(1, f"{unit} {me} end {count} {status}\n".encode())
    note(f"{unit}.truth", f"end {me} {count} {status}")
    if status < 0:
        os.kill(os.getpid(), -status)
    os._exit(status)


class Asked(Exception):
    pass


def asked(number: int, _: object) -> None:
    raise Asked(143 if number == signal.SIGTERM else 7)


ENDING = {signal.SIGTERM, signal.SIGUSR2}
count = 0
signal.signal(signal.SIGTERM, asked)
signal.signal(signal.SIGUSR2, asked)
try:
    lock = os.open(os.path.join(folder, f"{unit}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        note("violations", f"{unit} {me} {os.getpid()}: another copy runs")
        os._exit(99)
    note(f"{unit}.truth", f"begin {me} {os.getpid()}")
    until = time.monotonic() + shortest + (longest - shortest) * chance()
    while time.monotonic() < until or os.path.exists(os.path.join(folder, "calm")):
        many = 1 + int(chance() * 20)
        lines = "".join(f"{unit} {me} {number}\n" for number in range(count + 1, count + many + 1))
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # what is written is counted, whenever the end comes
        os.write(1, lines.encode())  # below PIPE_BUF: whole or not at all
        count += many
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        select.select([], [], [], 0.05 + 0.25 * chance())
    how = chance()
    if how < 0.15:
        end(0)
    if how < 0.5:
        end(-int((signal.SIGKILL, signal.SIGUSR1, signal.SIGALRM)[int(chance() * 3)]))
    end(1 + int(chance() * 90))
except Asked as status:
    end(status.args[0])
