"""How units started, made out of the times that the daemon keeps: for blame, critical-chain and plot."""

from __future__ import annotations

from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context
    from maestro.cli.render.common import View

DEFAULT = "default.target"  # what the daemon starts when it begins
_SAME = 1e-6  # seconds: less apart is the same moment
_CLOSE = (
    0.1  # seconds between the end of the last wait and the order, at most: a new manager may lie in between
)


def ask(context: Context, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """The starts of all units, and what the names mean. All are asked for, as a chain leads from one to others."""
    view = context.client.call("starts", limit=context.limit)
    if names:
        meant = context.client.call("starts", {"units": names}, limit=context.limit)
        view |= {"named": meant["named"], "errors": meant["errors"]}
    return view


def not_started(name: str) -> dict[str, str]:
    """An `ErrorView`."""
    message = f"{name} was not started since the host was booted"
    return {"code": "not-started", "message": message, "hint": f"maestroctl start {name}"}


def is_starting(start: View) -> bool:
    return start["state"] == "activating" and start["began"] is not None and start["ended"] is None


def took(start: View, now: float) -> float | None:
    """From its order until it was ready, or until now; None of one that has no process, or never got there."""
    if start["kind"] != "agent" or start["began"] is None:
        return None
    if start["ready"] is not None:
        return float(start["ready"] - start["began"])
    return float(now - start["began"]) if is_starting(start) else None


def settled(start: View) -> float | None:
    """When those ordered after it had no more to wait for."""
    ready: float | None = start["ready"]
    ended: float | None = start["ended"]
    return ended if ready is None else ready


class Chain:
    """From a unit back to the first one that held it up: each waited for the next."""

    def __init__(self, root: str, starts: dict[str, View], now: float) -> None:
        self.links = [starts[root]]
        self._seen = {root}
        self.lost: dict[str, None] = {}  # started again since, so that nobody knows how long they held it up
        self.otherwise: dict[str, float] = {}  # seconds that one waited for other reasons than the order
        while (following := self._next(starts, now)) is not None:
            self.links.append(following)
            self._seen.add(following["name"])

    def _next(self, starts: dict[str, View], now: float) -> View | None:
        here = self.links[-1]
        began = now if here["began"] is None else here["began"]
        latest, when, lost = None, here["asked"] + _SAME, dict[str, None]()
        for name in here["after"]:
            other = starts.get(name)
            if other is None or name in self._seen:
                continue
            if other["asked"] > began:
                lost[name] = None
                continue
            over = other["started"] if name in here["after_started"] else None
            over = settled(other) if over is None else over
            if over is None and here["began"] is None:
                over = now  # it is what is being waited for
            if over is not None and when < over <= began + _SAME:
                latest, when = other, over
        self.lost |= lost
        if here["began"] is not None and not lost and began - when > _CLOSE:
            self.otherwise[here["name"]] = round(began - when, 3)
        return None if lost and began - when > _CLOSE else latest  # it was held up longer, by one of the lost


class Window:
    """One start of a unit and of all that came with it, in seconds from when it was asked for."""

    def __init__(self, view: View, root: str) -> None:
        starts = {start["name"]: start for start in view["starts"]}
        if root not in starts:
            missing = not_started(root)
            raise CallError(missing["code"], missing["message"], missing["hint"])
        first = starts[root]
        over = settled(first)
        end = view["now"] if over is None else over
        began_with = [s for s in starts.values() if first["asked"] - _SAME <= s["asked"] <= end + _SAME]
        self.root = root
        self.later = sorted(name for name, start in starts.items() if start["asked"] > end + _SAME)
        self.starts = [moved(start, first["asked"]) for start in began_with]
        self.starts.sort(key=lambda s: (s["asked"], _or(s["began"]), _or(settled(s)), s["name"]))
        known = [settled(start) for start in self.starts]
        now = view["now"] - first["asked"]
        self.length: float = max([now if when is None else min(when, now) for when in known] or [0.0])
        self.lasts = now  # how much of it has passed


def moved(start: View, base: float) -> dict[str, Any]:
    """The same with its times counted from a moment."""
    times = {key: start[key] for key in ("asked", "began", "ready", "ended")}
    moved = {key: None if when is None else round(max(when - base, 0.0), 6) for key, when in times.items()}
    return {**{key: start[key] for key in ("name", "kind", "state")}, **moved}


def _or(when: float | None) -> float:
    return float("inf") if when is None else when
