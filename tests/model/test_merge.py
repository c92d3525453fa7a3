"""A unit made of several pieces: which value holds, and where it is said to stand."""

from __future__ import annotations

import pytest
from msgspec import Struct

from maestro.model import names
from maestro.model.load import Loaded, Settings, dump, load_pieces, shown
from maestro.model.option import option
from maestro.model.plain import Plain
from maestro.model.yaml_events import parse

BASE = """\
unit:
  requires: db
  after: [db, cache]
agent:
  exec: [/bin/a, b]
  environment: {A: 1, B: 2}
  success_exit_status: 3 4
  restart: {delay: 5s, start_limits: [5/10s]}
health:
  readiness: {tcp: "127.0.0.1:80"}
"""


class Bell(Struct, frozen=True, kw_only=True):
    """A section of a plugin's."""

    tones: tuple[str, ...] = option((), "Which.")


def load(*over: str, base: str = BASE, name: str = "web") -> Loaded:
    texts = [("base", base), *((f"over{number}", text) for number, text in enumerate(over, 1))]
    pieces = [parse(text.encode(), path) for path, text in texts]
    return load_pieces(names.split(name), pieces, Settings(sections={"bell": Bell}))


def value(loaded: Loaded, dotted: str) -> Plain:
    assert loaded.unit is not None, list(map(str, loaded.problems))
    plain = dump(loaded.unit)
    for step in dotted.split("."):
        plain = plain[step]
    return plain


@pytest.mark.parametrize(
    ("over", "option", "expected"),
    [
        ("agent: {restart: {delay: 9s}}", "agent.restart.delay", "9s"),
        ("agent: {restart: {factor: 3}}", "agent.restart.delay", "5s"),
        ("agent: {environment: {B: 3, C: 4}}", "agent.environment", {"A": "1", "B": "3", "C": "4"}),
        ("agent: {environment: !reset {C: 4}}", "agent.environment", {"C": "4"}),
        ("agent: {environment: {A: !reset }}", "agent.environment", {"B": "2"}),
        ("unit: {after: [x]}", "unit.after", ["db", "cache", "x"]),
        ("unit: {after: !reset [x]}", "unit.after", ["x"]),
        ("unit: {after: !reset []}", "unit.after", []),
        ("unit: {after: !reset }", "unit.after", []),
        ("unit: {requires: x}", "unit.requires", ["db", "x"]),
        ("unit: {requires: !reset x}", "unit.requires", ["x"]),
        ("unit: {wants: x}", "unit.wants", ["x"]),
        ("agent: {exec: [/bin/c]}", "agent.exec", ["/bin/c"]),
        ("agent: {success_exit_status: [5, 6]}", "agent.success_exit_status", ["3-6"]),
        ("agent: {restart: {start_limits: 9/1h}}", "agent.restart.start_limits", ["5/10s", "9/1h"]),
        ("agent: {restart: !reset {factor: 3}}", "agent.restart.delay", "1s"),
        ("agent: {restart: !reset }", "agent.restart.delay", "1s"),
        ("health:\n", "health.readiness.tcp", "127.0.0.1:80"),
        ("health: {readiness: !reset {log: up}}", "health.readiness.log", "up"),
        ("health: {readiness: !reset }", "health.readiness", None),
        ("bell: {tones: a}", "bell.tones", ["a"]),
        ("", "unit.after", ["db", "cache"]),
    ],
)
def test_maps_merge_lists_append_all_else_is_replaced(over: str, option: str, expected: Plain) -> None:
    assert value(load(over), option) == expected


def test_later_pieces_win() -> None:
    loaded = load("unit: {after: [x], description: one}", "unit: {after: [y], description: two}")
    assert value(loaded, "unit.after") == ["db", "cache", "x", "y"]
    assert value(loaded, "unit.description") == "two"


def test_lists_of_plugins_append_too() -> None:
    assert value(load("bell: {tones: a}", "bell: {tones: [b]}"), "bell.tones") == ["a", "b"]


def test_specifiers_are_those_of_the_unit() -> None:
    loaded = load("agent: {environment: {ME: '%i'}}", name="worker@eu")
    assert value(loaded, "agent.environment") == {"A": "1", "B": "2", "ME": "eu"}


def test_numbers_are_passed_as_they_were_written_wherever_they_end_up() -> None:
    loaded = load("agent: {environment: {V: 1.10}}", "agent: {environment_file: /a}", base=BASE)
    assert value(loaded, "agent.environment")["V"] == "1.10"


def test_problems_say_which_piece() -> None:
    loaded = load("unit:\n  after: [x, 'y z']\n", "agent:\n  usr: root\n  umask: 99\n")
    assert [(p.path, p.line, p.column, p.option) for p in loaded.problems] == [
        ("over1", 2, 14, "unit.after[3]"),
        ("over2", 2, 3, "agent.usr"),
        ("over2", 3, 10, "agent.umask"),
    ]


def test_a_contradiction_stands_where_its_option_stands() -> None:
    [problem] = load("agent: {watchdog: 3s}").problems
    assert str(problem).startswith("over1:1:19: agent.watchdog: only agents of type notify")


def test_origins_name_every_piece_that_had_a_hand_in_it() -> None:
    loaded = load("unit: {after: [x]}\nagent: {restart: {delay: 9s}, environment: {B: 3, C: 3}}\n")
    assert loaded.unit is not None
    origins = {
        one.option: [(o.path, o.line) for o in (one.origin, *one.origin.also)]
        for one in shown(loaded.unit)
        if one.origin is not None
    }
    assert origins["unit.after"] == [("over1", 1), ("base", 3)]
    assert origins["unit.requires"] == [("base", 2)]
    assert origins["agent.restart.delay"] == [("over1", 2)]
    assert origins["agent.restart.start_limits"] == [("base", 8)]
    assert origins["agent.environment"] == [("base", 6), ("over1", 2)]


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ("[a]", "over1:1:1: expected sections, found a list (begin with a section such as `agent:`)"),
        ("a: [", "over1:1:5: not YAML"),
    ],
)
def test_a_piece_that_is_none(over: str, said: str) -> None:
    loaded = load(over)
    assert loaded.unit is None
    assert any(str(problem).startswith(said) for problem in loaded.problems)


def test_the_units_own_file_has_nothing_to_reset() -> None:
    [problem] = load(base="agent:\n  exec: !reset [/bin/a]\n").problems
    assert str(problem) == (
        "base:2:9: !reset has nothing to replace: this is the unit's own file (leave it out)"
    )


def test_what_is_laid_over_leaves_the_base_as_it_was() -> None:
    base, over = parse(BASE.encode(), "base"), parse(b"unit: {after: [x]}", "over")
    before = dict(base.marks)
    for _ in range(2):
        loaded = load_pieces(names.split("web"), [base, over])
        assert value(loaded, "unit.after") == ["db", "cache", "x"]
    assert base.marks == before
