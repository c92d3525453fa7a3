"""What several pictures share: how a state looks, problems, lines of output."""

from __future__ import annotations

from maestro.cli.text import Paint, clean, span, stamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    View = Mapping[str, Any]

# coarse state -> sign, colour
LOOKS = {
    "active": ("●", "green"),
    "activating": ("…", "yellow"),
    "waiting": ("…", "yellow"),
    "deactivating": ("…", "yellow"),
    "reloading": ("●", "green"),
    "inactive": ("○", "dim"),
    "failed": ("×", "red"),
}
NOT_LOADED = "does not load"


def look(unit: View) -> tuple[str, str]:
    """Sign and colour of a unit. One that does not load is wrong even while its agent runs."""
    sign, color = LOOKS.get(unit["state"], ("?", ""))
    if unit["load"] == "bad" and unit["state"] == "inactive":
        return "×", "red"
    return sign, color


def state(unit: View) -> str:
    """`active (running)`; `does not load` where that is why it is not."""
    if unit["load"] == "bad" and unit["state"] == "inactive":
        return NOT_LOADED
    if unit["load"] == "masked" and unit["state"] == "inactive":
        return "masked"
    coarse, fine = unit["state"], unit["fine"]
    return coarse if fine in (coarse, "") else f"{coarse} ({fine})"


def needs(unit: View) -> str:
    """What would bring the options that what runs does not have yet; a daemon not yet renewed does not tell."""
    return "restart needed" if unit.get("outdated") else ""


def coming(unit: View) -> str:
    """What comes by itself: `restart in 3.2 s`."""
    if not unit["next"]:
        return ""
    return unit["next"] if unit["next_in"] is None else f"{unit['next']} in {span(unit['next_in'])}"


def problem(view: View) -> str:
    """`FILE:LINE:COLUMN: option: message (hint)`."""
    option = f"{view['option']}: " if view["option"] else ""
    hint = f" ({view['hint']})" if view["hint"] else ""
    return clean(f"{view['path']}:{view['line']}:{view['column']}: {option}{view['message']}{hint}")


def error(view: View) -> str:
    """`message (hint)`."""
    return clean(f"{view['message']} ({view['hint']})" if view["hint"] else view["message"])


def notice(text: str, paint: Paint) -> str:
    """What the daemon has to say to its operator."""
    return f"{paint('yellow', 'Note:')} {clean(text)}"


def log_line(line: View, paint: Paint) -> str:
    """A line of output as `status` shows it."""
    when = stamp(line["time"]) if line["time"] else "no time recorded   "
    return f"{paint('dim', when)}  {clean(line['text'])}"
