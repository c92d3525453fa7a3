"""`bin/test --vm`: system tests in a small virtual machine, a Debian of its own with control groups v2 alone.

    bin/test --vm                            the selected tests in every kind of guest (tests/vm/selection.py)
    bin/test --vm --bare|--user|--systemd    those of one kind: as root, as an ordinary user, under systemd as PID 1
    bin/test --vm [--KIND] ARGUMENT...       pytest's arguments, bare where no kind is named; the selected tests
                                             where they name no file

Says `skipped:` and why, and ends with 0, where there is no virtual machine to be had.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from tests.vm.rig import ROOT, Rig, Unable, find
from tests.vm.selection import BARE, GUESTS, tests_for

_PYTEST = ("python", "-m", "pytest", "--quiet", "-rs", "--override-ini=timeout=600")
_WITHIN = 600  # seconds for each of several guests, which take less than two minutes on a quiet machine
_AT_ONCE = 2  # each guest has one processor


def main(arguments: list[str]) -> int:
    kinds = [word[2:] for word in arguments if word[2:] in GUESTS and word.startswith("--")]
    arguments = [word for word in arguments if word[2:] not in kinds or not word.startswith("--")]
    if {"-h", "--help"} & {*arguments}:
        print(__doc__)
        return 0
    guests = kinds or ([BARE] if arguments else list(GUESTS))
    try:
        rig = Rig(find())
        rig.prepare()
    except Unable as reason:
        print(f"skipped: {reason}")
        return 0
    if len(guests) == 1:
        command = rig.command(guests[0], _words(guests[0], arguments))
        return subprocess.run(command, check=False).returncode
    return _side_by_side({guest: rig.command(guest, _words(guest, arguments), _WITHIN) for guest in guests})


def _words(guest: str, arguments: list[str]) -> list[str]:
    named = any((ROOT / word.partition("::")[0]).exists() for word in arguments if not word.startswith("-"))
    return [*_PYTEST, *arguments, *([] if named else tests_for(guest))]


def _side_by_side(commands: dict[str, list[str]]) -> int:
    """Run them two at a time, each told of in one piece; 1 where one has failed."""
    failed = []
    with ThreadPoolExecutor(min(_AT_ONCE, os.cpu_count() or 1)) as pool:
        running = {pool.submit(_quietly, command): guest for guest, command in commands.items()}
        for done in as_completed(running):
            status, seconds, said = done.result()
            print(f"== {running[done]}: {seconds:.0f} s\n{said}", end="", flush=True)
            if status:
                failed.append(f"{running[done]} ({status})")
    if failed:
        print(f"FAILED in the virtual machine: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _quietly(command: list[str]) -> tuple[int, float, str]:
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        status = subprocess.run(command, stdout=output, stderr=output, check=False).returncode
        output.seek(0)
        return status, time.monotonic() - began, output.read().decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
