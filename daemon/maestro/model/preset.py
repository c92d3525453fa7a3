"""Which units a distributor or an operator wants enabled: `*.preset` files, as in systemd.preset(5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from msgspec import Struct

from maestro.model.names import UnitName
from maestro.model.plain import shorten
from maestro.model.problem import Problem


class Rule(Struct, frozen=True):
    """One line."""

    enable: bool
    pattern: str
    instances: tuple[str, ...] = ()  # of a template


class Presets(Struct, frozen=True):
    rules: tuple[Rule, ...] = ()
    problems: tuple[Problem, ...] = ()


def parse(files: Iterable[tuple[str, str]]) -> Presets:
    """The rules of these files (path, text), in order."""
    rules: list[Rule] = []
    problems: list[Problem] = []
    for path, text in files:
        for number, line in enumerate(text.splitlines(), 1):
            match line.split():
                case []:
                    pass
                case [first, *_] if first[0] in "#;":
                    pass
                case ["enable", pattern, *instances]:
                    rules.append(Rule(True, pattern, tuple(instances)))
                case ["disable", pattern]:
                    rules.append(Rule(False, pattern))
                case _:
                    said = f"{shorten(line.strip())} is no rule"
                    problems.append(Problem(path, number, 1, "", said, "write enable NAME, or disable NAME"))
    return Presets(tuple(rules), tuple(problems))


def decide(rules: Iterable[Rule], unit: UnitName) -> Rule:
    """The first rule that is about a unit. What no rule is about is enabled."""
    return next((rule for rule in rules if _is_about(rule, unit)), Rule(True, "*"))


def _is_about(rule: Rule, unit: UnitName) -> bool:
    """Of an instance that a rule for its template names, or of the name itself. `db.agent` is `db`."""
    if rule.instances and unit.template is not None:
        return unit.instance in rule.instances and rule.pattern in _names(unit.template)
    return any(fnmatchcase(name, rule.pattern) for name in _names(unit))


def _names(unit: UnitName) -> Iterator[str]:
    yield unit.full
    yield f"{unit.bare}.{unit.kind}"
