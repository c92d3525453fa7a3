"""`maestroctl doctor`."""

from __future__ import annotations

from maestro.cli.text import Paint, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maestro.cli.render.common import View

_LOOKS = {"ok": ("✓", "green"), "limited": ("!", "yellow"), "missing": ("✗", "red")}


def findings(found: list[View], paint: Paint) -> str:
    """A line for each part, and below it what does not work, and what would mend it."""
    lines = []
    for one in found:
        mark, colour = _LOOKS.get(one["state"], ("?", "red"))
        lines.append(f"{paint(colour, mark)} {one['part']}: {clean(one['words'])}")
        if one["cost"]:
            lines.append(f"    not enforced or missing: {clean(one['cost'])}")
        if one["advice"]:
            lines.append(f"    to mend: {clean(one['advice'])}")
    return "\n".join(lines) + "\n"
