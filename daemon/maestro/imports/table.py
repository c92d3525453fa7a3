"""One row for each foreign setting: which option it becomes, how, and what is not the same."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from msgspec import Struct

from maestro.imports.record import Record
from maestro.model import guess
from maestro.model.plain import Plain


class Scope(Struct, frozen=True):
    """What a conversion may look at besides the setting."""

    name: str  # of the unit
    units: Collection[str] = ()  # units that there are, or that come with this one, by full name
    variables: Mapping[str, str] = {}


# Raises `Mistake` for what cannot be taken, and answers with `Rough` for what is not the same.
Convert = Callable[[Record, Scope], Plain]


class Rule(Struct, frozen=True):
    """Without an option the setting is dropped, and `words` say why; with words it is approximated."""

    option: str = ""
    convert: Convert = lambda record, scope: record.value
    words: str = ""
    empty: Plain = None  # what it comes to where nothing is assigned, if that says something


Table = Mapping[str, Rule]


def drop(words: str, keys: str, prefix: str = "") -> dict[str, Rule]:
    """All these keys are dropped for one reason."""
    return {prefix + key: Rule(words=words) for key in keys.split()}


def find(table: Table, key: str) -> Rule | None:
    """The row of a key; `a.*` stands for all below a."""
    if key in table:
        return table[key]
    parts = key.split(".")
    for count in range(len(parts) - 1, 0, -1):
        if (rule := table.get(".".join([*parts[:count], "*"]))) is not None:
            return rule
    return None


def unknown(table: Table, key: str, what: str, *, guessing: bool = True) -> str:
    """The sentence on a setting that no row is about."""
    squeezed = {known.rpartition("/")[2].lower(): known.rpartition("/")[2] for known in table}
    near = squeezed.get(key.lower()) or (guess.nearest_exactly(key, squeezed.values()) if guessing else "")
    hint = f" (did you mean {near}?)" if near and near != key else ""
    return f"no such setting of {what} is known{hint}"
