"""Whether a unit's group rings is a matter of the group that is there, which somebody may have removed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from maestro.drivers.cgroups.events import Changes, MemoryAlarm
from maestro.testing.theatre import unit
from tests.manager.rig import really, until

WEB = unit("web")


@pytest.mark.parametrize("was", ["removed", "missing"])
def test_a_group_that_is_made_anew_rings_too(tmp_path: Path, was: str) -> None:
    file = tmp_path / "memory.events"

    async def go() -> None:
        loop, rung = asyncio.get_running_loop(), list[tuple[str, ...]]()
        groups: Any = SimpleNamespace(kind="v2", file_of=lambda *_: str(file))
        changes = Changes(loop)
        alarm = MemoryAlarm(groups, changes, loop)
        alarm.begin(rung.append)
        if was == "removed":
            file.write_text("oom_kill 0\n")
        alarm.expect(WEB)
        assert alarm.watch(WEB) == (was == "removed")
        assert alarm.watches("web") == (was == "removed")
        if was == "removed":
            file.rename(tmp_path / "before")  # its number is not given to the next
        file.write_text("oom_kill 0\n")
        assert not alarm.watches("web")
        assert alarm.watch(WEB)
        assert alarm.watches("web")
        assert not alarm.watch(WEB)
        file.write_text("oom_kill 1\n")
        await until(lambda: rung)
        assert set(rung) == {("web",)}
        alarm.leave("web")
        assert not alarm.watches("web")
        changes.close()

    really(go())
