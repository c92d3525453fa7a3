"""Checks as they are written, and versions as they compare."""

from __future__ import annotations

import pytest

from maestro.model import conditions
from maestro.model.load import load_text
from maestro.model.versions import key


@pytest.mark.parametrize(
    ("text", "shown", "subject"),
    [
        ("/x", "/x", "/x"),
        ("! /x", "!/x", "/x"),
        ("| !/x", "|!/x", "/x"),
        ("|/x", "|/x", "/x"),
    ],
)
def test_marks_are_taken_off(text: str, shown: str, subject: str) -> None:
    check = conditions.PathCheck(text)
    assert (str(check), check.subject) == (shown, subject)
    assert (check.either, check.negated) == ("|" in text, "!" in text)


def test_a_section_reads_values_and_lists() -> None:
    text = b"""\
condition: {path_exists: ["/a", "!/b"], cpus: 4, memory: ">= 1024M", first_boot: false, kernel_version: ">= 5"}
assert: {user: root, os_release: ID=debian, capability: net_admin}
agent: {exec: [a]}
"""
    loaded = load_text("web.agent.yaml", text, "f")
    assert loaded.unit is not None, loaded.problems
    section = loaded.unit.condition
    assert section.path_exists == ("/a", "!/b")
    assert (section.cpus, section.memory, section.first_boot) == ((">=4",), (">=1G",), ("false",))
    assert section.kernel_version == (">=5",)
    assert loaded.unit.assert_.capability == ("CAP_NET_ADMIN",)
    assert loaded.unit.origins["assert.user"].line == 2


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("path_exists: a", "'a' is not absolute (begin it with /)"),
        ('path_exists: "!"', "'!' asks nothing"),
        ("memory: much", "'much' is not a size"),
        ("cpus: '>=x'", "'>=x' compares with no number"),
        ("architecture: vax", "'vax' is no architecture"),
        ("capability: CAP_FLY", "'CAP_FLY' is no capability"),
        ("first_boot: perhaps", "'perhaps' is neither true nor false"),
        ("os_release: ID", "'ID' compares no field"),
        ("kernel_version: '5 >='", "'5 >=' compares with no version"),
        ("path_exist: /x", "did you mean path_exists?"),
        ("path_exists: !/x", "quote a value that begins with !"),
    ],
)
def test_what_cannot_be_asked_is_a_problem(line: str, says: str) -> None:
    loaded = load_text("web.agent.yaml", f"condition:\n  {line}\nagent: {{exec: [a]}}\n".encode(), "f")
    assert says in "\n".join(map(str, loaded.problems))


def test_versions_in_order() -> None:
    order = ["~1", "1~rc1", "1", "1-2", "1^2", "1.1", "1.2", "1a", "2", "10", "011.1", "12"]
    by_letters = sorted(order)
    assert sorted(by_letters, key=key) == order
    assert key("001") == key("1")
