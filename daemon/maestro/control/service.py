"""What the control server asks of the manager: one method per request.

The server has checked the request and the caller's role by then. A method may raise `Refused`. Whatever
else it raises is a bug: the caller gets code `internal`, everybody else nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from maestro.control.budgeting import Budget, BudgetView, Grant, ResetBudget
from maestro.control.configuring import (
    DiffView,
    FileView,
    GenerationDiff,
    GenerationFiles,
    Generations,
    GenerationView,
)
from maestro.control.protocol import (
    Audit,
    AuditView,
    Cancel,
    Cat,
    CatView,
    DaemonReexec,
    DaemonReload,
    Doctor,
    EmergencyStop,
    EnablementView,
    ErrorView,
    Events,
    EventView,
    FindingView,
    Freeze,
    Hello,
    HelloView,
    IsEnabled,
    Jobs,
    JobView,
    Kill,
    LineView,
    Linking,
    Links,
    LinksView,
    Logs,
    ReloadView,
    ResetFailed,
    Run,
    RunView,
    Show,
    ShowView,
    Shutdown,
    Starts,
    StartsView,
    Status,
    StatusView,
    Thaw,
    Usage,
    UsagesView,
    Verb,
    VerbView,
    Why,
    WhyView,
)
from maestro.control.roles import Caller
from maestro.control.stopping import EmergencyView


class Refused(Exception):
    """The request is not carried out, for a reason the caller can act on."""

    def __init__(self, error: ErrorView) -> None:
        super().__init__(error.message)
        self.error = error


def refused(code: str, message: str, hint: str = "") -> Refused:
    return Refused(ErrorView(code=code, message=message, hint=hint))


class Service(Protocol):
    """`caller.request_id` names the request.

    The same id of the same uid is the same request, sent again because a connection broke.

    An iterator is closed (`aclose`) when its caller goes away; a verb's job goes on all the same.
    """

    async def hello(self, caller: Caller, request: Hello) -> HelloView: ...

    def verb(self, caller: Caller, request: Verb) -> AsyncIterator[VerbView]:
        """At once what has begun, then progress; the last item is the answer. At least one item."""
        ...

    def link(self, caller: Caller, request: Linking) -> AsyncIterator[VerbView]: ...

    def run(self, caller: Caller, request: Run) -> AsyncIterator[RunView]: ...

    async def is_enabled(self, caller: Caller, request: IsEnabled) -> tuple[EnablementView, ...]: ...

    async def at_once(self, caller: Caller, request: ResetFailed | Cancel | Freeze | Thaw) -> VerbView: ...

    async def budget(self, caller: Caller, request: Budget) -> BudgetView: ...

    async def change_budget(self, caller: Caller, request: Grant | ResetBudget) -> VerbView: ...

    async def emergency_stop(self, caller: Caller, request: EmergencyStop) -> EmergencyView:
        """Waits for no disk."""
        ...

    async def jobs(self, caller: Caller, request: Jobs) -> tuple[JobView, ...]: ...

    async def kill(self, caller: Caller, request: Kill) -> VerbView: ...

    async def status(self, caller: Caller, request: Status) -> StatusView:
        """For an agent, `request.units` names its own unit already; leave out notices about the host."""
        ...

    async def show(self, caller: Caller, request: Show) -> tuple[ShowView, ...]: ...

    async def cat(self, caller: Caller, request: Cat) -> tuple[CatView, ...]: ...

    def logs(self, caller: Caller, request: Logs) -> AsyncIterator[LineView]:
        """First a mark (`LineView.mark`) for each unit where reading begins, so that it can be resumed.

        The server pulls the next line only when there is room: a slow reader makes this iterator wait, not
        the manager.
        """
        ...

    def events(self, caller: Caller, request: Events) -> AsyncIterator[EventView]:
        """First a mark (`EventView.kind` "mark"), whose `seq` is the last event before those that follow.

        As with `logs`, the server pulls when there is room, so what happens meanwhile must be bounded, or
        come from the store.
        """
        ...

    async def audit(self, caller: Caller, request: Audit) -> tuple[AuditView, ...]: ...

    async def links(self, caller: Caller, request: Links) -> LinksView: ...

    async def starts(self, caller: Caller, request: Starts) -> StartsView: ...

    async def doctor(self, caller: Caller, request: Doctor) -> tuple[FindingView, ...]: ...

    async def why(self, caller: Caller, request: Why) -> WhyView: ...

    async def usage(self, caller: Caller, request: Usage) -> UsagesView: ...

    async def generations(self, caller: Caller, request: Generations) -> tuple[GenerationView, ...]:
        """The newest first."""
        ...

    async def generation_files(self, caller: Caller, request: GenerationFiles) -> tuple[FileView, ...]: ...

    async def generation_diff(self, caller: Caller, request: GenerationDiff) -> tuple[DiffView, ...]: ...

    async def daemon_reload(self, caller: Caller, request: DaemonReload) -> ReloadView: ...

    async def daemon_reexec(self, caller: Caller, request: DaemonReexec) -> dict[str, Any]: ...

    async def shutdown(self, caller: Caller, request: Shutdown) -> dict[str, Any]: ...
