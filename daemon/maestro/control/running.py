"""The request that makes a unit: what `systemd-run` is to systemd."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from maestro.control.request import Name, Request

_Properties = Annotated[tuple[str, ...], Meta(min_length=1, max_length=1000)]


class Run(Request, frozen=True, tag_field="do", tag="run"):
    """Make a transient agent and start it. Its unit file goes when it has ended."""

    unit: Name  # of which there is none yet
    properties: _Properties  # "agent.exec=[sleep, 5]": options by name, values as YAML; each is laid over those before
    wait: bool = True  # for the end of its start
    dry_run: bool = False  # answer with the file, and change nothing


class JobView(Struct, frozen=True, kw_only=True):
    id: int
    unit: str
    verb: str
    state: str  # running, done, failed, dependency, canceled
    words: str = ""
    age: float = 0.0  # seconds since it was asked for


class RunView(Struct, frozen=True, kw_only=True):
    """Answer to `run`. Word of its end is an event of the unit, the one with `exit`."""

    unit: str
    path: str  # of its file
    text: str  # the file
    jobs: tuple[JobView, ...] = ()
