"""`maestroctl why`: the chain of causes, in sentences."""

from __future__ import annotations

from maestro.cli.render.common import NOT_LOADED, coming, look, state
from maestro.cli.text import Paint, ago, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from maestro.cli.render.common import View

_NAMED = 5  # units that are named one by one before the rest is counted
_STANDS = "  "


def why(view: View, paint: Paint) -> str:
    """Each unit that was named, and beneath it what it waits for, each told once."""
    reasons = {reason["name"]: reason for reason in view["reasons"]}
    told: set[str] = set()
    texts = []
    for name in view["named"]:
        lines = [*_chain(name, reasons, view["now"], told, paint)]
        texts.append("\n".join(lines) + "\n")
    return "\n".join(texts)


def _chain(root: str, reasons: dict[str, View], now: float, told: set[str], paint: Paint) -> Iterator[str]:
    todo = [(root, 0)]
    while todo:
        name, depth = todo.pop()
        reason = reasons[name]
        if name in told:
            yield f"{_STANDS * depth}{_name(reason, paint)} (told above)"
            continue
        told.add(name)
        yield _STANDS * depth + _headline(reason, now, paint)
        for sentence in sentences(reason, now):
            yield _STANDS * (depth + 1) + sentence
        todo += [(other, depth + 1) for other in reversed(reason["waits_for"])]


def _headline(reason: View, now: float, paint: Paint) -> str:
    since = ago(reason["since"], now)
    for_how_long = f" since {since.removesuffix(' ago')}" if since and since != "now" else ""
    cause = f": {clean(reason['cause'])}" if reason["cause"] else ""
    words = state(reason)
    return f"{_name(reason, paint)} {'' if words == NOT_LOADED else 'is '}{words}{for_how_long}{cause}"


def _name(reason: View, paint: Paint) -> str:
    sign, color = look(reason)
    return f"{paint(color, sign)} {paint('bold', reason['name'])}"


def sentences(reason: View, now: float) -> Iterator[str]:
    """What there is to say beside state and cause."""
    if reason["hint"]:
        yield f"hint: {clean(reason['hint'])}"
    if reason["next"]:
        yield f"next: {coming(reason)}"
    if reason["asked"]:
        when = ago(reason["asked_at"], now) or "at some time"
        yield f"last asked: {reason['asked']}, by {clean(reason['asked_by'])}, {when}"
    if reason["pulled_by"]:
        yield f"wanted up by {_names(reason['pulled_by'])}"
    elif reason["name"] == "default.target" and reason["goal"] == "up" and not reason["asked"]:
        yield "maestrod starts it when it begins"
    elif not reason["asked"] and reason["goal"] == "down":
        yield "nobody asks for it: neither a request that is remembered nor a unit that is up"


def _names(names: list[str]) -> str:
    shown = list(names[:_NAMED])
    if len(names) > _NAMED:
        shown.append(f"{len(names) - _NAMED} more")
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
