"""The requests there are, who may make each, and what answers it.

All that the server knows of a request comes from this table.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec
from msgspec import Struct

from maestro.control.bounds import MAX_ID, VERSION
from maestro.control.configuring import GenerationDiff, GenerationFiles, Generations
from maestro.control.protocol import (
    Audit,
    Budget,
    Cancel,
    Cat,
    DaemonReexec,
    DaemonReload,
    Disable,
    Doctor,
    EmergencyStop,
    Enable,
    Events,
    Freeze,
    Grant,
    Hello,
    IsEnabled,
    Isolate,
    Jobs,
    Kill,
    Links,
    Logs,
    Mask,
    Preset,
    Reload,
    ReloadOrRestart,
    Request,
    ResetBudget,
    ResetFailed,
    Restart,
    Run,
    Show,
    Shutdown,
    Start,
    Starts,
    Status,
    Stop,
    Thaw,
    TryRestart,
    Unmask,
    Usage,
    Why,
)
from maestro.control.roles import Accounts, Caller, Role, how_to_get, who, who_may
from maestro.control.service import refused


class Shape(Enum):
    """What a Service method returns, and so how it is answered."""

    ONE = "one"  # a record: `done`
    ITEMS = "items"  # a tuple of records: `done` with `items`
    VERB = "verb"  # an iterator: each item is `more`, and the last one is `done` again
    STREAM = "stream"  # an iterator: each item is `more`; then an empty `done`


class Route(Struct, frozen=True):
    request: type[Request]
    least: Role
    method: str  # of Service
    shape: Shape
    owner: bool = False  # whether the owner of a slice may ask it too, of what is in that

    @property
    def do(self) -> str:
        return str(self.request.__struct_config__.tag)


ROUTES: tuple[Route, ...] = (
    Route(Hello, Role.NONE, "hello", Shape.ONE),
    Route(Start, Role.ADMIN, "verb", Shape.VERB, owner=True),
    Route(Stop, Role.ADMIN, "verb", Shape.VERB, owner=True),
    Route(Restart, Role.ADMIN, "verb", Shape.VERB, owner=True),
    Route(TryRestart, Role.ADMIN, "verb", Shape.VERB, owner=True),
    Route(Reload, Role.ADMIN, "verb", Shape.VERB, owner=True),
    Route(ReloadOrRestart, Role.ADMIN, "verb", Shape.VERB, owner=True),
    Route(Isolate, Role.ADMIN, "verb", Shape.VERB),
    Route(ResetFailed, Role.ADMIN, "at_once", Shape.ONE, owner=True),
    Route(Freeze, Role.ADMIN, "at_once", Shape.ONE, owner=True),
    Route(Thaw, Role.ADMIN, "at_once", Shape.ONE, owner=True),
    Route(Grant, Role.ADMIN, "change_budget", Shape.ONE),
    Route(ResetBudget, Role.ADMIN, "change_budget", Shape.ONE),
    Route(EmergencyStop, Role.ADMIN, "emergency_stop", Shape.ONE),
    Route(Cancel, Role.ADMIN, "at_once", Shape.ONE, owner=True),
    Route(Jobs, Role.READ, "jobs", Shape.ITEMS, owner=True),
    Route(Kill, Role.ADMIN, "kill", Shape.ONE, owner=True),
    Route(Run, Role.ADMIN, "run", Shape.VERB, owner=True),
    Route(Enable, Role.ADMIN, "link", Shape.VERB),
    Route(Disable, Role.ADMIN, "link", Shape.VERB),
    Route(Mask, Role.ADMIN, "link", Shape.VERB),
    Route(Unmask, Role.ADMIN, "link", Shape.VERB),
    Route(Preset, Role.ADMIN, "link", Shape.VERB),
    Route(IsEnabled, Role.READ, "is_enabled", Shape.ITEMS),
    Route(Status, Role.AGENT, "status", Shape.ONE, owner=True),
    Route(Budget, Role.AGENT, "budget", Shape.ONE, owner=True),
    Route(Show, Role.AGENT, "show", Shape.ITEMS, owner=True),
    Route(Cat, Role.READ, "cat", Shape.ITEMS, owner=True),
    Route(Logs, Role.AGENT, "logs", Shape.STREAM, owner=True),
    Route(Events, Role.READ, "events", Shape.STREAM, owner=True),
    Route(Audit, Role.READ, "audit", Shape.ITEMS),
    Route(Links, Role.READ, "links", Shape.ONE),
    Route(Starts, Role.READ, "starts", Shape.ONE, owner=True),
    Route(Doctor, Role.READ, "doctor", Shape.ITEMS),
    Route(Why, Role.READ, "why", Shape.ONE, owner=True),
    Route(Usage, Role.AGENT, "usage", Shape.ONE, owner=True),
    Route(Generations, Role.READ, "generations", Shape.ITEMS),
    Route(GenerationFiles, Role.READ, "generation_files", Shape.ITEMS),
    Route(GenerationDiff, Role.READ, "generation_diff", Shape.ITEMS),
    Route(DaemonReload, Role.ADMIN, "daemon_reload", Shape.ONE),
    Route(DaemonReexec, Role.ADMIN, "daemon_reexec", Shape.ONE),
    Route(Shutdown, Role.ADMIN, "shutdown", Shape.ONE),
)
BY_NAME = {route.do: route for route in ROUTES}
_ENVELOPE = frozenset({"v", "id", "do"})  # fields of a frame that are not fields of the request


# ------------------------------------------------------------------------------------------- reading


def read_id(message: dict[str, Any]) -> str:
    """The id of a request, under which even its refusal is answered."""
    given = message.get("id")
    if not isinstance(given, str) or not 1 <= len(given) <= MAX_ID or not given.isprintable():
        raise refused("bad-request", f"a request needs an `id`: 1 to {MAX_ID} printable characters")
    return given


def read(message: dict[str, Any], agent_unit: str = "") -> tuple[Route, Request]:
    """The request in a frame. An agent that names no unit means its own."""
    _check_version(message.get("v"))
    route = _find(message.get("do"))
    fields = {key: value for key, value in message.items() if key not in _ENVELOPE}
    _check_names(route, fields)
    if agent_unit and "units" in route.request.__struct_fields__ and not fields.get("units"):
        fields["units"] = (agent_unit,)
    try:
        return route, msgspec.convert(fields, route.request)
    except msgspec.ValidationError as error:
        said, hint = _in_words(str(error))
        raise refused("bad-request", f"{route.do}: {said}", hint) from None


def _check_version(given: object) -> None:
    if isinstance(given, bool) or not isinstance(given, int):
        raise refused("bad-request", f"a request needs `v`, the version of the protocol: {VERSION}")
    if given != VERSION:
        hint = "use the maestroctl that was installed together with this daemon"
        raise refused(
            "bad-version", f"this daemon speaks version {VERSION} of the protocol, not {given}", hint
        )


def _find(do: object) -> Route:
    route = BY_NAME.get(do) if isinstance(do, str) else None
    if route is None:
        said = (
            f"there is no request {_quote(do)}" if do is not None else "a request needs `do`: what is asked"
        )
        raise refused("bad-request", said, _did_you_mean(do, tuple(BY_NAME)))
    return route


def _check_names(route: Route, fields: dict[str, Any]) -> None:
    known = route.request.__struct_fields__
    for name in fields:
        if name not in known:
            hint = _did_you_mean(name, known) or f"it has {', '.join(known) or 'no fields'}"
            raise refused("bad-request", f"{route.do}: there is no field {_quote(name)}", hint)


def _in_words(error: str) -> tuple[str, str]:
    """msgspec's sentence with the field before it: `lines: expected int, got str`; and a hint."""
    text, _, place = error.replace("`", "").partition(" - at $")
    _, _, bound = text.partition(" of length ")
    if place.startswith(".units[") and bound:
        return _unfit_name(bound)
    words = text[:1].lower() + text[1:]
    words = words.replace("object missing required field", "it lacks the field")
    return (f"{place.lstrip('.')}: {words}" if place else words), ""


def _unfit_name(bound: str) -> tuple[str, str]:
    """What is wrong with a name whose length is not `<= 255`, or not `>= 1`."""
    wrong, number = bound.split()
    if wrong == ">=":
        return "no unit can have this name: it is empty", "write the name of a unit"
    return f"no unit can have this name: it has more than {number} characters", ""


def _did_you_mean(given: object, known: tuple[str, ...]) -> str:
    import difflib  # only for who is mistaken

    close = difflib.get_close_matches(given[:64], known, 1) if isinstance(given, str) else []
    return f"did you mean {close[0]}?" if close else ""


def _quote(value: object) -> str:
    return repr(value if len(str(value)) <= 64 else f"{str(value)[:64]}…")


# ------------------------------------------------------------------------------------------- permitting


def permit(route: Route, request: Request, caller: Caller, own_uid: int, accounts: Accounts) -> None:
    """Refuse what the caller's role does not allow."""
    if caller.role is Role.AGENT:
        _permit_agent(route, request, caller)
    elif route.owner and caller.owns:
        return  # who answers looks for units only where the caller gets
    elif not _is_enough(route, caller) and caller.agent:
        message = f"not allowed: {route.do} is not for pid {caller.pid}: it comes from an agent, and cannot be told from which"
        raise refused("not-allowed", message, "ask from the agent's own session, or as a person")
    elif not _is_enough(route, caller):
        message = (
            f"not allowed: {route.do} needs {who_may(route.least, own_uid, accounts)};"
            f" you are {who(caller.uid, accounts)}"
        )
        raise refused("not-allowed", message, how_to_get(route.least, caller.uid, accounts))


def _is_enough(route: Route, caller: Caller) -> bool:
    """A tenant's role says nothing of requests that are not for owners: they are answered for all units."""
    role = Role.NONE if caller.role is Role.TENANT else caller.role
    return role >= route.least


def _permit_agent(route: Route, request: Request, caller: Caller) -> None:
    you = f"you are pid {caller.pid}, a process of agent {caller.agent}"
    if route.least > Role.AGENT:
        may = ", ".join(one.do for one in ROUTES if one.least <= Role.AGENT)
        raise refused(
            "not-allowed", f"not allowed: {route.do} is not for agents; {you}", f"it may ask: {may}"
        )
    units = getattr(request, "units", ())
    if any(name != caller.unit for name in units):
        message = f"not allowed: an agent may ask {route.do} of its own unit only; {you}"
        raise refused("not-allowed", message, f"name {caller.unit}, or no unit at all")
