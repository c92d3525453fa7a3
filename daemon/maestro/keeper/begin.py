"""Stage 2 of maestrod: how a keeper begins, on an empty field or as the successor of the one that executed it."""

from __future__ import annotations

import gc
import os
import sys

from maestro.keeper import cradle, kernel, lock, record, reexec, respawn, table
from maestro.keeper.loop import Keeper
from maestro.keeper.respawn import Respawn
from maestro.keeper.say import say
from maestro.keeper.title import set_title


def main(argv: list[str]) -> int:
    setting, state = reexec.parse(sys.executable, argv)
    if state == reexec.ON_TRIAL:
        return 0
    if state == reexec.NEW:
        kernel.tidy_descriptors()
    kernel.take_all_descriptors()
    kernel.adopt_orphans()
    try:
        keeper = _begin(setting) if state == reexec.NEW else _resume(setting, int(state))
    except lock.Taken as taken:
        say(str(taken))
        return 1
    except OSError as error:
        say(f"cannot start: {error}")
        return 1
    set_title("maestrod: keeper")
    # No cycles are made here that matter; a collection would only dirty pages that children share with us.
    gc.freeze()
    gc.disable()
    return cradle.live_apart(keeper.run) if state == reexec.NEW else keeper.run()


def _begin(setting: reexec.Setting) -> Keeper:
    held = lock.take(setting.directory)
    keeper = Keeper(setting, table.Table(os.urandom(8).hex()), Respawn(setting.first_pause), held)
    keeper.record.earlier = record.load(setting.directory, keeper.proc)
    keeper.nest.oom = kernel.avoid_oom_killer()
    return keeper


def _resume(setting: reexec.Setting, fd: int) -> Keeper:
    state = reexec.load(fd)
    held = lock.Lock(setting.directory, state["lock"])
    keeper = Keeper(setting, table.restored(state["table"]), respawn.restored(state["manager"]), held)
    keeper.take_over(state)
    return keeper
