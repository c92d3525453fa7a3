"""`maestroctl blame` and `critical-chain`."""

from __future__ import annotations

from maestro.cli import starting
from maestro.cli.text import Paint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maestro.cli.render.common import View

LEGEND = (
    "@ is when a unit was ordered (a target: reached), counted from when the start was asked for;\n"
    "+ is how long it took until it was ready."
)

_OTHERWISE = "for what no order names: a conflict, an end under way, a thing that one unit at a time may hold"


def exactly(seconds: float) -> str:
    """As systemd-analyze writes spans: `12ms`, `2.247s`, `1min 2.247s`."""
    thousandths = round(max(seconds, 0.0) * 1000)
    if thousandths < 1000:
        return f"{thousandths}ms"
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}min" if minutes else "", f"{rest / 1000:.3f}s"]
    return " ".join(filter(None, parts))


def blame(found: list[tuple[float, View]]) -> str:
    """The longest first."""
    spans = [exactly(seconds) for seconds, _ in found]
    widest = max(map(len, spans), default=0)
    rows = zip(spans, found, strict=True)
    return "".join(
        f"{span:>{widest}} {start['name']}{' (still starting)' if starting.is_starting(start) else ''}\n"
        for span, (_, start) in rows
    )


def chain(found: starting.Chain, now: float, paint: Paint) -> str:
    base = found.links[0]["asked"]
    lines = []
    for depth, start in enumerate(found.links):
        lead = "  " * (depth - 1) + "└─" if depth else ""
        when = start["ready"] if start["kind"] != "agent" else start["began"]
        at = f" @{exactly(when - base)}" if when is not None else " (still waits)"
        seconds = starting.took(start, now)
        lasted = paint.red(f" +{exactly(seconds)}") if seconds is not None else ""
        more = " (still starting)" if starting.is_starting(start) else ""
        more = " (did not get ready)" if start["ended"] is not None and start["ready"] is None else more
        lines.append(f"{lead}{start['name']}{at}{lasted}{more}")
    lines += [
        f"{name} was started again since: how long it held this up is not known any more"
        for name in found.lost
    ]
    lines += [f"{name} waited {exactly(seconds)} {_OTHERWISE}" for name, seconds in found.otherwise.items()]
    return "\n".join(lines) + "\n"
