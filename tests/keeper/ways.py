"""A child begun both ways, by a tape and by the steps, and what it finds inside."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

from maestro.keeper import child, steps, tape, vfork
from maestro.keeper.child import Birth, Nest
from maestro.keeper.player import Player
from maestro.keeper.spare import Spare
from maestro.keeper.table import open_again

# What it finds: of itself, of the file systems, of its namespaces.
LOOK = r"""
echo $$ $PWD $A; umask; ulimit -a; echo fds /proc/self/fd/*
while read -r name rest; do case $name in Uid:|Gid:|Groups:|Sig[!Q]*|Cap*|NoNew*|Seccomp*) echo $name $rest;; esac; done </proc/self/status
cat /proc/self/oom_score_adj /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups
for one in /proc/sys/user/max_*; do echo $one $(cat $one); done
cut -d : -f 1 /proc/net/dev; grep -c 127.0.0.1 /proc/net/fib_trie
for one in user pid net ipc uts mnt cgroup; do test $(readlink /proc/self/ns/$one) = $(eval echo \$$one) && echo shares $one; done
for one in /dev /dev/shm /dev/pts /dev/null /tmp /var/tmp /home /etc/shadow /proc/kcore /proc/sys/kernel \
    $FOLDER $FOLDER/* $FOLDER/*/[!0-9]*; do
    test -e $one && stat -c '%n %F %a %u' $one; test -w $one && echo writes
done
cat /proc/self/mountinfo
"""


class Both:
    """The two ways. Each answers with the number of the error, and what the process said."""

    def __init__(self, library: str, folder: str) -> None:
        self.folder = folder
        usual = (signal.SIG_DFL, None)
        ours = {int(one) for one in signal.valid_signals() if signal.getsignal(one) not in usual}
        self.nest = Nest(Spare(), ours)
        self.spawner = vfork.Spawner(self.nest, library)
        self.player = Player(self.spawner)

    def by_tape(self, recipe: dict[str, Any]) -> tuple[int, str]:
        with Pipe() as pipe:
            begun = self.player.spawn(recipe, pipe.output)
            assert begun is not None, "it fits on a tape"
            pid, report, played = begun
            said = pipe.until_end_of(pid)
            number = int(os.pread(played, tape.SAID, 0).rstrip(b"\0") or b"0")
            assert os.read(report, 100) == b"", "it is closed, and nothing was written"
            os.close(report)
            os.close(played)
        return number, said

    def by_steps(self, recipe: dict[str, Any]) -> tuple[int, str]:
        with Pipe() as pipe:
            report, end = os.pipe2(os.O_CLOEXEC)
            birth = Birth(recipe, self.nest, pipe.output, end)
            birth.slate = os.memfd_create("report")
            os.ftruncate(birth.slate, child.SLATE)
            pid = child.fork(birth, steps.AGENT)
            os.close(end)
            said = pipe.until_end_of(pid)
            told = os.pread(birth.slate, child.SLATE, 0).rstrip(b"\0") or os.read(report, 4096)
            os.close(report)
            os.close(birth.slate)
        return int(told.partition(b" ")[0] or b"0"), said

    def recipe(self, **more: Any) -> dict[str, Any]:
        kinds = ("user", "pid", "net", "ipc", "uts", "mnt", "cgroup")
        env = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in kinds}
        env |= {"PATH": "/usr/bin:/bin", "A": "a word", "FOLDER": self.folder}
        return {"argv": ("/bin/sh", "-c", LOOK), "env": env, "stream": "a", **more}


class Pipe:
    def __enter__(self) -> Pipe:
        self.read, write = os.pipe2(os.O_CLOEXEC)
        self.output = open_again(f"/proc/self/fd/{write}")
        os.close(write)
        return self

    def until_end_of(self, pid: int) -> str:
        os.close(self.output)
        said = b""
        while chunk := os.read(self.read, 65536):
            said += chunk
        os.waitpid(pid, 0)
        return plain(said.decode(errors="replace"), pid)

    def __exit__(self, *_: object) -> None:
        os.close(self.read)


def plain(said: str, pid: int) -> str:
    """Without what differs from one process to the next: numbers of mounts, of devices, its own."""
    lines = said.splitlines()
    lines[:1] = [re.sub(rf"^{pid}\b", "PID", line) for line in lines[:1]]  # elsewhere it is a size, or a mode
    at = {line.split()[0]: line.split()[4] for line in lines if " - " in line}
    for place, line in enumerate(lines):
        if " - " in line:
            _, parent, _, *rest = line.split()
            lines[place] = f"{at.get(parent, 'outside')}: {' '.join(rest)}"
    return "\n".join(lines)


def furnish(folder: str) -> None:
    for one in Path(folder).iterdir():
        shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
    Path(folder, "b/c").mkdir(parents=True)
    Path(folder, "a").mkdir()
    Path(folder, "file").write_text("x")
    Path(folder, "link").symlink_to("b")
    Path(folder, "nowhere").symlink_to("no/such")


def made_in(folder: str) -> list[tuple[str, int]]:
    return sorted((str(one), one.lstat().st_mode) for one in Path(folder).rglob("*"))
