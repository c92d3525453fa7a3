"""What is derived from the declarations."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import jsonschema
import pytest

from maestro.model.load import FILES, dump, load_text
from maestro.model.option import Change
from maestro.model.reference import CHANGES, explain, manual, nearest_option, options, schema
from maestro.model.specifiers import TABLE
from maestro.model.unit import type_names


def at(plain: dict[str, Any], name: str) -> dict[str, Any]:
    for step in name.split("."):
        plain = plain["properties"][step]
    return plain


@pytest.mark.parametrize("kind", FILES)
def test_every_option_is_in_the_schema(kind: str) -> None:
    plain = schema(kind)
    assert plain["$schema"].endswith("2020-12/schema")
    for name, option in options(kind):
        found = at(plain, name)
        assert found["description"] == option.doc
        assert "default" in found
        assert "type" in found or "enum" in found or "anyOf" in found
    assert plain["additionalProperties"] is False


def test_schema_details() -> None:
    plain = schema("agent")
    assert plain["required"] == ["agent"]
    assert at(plain, "agent.restart.delay")["default"] == "1s"
    assert at(plain, "agent.restart.factor")["minimum"] == 1
    assert at(plain, "agent.umask")["pattern"] == "^(?:[0-7]{1,4})$"
    assert at(plain, "agent.type")["enum"] == list(type_names)
    assert "null" in at(plain, "agent.watchdog")["type"]


def test_a_dump_is_valid() -> None:
    loaded = load_text("a.agent.yaml", b"agent: {exec: x}\nhealth: {readiness: {tcp: 'a:1'}}", "")
    assert loaded.unit is not None
    jsonschema.Draft202012Validator(schema("agent")).validate(dump(loaded.unit))


def test_every_option_is_in_the_manual() -> None:
    text = manual()
    for name, option in options("agent"):
        assert f".B {name.rpartition('.')[2]}\n" in text
        assert option.doc[:20].replace("-", "\\-") in text
    for row in TABLE:
        assert f".B %{row.letter}\n" in text
    assert set(CHANGES) == set(Change)


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_likes_the_manual() -> None:
    ran = subprocess.run(
        ["groff", "-Kutf8", "-man", "-ww", "-Tutf8", "-z"],
        input=manual().encode(),
        capture_output=True,
        check=False,
    )
    assert ran.stderr == b""


def test_explain() -> None:
    [one] = explain("agent.restart.delay")
    assert str(one).split("\n") == [
        "agent.restart.delay",
        "  Pause before the first restart.",
        "  Takes a duration such as 30s, 1min 30s or infinity.  Default: 1s.",
        "  A change holds at once.  Since 0.1.",
    ]
    assert explain("delay") == (one,)
    assert {one.option for one in explain("exec")} == {"agent.exec", "health.readiness.exec"}
    assert {one.option.rpartition(".")[0] for one in explain("agent.restart")} == {"agent.restart"}
    assert explain("restart") == explain("agent.restart")
    assert explain("nothing") == ()


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("dealy", "agent.restart.delay"),
        ("agent.restart.dealy", "agent.restart.delay"),
        ("RestartSec", "agent.restart.delay"),
        ("want", "unit.wants"),
        ("zzzzzz", ""),
    ],
)
def test_what_was_meant(asked: str, meant: str) -> None:
    assert nearest_option(asked) == meant
