"""Applies a table to the settings of one unit, and has the daemon's own loader judge what comes out.

What the loader refuses is left out, and its words become the remark: a file that comes out loads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from maestro.imports import table as tables
from maestro.imports.record import Grade, Imported, Record, Remark, Rough, dropped
from maestro.imports.table import Scope, Table
from maestro.imports.writing import is_writable, written
from maestro.model import names
from maestro.model.load import Loaded, Settings, load_pieces
from maestro.model.names import UnitName
from maestro.model.option import subsections
from maestro.model.plain import Mistake, Plain, printable
from maestro.model.problem import Problem
from maestro.model.reading import dotted
from maestro.model.specifiers import Specifiers
from maestro.model.unit import AgentFile
from maestro.model.yaml_events import parse

_SAMPLE = "instance"  # a template is loaded with it
_HOST = Settings(Specifiers(machine_id="0" * 32, boot_id="0" * 32, kernel="6.1.0"))  # any
_MOST_ROUNDS = 200
_MOST_GUESSES = 1000
_ORDER = (*(section.name for section in subsections(AgentFile)), "slice")


class Piece(Struct, frozen=True):
    """A value for an option, and the settings that it came from, by number; none for what is set for every unit."""

    option: str
    value: Plain
    records: tuple[int, ...] = ()


Pieces = list[Piece]
Compose = Callable[[Pieces], Pieces]  # several settings that make up one option together


class Draft(Struct, frozen=True, kw_only=True):
    """A unit to be made."""

    file: str
    what: str  # the format, for sentences
    records: Sequence[Record]
    table: Table
    scope: Scope
    defaults: Mapping[str, Plain] = {}  # what the other supervisor does where its file says nothing
    compose: Compose = list
    needs: str = ""  # an option without which there is no unit
    heading: str = ""


class _Verdict(Struct):
    grade: Grade
    words: str


def made(draft: Draft) -> Imported:
    """The unit and its remarks, one for each setting. Never raises."""
    verdicts, pieces = _applied(draft)
    text, why = _loading(draft, pieces, verdicts)
    remarks = [
        Remark(one.file, one.line, one.key or f"[{one.section}]", verdict.grade, printable(verdict.words))
        for one, verdict in zip(draft.records, verdicts, strict=True)
    ]
    if not text:
        left = f"{draft.file} is not written: {why}"
        remarks = [
            one if one.grade == "dropped" else Remark(one.file, one.line, one.key, "dropped", left)
            for one in remarks
        ]
        if draft.records:
            first = draft.records[0]
            remarks.append(Remark(first.file, 0, draft.file, "dropped", f"it is not written: {why}"))
    return Imported(draft.file, text, tuple(remarks))


# ------------------------------------------------------------------------------------------------ the table


def _applied(draft: Draft) -> tuple[list[_Verdict], Pieces]:
    verdicts: list[_Verdict] = []
    pieces: Pieces = []
    since: dict[str, list[int]] = {}  # settings of a key since it was last set to nothing
    for number, record in enumerate(draft.records):
        earlier = since.setdefault(record.key, [])
        if record.reset and record.key:
            for one in earlier:
                verdicts[one] = _Verdict("exact", f"set to nothing again in {_place(record, draft, one)}")
            pieces = [piece for piece in pieces if not set(earlier) & set(piece.records)]
            earlier.clear()
        else:
            earlier.append(number)
        verdict, piece = _one(draft, record, number)
        verdicts.append(verdict)
        if piece is not None:
            pieces.append(piece)
    return verdicts, pieces


def _place(record: Record, draft: Draft, earlier: int) -> str:
    same = draft.records[earlier].file == record.file
    return f"line {record.line}" if same else f"{record.file}:{record.line}"


def _one(draft: Draft, record: Record, number: int) -> tuple[_Verdict, Piece | None]:
    if not record.key:
        return _Verdict(*_heading(record)), None
    rule = tables.find(draft.table, f"{record.section}/{record.key}") or tables.find(draft.table, record.key)
    if rule is None:
        return _Verdict("dropped", _unknown(draft, record, number)), None
    if record.reset and rule.empty is None:
        return _Verdict("exact", "says nothing: as if it was not given"), None
    if not rule.option:
        return _Verdict("dropped", rule.words), None
    try:
        value = rule.empty if record.reset else rule.convert(record, draft.scope)
    except Mistake as mistake:
        return _Verdict("dropped", _words(mistake)), None
    rough = value.words if isinstance(value, Rough) else ""
    value = value.value if isinstance(value, Rough) else value
    if value is None:
        return _Verdict(
            "dropped" if rough else "exact", rough or "nothing is to be said: it is so without"
        ), None
    if not is_writable(value):
        return _Verdict("dropped", "it contains a character that no unit file can hold"), None
    words = "; ".join(filter(None, (rough, rule.words)))
    shown = rule.option.lstrip("~").partition("#")[0]
    verdict = _Verdict("approximated", f"{shown}: {words}") if words else _Verdict("exact", shown)
    return verdict, Piece(rule.option, value, (number,))


def _unknown(draft: Draft, record: Record, number: int) -> str:
    """Who has so many settings that are not known does not read what was meant, which takes 2 ms each."""
    return tables.unknown(draft.table, record.key, draft.what, guessing=number < _MOST_GUESSES)


def _heading(record: Record) -> tuple[Grade, str]:
    """A line that is no setting says itself what becomes of it, in its value: words after `!` are why it is dropped."""
    words = str(record.value)
    return ("dropped", words[1:]) if words.startswith("!") else ("exact", words)


def _words(mistake: Mistake) -> str:
    return "; ".join(f"{one.message} ({one.hint})" if one.hint else one.message for one in mistake.faults)


# ------------------------------------------------------------------------------------------------ the loader


def _loading(draft: Draft, pieces: Pieces, verdicts: list[_Verdict]) -> tuple[str, str]:
    """The text of a file that loads, or none and why."""
    base = [Piece(option, value) for option, value in draft.defaults.items()]
    left = base + pieces
    for _ in range(_MOST_ROUNDS):
        composed = draft.compose(left)
        if draft.needs and not any(piece.option == draft.needs for piece in composed):
            return "", f"nothing is left that says {draft.needs}"
        text, loaded = _judged(draft, composed)
        if loaded is not None and loaded.unit is not None:
            _tell_replaced(draft, composed, verdicts)
            return text, ""
        problems = loaded.problems if loaded is not None else ()
        guilty = _guilty(problems, composed)
        if not guilty or -1 in guilty:
            return "", "; ".join(_told(one) for one in problems[:3]) or "its name cannot be that of a unit"
        for number, words in guilty.items():
            verdicts[number] = _Verdict("dropped", words)
        left = [piece for piece in left if not guilty.keys() & set(piece.records)]
    return "", "too much of it is refused"


def _judged(draft: Draft, pieces: Pieces) -> tuple[str, Loaded | None]:
    text = written(_joined(pieces), draft.heading or f"Imported from {draft.what}.")
    try:
        name = names.split_file(draft.file)
    except Mistake as mistake:
        return "", Loaded(
            name=draft.file, path="", unit=None, problems=(Problem("", 1, 1, "", _words(mistake)),)
        )
    parsed = [parse(text.encode("utf-8"), draft.file)]
    loaded = load_pieces(name, parsed, _HOST)
    if loaded.unit is not None and name.is_template:
        instance: UnitName = name.with_instance(_SAMPLE)
        loaded = load_pieces(instance, parsed, _HOST)
    return text, loaded


def _told(problem: Problem) -> str:
    hint = f" ({problem.hint})" if problem.hint else ""
    return (f"{problem.option}: " if problem.option else "") + problem.message + hint


def _guilty(problems: Iterable[Problem], pieces: Pieces) -> dict[int, str]:
    """The settings that the loader's problems are about, -1 for defaults, and its words on each."""
    found: dict[int, str] = {}
    for problem in problems:
        for piece in _meant(problem.option, pieces):
            for number in piece.records or (-1,):
                found.setdefault(number, _told(problem))
    return found


def _meant(option: str, pieces: Pieces) -> Pieces:
    """Those that the place which a problem names is about: a single item where it names one."""
    mine = [piece for piece in pieces if _is_at(option, piece.option)]
    if not mine:
        return []
    last = mine[-1].option
    same = [piece for piece in mine if piece.option == last]
    rest = option[len(last) :]
    if (item := re.match(r"\[(\d+)\]", rest)) is not None and isinstance(same[-1].value, list):
        place = int(item[1])
        for piece in same:
            count = len(piece.value) if isinstance(piece.value, list) else 1
            if place < count:
                return [piece]
            place -= count
    keyed = [
        piece
        for piece in same
        if isinstance(piece.value, dict)
        and any(dotted((*last.split("."), key)) == option for key in piece.value)
    ]
    if keyed:
        return keyed
    return same if isinstance(same[-1].value, list | dict) else [same[-1]]


def _is_at(option: str, piece: str) -> bool:
    return option == piece or option.startswith((f"{piece}.", f"{piece}["))


def _joined(pieces: Pieces) -> dict[str, Any]:
    """Plain data: lists and mappings of one option come together, of anything else the last counts."""
    data: dict[str, Any] = {}
    for piece in pieces:
        *above, name = piece.option.split(".")
        inside = data
        for section in above:
            inside = inside.setdefault(section, {})
        before = inside.get(name)
        if isinstance(before, list) and isinstance(piece.value, list):
            inside[name] = [*before, *piece.value]
        elif isinstance(before, dict) and isinstance(piece.value, dict):
            inside[name] = {**before, **piece.value}
        else:
            inside[name] = piece.value
    return {section: data[section] for section in sorted(data, key=_ORDER.index)}


def _tell_replaced(draft: Draft, pieces: Pieces, verdicts: list[_Verdict]) -> None:
    """Of several settings that say one thing, the earlier ones say that they do not count."""
    last: dict[str, Piece] = {}
    for piece in pieces:
        before = last.get(piece.option)
        joins = before is not None and type(before.value) is type(piece.value)
        if before is not None and piece.records and not (joins and isinstance(piece.value, list | dict)):
            record = draft.records[piece.records[-1]]
            for number in set(before.records) - set(piece.records):
                verdicts[number] = _Verdict("exact", f"set anew in {_place(record, draft, number)}")
        last[piece.option] = piece


def all_dropped(file: str, records: Sequence[Record], words: str) -> Imported:
    """For what gives no unit at all."""
    return Imported(file, "", tuple(dropped(one, words) for one in records))
