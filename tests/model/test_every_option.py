"""A unit with every option set, made from the declarations: it comes back as it is shown, and each option is known everywhere."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from msgspec import Struct
from msgspec.structs import replace

from maestro.model import names
from maestro.model.changes import compare
from maestro.model.directories import KINDS
from maestro.model.load import FILES, Settings, dump, load, load_text, shown
from maestro.model.option import Option, choices, item_type, without_none
from maestro.model.plain import Plain
from maestro.model.reading import show
from maestro.model.reference import explain, manual, options, schema
from maestro.model.unit import Unit
from maestro.model.values import UnitRef

OPTIONS: Mapping[str, Mapping[str, Option]] = {kind: dict(options(kind)) for kind in FILES}
ALL = [(kind, name) for kind, known in OPTIONS.items() for name in known]

# Where the other options, all of them set, leave no other choice.
BESIDE_ALL: Mapping[str, Plain] = {
    "agent.type": "notify",
    "agent.reload_signal": "HUP",
    "agent.umask": "0027",
    "agent.cpu_scheduling_policy": "fifo",
    "agent.io_scheduling_class": "best-effort",
    "agent.numa_policy": "bind",
    "agent.notify_fd": 99,
    **{f"agent.{kind}_directory_mode": "0710" for kind in KINDS},
    "agent.stop.sequence": ["INT 5s", "KILL"],
    "health.readiness.tcp": "127.0.0.1:80",
    "install.default_instance": "main",
    "install.wanted_by": ["default.target"],
    "install.required_by": ["default.target"],
}
OUT = object()  # not set
# What cannot be set beside all the others -> what is different in the unit that has it.
INSTEAD: Mapping[str, Mapping[str, Any]] = {
    **{
        f"health.readiness.{probe}": {"health.readiness.tcp": OUT}
        for probe in ("exec", "http", "unix", "log")
    },
    "agent.exec_reload": {"agent.reload_signal": OUT},
    "agent.exec_more": {
        "agent.type": "oneshot",
        "agent.watchdog": OUT,
        "agent.notify_fd": OUT,
        **{name: OUT for name in OPTIONS["agent"] if name.startswith("health.readiness.")},
    },
    "agent.root_directory": {
        "agent.load_credential": OUT,
        "agent.set_credential": OUT,
        "agent.credentials_in_environment": OUT,
        **{f"agent.{kind}_directory": OUT for kind in KINDS},
    },
    "agent.pid_file": {
        "agent.type": "forking",
        "agent.watchdog": OUT,
        "agent.notify_fd": OUT,
        "sandbox.level": OUT,
        "sandbox.private_pids": OUT,
    },
}
VARIANTS = ("", *INSTEAD)


def sample(option: Option, kind: str) -> Plain:
    """A value that is not the default, from what the declaration says."""
    hint = without_none(option.type)
    if (item := item_type(hint)) is not None:
        return [next(example for example in _examples(item, option) if _fits(example, kind))]
    others = [example for example in _examples(hint, option) if example != show(option.default)]
    assert others, f"the schema of {hint.__name__} has no example but the default of {option.name}"
    return others[0]


def _fits(example: Plain, kind: str) -> bool:
    """Of units, one of the same kind: that can be an alias too."""
    named = example in UnitRef.examples
    return not named or names.split(str(example)).kind == kind


def _examples(hint: Any, option: Option) -> list[Plain]:
    if words := choices(hint):
        return list(words)
    if hint is bool:
        return [not option.default]
    if hint in (int, float):
        return [hint((option.default or 0) + 1)]
    if hint is str:
        return [f"/srv/{option.name}"]
    told = hint.schema()
    return list(told["examples"])


def every(kind: str, variant: str) -> dict[str, Plain]:
    """All options of a kind that can be set together, as a file would have them."""
    different = {**dict.fromkeys(INSTEAD, OUT), **INSTEAD.get(variant, {})}
    different.pop(variant, None)
    plain: dict[str, Plain] = {}
    for name, option in OPTIONS[kind].items():
        value = different.get(name, BESIDE_ALL.get(name)) or sample(option, kind)
        if value is OUT:
            continue
        *sections, last = name.split(".")
        inside = plain
        for section in sections:
            inside = inside.setdefault(section, {})
        inside[last] = value
    return plain


def unit_of(kind: str, variant: str = "") -> Unit:
    text = yaml.safe_dump(every(kind, variant), sort_keys=False)
    loaded = load_text(f"every@one.{kind}.yaml", text.encode(), "f")
    assert loaded.unit is not None, list(map(str, loaded.problems))
    return loaded.unit


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", FILES)
def test_what_is_shown_loads_as_the_same_unit(kind: str, variant: str) -> None:
    unit = unit_of(kind, variant)
    text = yaml.safe_dump(dump(unit))
    again = load_text(f"every@one.{kind}.yaml", text.encode(), "f", Settings(None))
    assert again.unit is not None, list(map(str, again.problems))
    assert replace(again.unit, origins=unit.origins) == unit
    plain = load(names.split(unit.name), dump(unit), {}, "f", Settings(None)).unit
    assert plain is not None
    assert dump(plain) == dump(unit)


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_option_is_set_in_one_of_them_and_says_where(kind: str, name: str) -> None:
    [row] = [row for row in shown(unit_of(kind, name if name in INSTEAD else "")) if row.option == name]
    assert row.origin is not None
    assert row.value != show(OPTIONS[kind][name].default)


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_an_option_is_in_schema_manual_and_explain(kind: str, name: str) -> None:
    inside = schema(kind)
    for step in name.split("."):
        inside = inside["properties"][step]
    assert inside["description"] == OPTIONS[kind][name].doc
    assert f".B {name.rpartition('.')[2]}\n" in manual().replace("\\-", "-")
    [one] = explain(name)
    assert one.change == OPTIONS[kind][name].change.value


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_a_changed_option_says_what_that_asks_for(kind: str, name: str) -> None:
    unit = unit_of(kind, name if name in INSTEAD else "")
    option = OPTIONS[kind][name]
    assert compare(unit, with_value(unit, name, option.default)) == {name: option.change}


def with_value(section: Any, name: str, value: Any) -> Any:
    """A section with one option changed, at any depth."""
    first, _, rest = name.partition(".")
    first += "_" if keyword.iskeyword(first) else ""
    assert isinstance(section, Struct)
    return replace(section, **{first: with_value(getattr(section, first), rest, value) if rest else value})
