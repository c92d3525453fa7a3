"""A unit file made of single options, as `maestroctl run` and `set` name them: each is laid over those before, as a drop-in is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from maestro.model.load import Settings
from maestro.model.merge import lists, merge
from maestro.model.plain import Mark, Mistake, Path, Plain, scalar_text, shorten
from maestro.model.unit import AgentFile
from maestro.model.yaml_events import DEEPEST, Parsed, parse

HEAD = "# Made by maestroctl run, and taken away when it has ended.\n"
AMENDED = "# Written by maestroctl set.\n"
_BASE = parse(b"unit: {}\nagent: {restart: {policy: no}}", "")  # as a transient service has it in systemd
_PLAIN = re.compile(r"(?!(?:null|true|false)$)[A-Za-z_/][A-Za-z0-9_./-]*", re.IGNORECASE)
_UNPRINTABLE = re.compile(
    "[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]"
)  # what JSON leaves as it is, and YAML refuses


def compose(properties: Sequence[str], settings: Settings) -> str:
    """The text of a unit file from `SECTION.OPTION=VALUE`, values being YAML. A `Mistake` names the property."""
    return HEAD + _text(_BASE, properties, settings)


def amend(text: str, properties: Sequence[str], settings: Settings) -> str:
    """The text of a drop-in with these options laid over what it says. A `Mistake` names the property."""
    return AMENDED + _text(parse(text.encode() or b"{}", ""), properties, settings)


def _text(base: Parsed, properties: Sequence[str], settings: Settings) -> str:
    whole = merge([base, *map(_piece, properties)], lists(AgentFile, tuple(settings.sections.items())))
    for problem in whole.problems:
        raise Mistake(f"{problem.path}: {problem.message}", problem.hint)
    return "".join(f"{line}\n" for line in _lines(whole, ()))


def _piece(text: str) -> Parsed:
    name, equals, value = text.partition("=")
    steps = name.split(".")
    if not equals or len(steps) < 2 or not all(steps):
        raise Mistake(
            f"{text[:60]!r} names no option", "write SECTION.OPTION=VALUE, as in agent.type=oneshot"
        )
    if len(steps) > DEEPEST:
        raise Mistake(f"{shorten(name)} is nested deeper than {DEEPEST} levels", "no option lies that deep")
    parsed = parse(value.encode("utf-8", "surrogatepass"), name)
    data = parsed.data
    for step in reversed(steps):
        data = {step: data}
    at = tuple(steps)
    above: dict[Path, Mark] = {at[:place]: Mark(1, 1, 1, 1) for place in range(len(at) + 1)}
    marks = above | {(*at, *inside): mark for inside, mark in parsed.marks.items()}
    resets = frozenset((*at, *inside) for inside in parsed.resets)
    return Parsed(data, marks, parsed.problems, parsed.broken, name, resets)


# ------------------------------------------------------------------------------------------------ writing


def quoted(text: str) -> str:
    """A text as YAML reads it back, whatever is in it."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def verbatim(text: str) -> str:
    """The same, where a percent sign begins no specifier."""
    return quoted(text.replace("%", "%%"))


def command(words: Sequence[str]) -> str:
    """A command whose words are taken as they are, dollar signs too."""
    program, *arguments = words
    return _list([verbatim(program), *(verbatim(word.replace("$", "$$")) for word in arguments)])


def mapping(pairs: Iterable[tuple[str, str]]) -> str:
    """Variables whose values are taken as they are."""
    return "{" + ", ".join(f"{quoted(name)}: {verbatim(value)}" for name, value in pairs) + "}"


def _lines(whole: Parsed, at: Path) -> Iterator[str]:
    """A mapping as lines, indented."""
    data = whole.data
    for step in at:
        data = data[step]
    for key, value in data.items():
        if value == {} and not at:
            continue
        begun = f"{'  ' * len(at)}{_word(key)}:"
        if isinstance(value, dict) and value:
            yield begun
            yield from _lines(whole, (*at, key))
        else:
            yield f"{begun} {_flow(whole, value, (*at, key))}"


def _flow(whole: Parsed, value: Plain, at: Path) -> str:
    if isinstance(value, dict):
        inside = (f"{_word(key)}: {_flow(whole, one, (*at, key))}" for key, one in value.items())
        return "{" + ", ".join(inside) + "}"
    if isinstance(value, list):
        return _list([_flow(whole, one, (*at, place)) for place, one in enumerate(value)])
    if isinstance(value, str):
        return _word(value)
    mark = whole.marks.get(at)  # 0022 is to stay 0022
    return (mark.text if mark else "") or ("null" if value is None else scalar_text(value))


def _list(words: Sequence[str]) -> str:
    return f"[{', '.join(words)}]"


def _word(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quoted(text)
