"""A desk on fake ports, and those who come to it."""

from __future__ import annotations

from collections.abc import Callable

from maestro.control.clerk import Office
from maestro.control.desk import Desk
from maestro.control.roles import Caller, Role
from maestro.manager.configuration import Configuration
from maestro.manager.emergency import Emergency
from maestro.manager.no_groups import NoGroups
from maestro.manager.plugins import Plugins
from maestro.manager.sampler import Sampler
from maestro.manager.transients import Transients
from maestro.testing.fakes import FakeFiles
from tests.manager.rig import Rig

GOOD = "agent: {exec: /bin/true}\n"
ROOT = Caller(uid=0, gid=0, pid=7, role=Role.ADMIN)


class NoBrake:
    """Where there is no group of all agents."""

    def begin(self, changed: Callable[[], None]) -> None: ...

    def hold(self, still: bool) -> bool:
        return False

    def is_held(self) -> bool:
        return False

    def is_still(self) -> bool:
        return False

    def kill(self) -> bool:
        return False


def desk_of(one: Rig, files: FakeFiles, emergency: Emergency | None = None) -> Desk:
    return Desk(
        Office(
            manager=one.manager,
            catalogue=one.catalogue,
            carrier=one.carrier,
            logs=one.logs,
            store=one.store,
            configuration=Configuration(one.manager, one.catalogue, one.store, one.carrier.reread),
            files=files,
            plugins=Plugins("/nowhere"),
            transients=Transients(one.manager, one.catalogue),
            processes=lambda pid: [],
            sampler=Sampler(one.manager.world, NoGroups(), one.manager.clock.now),
            emergency=emergency
            or Emergency(one.manager, one.carrier, one.keeper, NoBrake(), "/no/such/mark"),
            groups=NoGroups(),
            hints={},
            root="/",
            keeper_pid=1,
            started=0.0,
            is_ending=lambda: False,
            end=lambda how, by: None,
            notices=list,
        )
    )


class Behind(Rig):
    """A desk, and all that is behind it."""

    def __init__(self, **texts: str) -> None:
        named = {f"{name.replace('_', '@')}.agent.yaml": text for name, text in texts.items()}
        self.files = FakeFiles(**named)
        super().__init__(files=self.files)
        self.catalogue.load(self.manager.world, {})
        self.desk = desk_of(self, self.files)
