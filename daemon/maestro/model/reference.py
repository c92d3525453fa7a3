"""What the declarations say, for machines and for people: JSON schema, manual page, `explain`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from msgspec import Struct

from maestro.model import guess
from maestro.model.load import FILES, Sections
from maestro.model.option import Change, Option, choices, describe, item_type, subsections, without_none
from maestro.model.plain import Plain
from maestro.model.reading import show
from maestro.model.slices import SliceSection
from maestro.model.specifiers import TABLE
from maestro.model.status import SIGNALS
from maestro.model.values import Value

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TYPES: Mapping[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_IN_WORDS: Mapping[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}
CHANGES = {
    Change.LIVE: "A change holds at once.",
    Change.RELOAD: "A change holds after the agent has reloaded.",
    Change.RESTART: "A change holds from the next start.",
}

# ------------------------------------------------------------------------------------------------ JSON schema


def schema(kind: str, sections: Sections = {}) -> dict[str, Plain]:  # noqa: B006 -- never changed
    """JSON schema of the files of a kind: "agent", "target" or "slice"."""
    plain = _section_schema(FILES[kind])
    plain["properties"] |= {name: _section_schema(section) for name, section in sections.items()}
    return {"$schema": _DRAFT, "title": f"NAME.{kind}.yaml", **plain}


def _section_schema(section: type[Struct]) -> dict[str, Plain]:
    properties: dict[str, Plain] = {option.name: _option_schema(option) for option in describe(section)}
    required = [option.name for option in describe(section) if option.required]
    for inner in subsections(section):
        nested = _section_schema(inner.type)
        properties[inner.name] = nested | {"type": ["object", "null"]} if not inner.required else nested
        required += [inner.name] if inner.required else []
    return {
        "description": first_line(section),
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        **({"required": required} if required else {}),
    }


def _option_schema(option: Option) -> dict[str, Plain]:
    plain = _type_schema(option.type)
    low, high, pattern = option.bounds
    if pattern is not None:
        plain["pattern"] = f"^(?:{pattern})$"
    if without_none(option.type) in (int, float):
        plain |= {"minimum": low} if low is not None else {}
        plain |= {"maximum": high} if high is not None else {}
    if not option.required:
        plain["default"] = show(option.default)
    return {"description": option.doc, **plain}


def _type_schema(hint: Any) -> dict[str, Plain]:
    bare = without_none(hint)
    if bare is not hint:
        return _nullable(_type_schema(bare))
    if (inner := item_type(hint)) is not None:
        item = _type_schema(inner)
        return {"anyOf": [{"type": "array", "items": item}, item]}
    if words := choices(hint):
        return {"enum": list(words)}
    if hint is str:
        return {"type": ["string", "number", "boolean"]}  # taken as they are written
    if hint in _TYPES:
        return {"type": _TYPES[hint]}
    return dict(cast("type[Value]", hint).schema())


def _nullable(plain: dict[str, Plain]) -> dict[str, Plain]:
    if "enum" in plain:
        return plain | {"enum": [*plain["enum"], None]}
    if "anyOf" in plain:
        return {"anyOf": [*plain["anyOf"], {"type": "null"}]}
    types = plain["type"] if isinstance(plain["type"], list) else [plain["type"]]
    return plain | {"type": [*types, "null"]}


# ------------------------------------------------------------------------------------------------ explain


def first_line(section: type[Struct]) -> str:
    return " ".join((section.__doc__ or "").split("\n\n")[0].split())


def options(kind: str, sections: Sections = {}) -> Iterator[tuple[str, Option]]:  # noqa: B006 -- never changed
    """All options of a kind by dotted name, in the order of their declaration."""
    yield from _options(FILES[kind], "")
    for name, section in sections.items():
        yield from _options(section, f"{name}.")


def _options(section: type[Struct], above: str) -> Iterator[tuple[str, Option]]:
    for option in describe(section):
        yield above + option.name, option
    for inner in subsections(section):
        yield from _options(inner.type, f"{above}{inner.name}.")


class Explained(Struct, frozen=True, kw_only=True):
    """What there is to say about an option."""

    option: str
    doc: str
    takes: str
    default: str
    since: str
    change: str  # live, reload, restart

    def __str__(self) -> str:
        change = CHANGES[Change(self.change)]
        said = (self.doc, f"{self.takes}  {self.default}", f"{change}  Since {self.since}.")
        return "\n".join((self.option, *(f"  {line}" for line in said)))


def explain(name: str, sections: Sections = {}) -> tuple[Explained, ...]:  # noqa: B006 -- never changed
    """Of "agent.restart.delay", just "delay", or all of "agent.restart"; empty when there is none of that name."""
    known = {full: option for kind in FILES for full, option in options(kind, sections)}
    exact = [full for full in known if full == name or full.startswith(f"{name}.")]
    meant = exact or [full for full in known if f".{full}".endswith(f".{name}") or f".{name}." in full]
    return tuple(
        Explained(
            option=full,
            doc=known[full].doc,
            takes=type_in_words(known[full]),
            default=default_in_words(known[full]),
            since=known[full].since,
            change=known[full].change.value,
        )
        for full in meant
    )


def nearest_option(name: str, sections: Sections = {}) -> str:  # noqa: B006 -- never changed
    """What someone meant who asks for an option that there is not; empty when nothing looks like it."""
    known = [full for kind in FILES for full, _ in options(kind, sections)]
    last = {full.rpartition(".")[2]: full for full in known}
    if near := guess.nearest(name, known, 0.75):
        return near
    word = guess.elsewhere(name) or guess.nearest(name.rpartition(".")[2], last)
    return last.get(word, "")


def type_in_words(option: Option) -> str:
    """ "Takes a duration such as 30s.", with bounds."""
    low, high, _ = option.bounds
    bounds = [f"at least {_bound(option, low)}"] if low is not None else []
    bounds += [f"at most {_bound(option, high)}"] if high is not None else []
    return f"Takes {_words(without_none(option.type))}{', ' if bounds else ''}{' and '.join(bounds)}."


def _bound(option: Option, value: float) -> Plain:
    return show(without_none(option.type)(value))


def _words(hint: Any) -> str:
    if (inner := item_type(hint)) is not None:
        return f"a list, or one: {_words(inner)}"
    if words := choices(hint):
        return " or ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else words[0]
    return _IN_WORDS.get(hint) or cast("type[Value]", hint).expected


def default_in_words(option: Option) -> str:
    if option.required:
        return "It must be given."
    value = show(option.default)
    if value in (None, "", [], {}):
        return "By default nothing."
    return f"Default: {', '.join(map(str, value)) if isinstance(value, list) else value}."


# ------------------------------------------------------------------------------------------------ manual page


def manual(sections: Sections = {}) -> str:  # noqa: B006 -- never changed
    """maestro.unit(5), in roff."""
    parts = [_HEAD]
    for kind, file in FILES.items():
        parts.append(f".SH {kind.upper()} FILES\n{_roff(first_line(file))}")
        parts.extend(_manual_sections(file, "") if kind == "agent" else [_roff(_LIKE_AGENTS[kind])])
        if kind == "slice":
            parts.append(_manual_section(SliceSection, kind))
    parts.extend(_manual_section(section, name) for name, section in sections.items())
    parts.append(".SH SPECIFIERS\n" + _roff(_SPECIFIERS))
    parts.extend(_entry(f"%{row.letter}", row.doc) for row in TABLE)
    parts.append(".SH SIGNALS\n" + _roff(", ".join(SIGNALS) + ", RTMIN+0 to RTMIN+30."))
    parts.append(_TAIL)
    return "\n".join(parts) + "\n"


def _manual_sections(section: type[Struct], above: str) -> Iterator[str]:
    for inner in subsections(section):
        name = f"{above}{inner.name}"
        yield _manual_section(inner.type, name)
        yield from _manual_sections(inner.type, f"{name}.")


def _manual_section(section: type[Struct], name: str) -> str:
    lines = [f".SS {name}", _roff(first_line(section))]
    for option in describe(section):
        said = f"{option.doc} {type_in_words(option)} {default_in_words(option)} {CHANGES[option.change]}"
        lines.append(_entry(option.name, f"{said} Since {option.since}."))
    return "\n".join(lines)


def _entry(name: str, text: str) -> str:
    return f".TP\n.B {_roff(name)}\n{_roff(text)}"


def _roff(text: str) -> str:
    """Text for roff: hyphens and backslashes as themselves, no line that begins with a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in escaped.split("\n"))


_HEAD = r""".\" Generated by `bin/reference` from daemon/maestro/model/unit.py. Do not edit.
.TH MAESTRO.UNIT 5 "" Maestro "File formats"
.SH NAME
maestro.unit \- files that describe agents, targets and slices
.SH SYNOPSIS
.IR NAME .agent.yaml,
.IR NAME @.agent.yaml,
.IR NAME @ INSTANCE .agent.yaml,
.IR NAME .target.yaml,
.IR NAME .slice.yaml
.SH DESCRIPTION
One file describes one unit. It is YAML 1.2: on, no and 1:30 are texts.
Where a list is taken, a single item needs no brackets.
Durations, sizes and exit statuses follow systemd's grammar:
30s, 1min 30s, infinity; 512M, 1G; TEMPFAIL, 1\-5, SIGKILL.
An unknown option is an error, and a file with an error is not loaded.
A file or directory that others than its owner and root may write is refused.
.PP
Over a file are laid, in this order:
.IR environments/ENV/NAME .agent.yaml
where the daemon has an environment,
.IR agent.d/*.yaml ,
.IR NAME@.agent.yaml.d/*.yaml
and
.IR NAME.agent.yaml.d/*.yaml .
Mappings merge, lists append, all else is replaced; !reset in front of a value replaces those too, and
alone it takes away what was set.
A unit's name has letters, digits and :_.\e@\-; what stands behind the first @ is its instance.
.PP
A command is a list, or a string that is split as in
.BR systemd.service (5):
quotes group, a backslash begins an escape. No shell is run unless the command names one.
In the arguments, ${NAME} is replaced by the variable of this name, $NAME as a word of its own is
replaced by the variable's words, and $$ is a dollar sign."""

_LIKE_AGENTS = {
    "target": "A target has the sections unit, condition, assert and install, as an agent has.",
    "slice": "A slice has the sections unit, condition, assert, resources (but for slice and oom_policy) and install, as "
    "an agent has, and a section of its own. What it may use holds for all agents in it together. Each dash of its name "
    "is one level: tenants-acme.slice is in tenants.slice. A slice that has no file is there all the same, without limits.",
}
_SPECIFIERS = (
    "In commands, variables, paths, names of units and other texts, these are replaced. Others are an error."
)
_TAIL = r""".SH SEE ALSO
.BR maestroctl (1),
.BR systemd.service (5)"""
