"""Conversions of compose files: variables, commands, dependencies with conditions, amounts."""

from __future__ import annotations

import re

from maestro.imports.record import Record, Rough
from maestro.imports.shell_words import by_shell, split, unit_name
from maestro.imports.table import Convert, Scope
from maestro.imports.values import argument, is_true, percents, said, size, whole
from maestro.model.plain import Mistake, Plain, is_scalar, kind_of, scalar_text, shorten
from maestro.model.status import SignalName
from maestro.model.timespan import Seconds

_VARIABLE = re.compile(r"\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-+?])([^{}]*))?\})")


def interpolated(value: str) -> tuple[str, list[str]]:
    """With `$$` and `${NAME:-default}` replaced, and words on the defaults. A `Mistake` where there is none."""
    told: list[str] = []

    def one(match: re.Match[str]) -> str:
        name = match[2] or match[3]
        if name is None:
            return "$"
        if match[4] in ("-", ":-"):
            told.append(f"{name} is taken to be {shorten(match[5])}, its default")
            return str(match[5])
        raise Mistake(f"it takes {name} from the environment of docker compose", "write out its value")

    return _VARIABLE.sub(one, value), told


def _with(value: Plain, told: list[str]) -> Plain:
    return Rough(value, "; ".join(told)) if told else value


def _text(value: Plain) -> str:
    if not is_scalar(value):
        raise Mistake(f"expected a single value, found {kind_of(value)}")
    return value if isinstance(value, str) else scalar_text(value)


def plain(record: Record, scope: Scope) -> Plain:
    text, told = interpolated(said(record))
    return _with(percents(text), told)


def texts(record: Record, scope: Scope) -> Plain:
    values = record.value if isinstance(record.value, list) else [record.value]
    return [percents(interpolated(_text(one))[0]) for one in values]


def command(record: Record, scope: Scope) -> Plain:
    """A list, or a text that is split as a shell does."""
    if record.value is None:
        return None
    if isinstance(record.value, list):
        parts = [interpolated(_text(one)) for one in record.value]
        return _with(
            [argument(text) for text, _ in parts] or None, [word for _, told in parts for word in told]
        )
    text, told = interpolated(said(record))
    return _with(split(text), told)


def variable(record: Record, scope: Scope) -> Plain:
    """`NAME: VALUE`, or `NAME=VALUE` in a list; without a value it is that of whoever starts it."""
    name = record.key.partition(".")[2]
    if not name:
        return None if record.value in (None, [], {}) else _wrong(record)
    if name.isdecimal():
        name, equals, value = _text(record.value).partition("=")
        if not equals:
            return Rough(None, f"{name} has no value: write it, or name it under pass_environment")
    elif record.value is None:
        return Rough(None, f"{name} has no value: write it, or name it under pass_environment")
    else:
        value = _text(record.value)
    text, told = interpolated(value)
    return _with({name: percents(text)}, told)


def _wrong(record: Record) -> Plain:
    raise Mistake(f"expected a list or a mapping, found {kind_of(record.value)}")


def files(record: Record, scope: Scope) -> Plain:
    value, mark = record.value, ""
    if isinstance(value, dict):
        mark = "" if value.get("required", True) else "-"
        value = value.get("path")
    path = percents(interpolated(_text(value))[0])
    if not path.startswith("/"):
        raise Mistake(f"{shorten(path)} is relative to the compose file", "write an absolute path")
    return Rough([mark + path], "quotes and variables in it are read as systemd reads them")


def dependency(record: Record, scope: Scope) -> Plain:
    """A service, and what it has to be: started, healthy, or done."""
    name = record.key.partition(".")[2]
    if not name:
        return None if record.value in (None, [], {}) else _wrong(record)
    said_more = record.value if isinstance(record.value, dict) else {}
    unit = unit_name(_text(record.value) if name.isdecimal() else name)
    if unit not in scope.units:
        raise Mistake(f"there is no service {shorten(unit)} here that is imported")
    condition = said_more.get("condition", "service_started")
    if condition not in ("service_started", "service_healthy", "service_completed_successfully"):
        raise Mistake(f"there is no condition {shorten(_text(condition))}")
    after = f"{unit} started" if condition == "service_started" else unit
    relation = "unit.requires" if said_more.get("restart") is True else "unit.milestone"
    if said_more.get("required", True) is False:
        relation = "unit.wants"
    told = []
    if lost := set(said_more) - {"condition", "required", "restart"}:
        told.append(f"{', '.join(sorted(map(str, lost)))}: not known, and left out")
    if condition == "service_healthy" and unit not in scope.variables:
        told.append(f"{unit} has no healthcheck of its own here: it is ready when its program is executed")
    return _with({"unit.after": [after], relation: [unit]}, told)


def restart(record: Record, scope: Scope) -> Plain:
    value = said(record)
    if value in ("false", "no", "none"):
        return "no"
    if value in ("always", "any"):
        return "always"
    if value == "unless-stopped":
        return Rough("always", "what was stopped by hand stays down until it is started")
    word, colon, count = value.partition(":")
    if word != "on-failure":
        raise Mistake(f"{shorten(value)} is no policy of restarts")
    return Rough("on-failure", f"at most {count} restarts: write start_limits") if colon else "on-failure"


def span(record: Record, scope: Scope) -> Plain:
    """`1m30s`; to Docker `m` is a minute."""
    return str(Seconds(re.sub(r"(?<=[a-z])(?=[0-9])", " ", said(record))))


def memory(record: Record, scope: Scope) -> Plain:
    return size(interpolated(said(record))[0])


def processors(record: Record, scope: Scope) -> Plain:
    text = interpolated(said(record))[0]
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,6})?", text):
        raise Mistake(f"{shorten(text)} is no number of processors")
    return f"{round(float(text) * 100, 4):g}%" if float(text) else None


def tasks(record: Record, scope: Scope) -> Plain:
    count = whole(said(record))
    return str(count) if count > 0 else "infinity"


def shares(record: Record, scope: Scope) -> Plain:
    """Docker's 2 to 262144, of which 1024 is the usual, as 1 to 10000, of which 100 is."""
    count = whole(said(record))
    return Rough(str(min(max(round(count * 100 / 1024), 1), 10000)), "of 100, where Docker counts of 1024")


def user(record: Record, scope: Scope) -> Plain:
    return Rough(plain(record, scope), "a user of the host, not of the image") if said(record) else None


def read_only(record: Record, scope: Scope) -> Plain:
    return Rough("strict", "of the host's files") if is_true(said(record)) else None


def network_mode(record: Record, scope: Scope) -> Plain:
    value = said(record)
    if value in ("host", "none"):
        return value
    return Rough(None, "an agent has the host's network or none")


def health(record: Record, scope: Scope) -> Plain:
    value = record.value
    if not isinstance(value, list):
        return by_shell(interpolated(said(record))[0])
    parts = [interpolated(_text(one))[0] for one in value]
    if parts[:1] == ["CMD-SHELL"] and len(parts) == 2:
        return by_shell(parts[1])
    if parts[:1] == ["CMD"] and parts[1:]:
        return [argument(word) for word in parts[1:]]
    return None if parts == ["NONE"] else _wrong(record)


def no_health(record: Record, scope: Scope) -> Plain:
    return Rough(None, "leave out the other lines of healthcheck") if is_true(said(record)) else None


def signal(record: Record, scope: Scope) -> Plain:
    return str(SignalName(said(record).upper()))


def limit(record: Record, scope: Scope) -> Plain:
    """`nofile: 1024`, or `{soft: 1024, hard: 2048}`."""
    name, value = record.key.partition(".")[2], record.value
    if isinstance(value, dict):
        soft, hard = (_text(value.get(key, "")) for key in ("soft", "hard"))
        amount = f"{soft}:{hard}"
    else:
        amount = _text(value)
    return {f"agent.limits.{name}": amount.replace("-1", "infinity")}


def nothing(words: str) -> Convert:
    """Says nothing to Maestro, and loses nothing that counts."""
    return lambda record, scope: Rough(None, words)
