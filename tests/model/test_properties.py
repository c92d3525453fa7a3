"""A unit file made of single options."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro.model.load import DEFAULTS, load_text
from maestro.model.plain import Mistake
from maestro.model.properties import command, compose, mapping, verbatim
from maestro.model.unit import Unit

EXEC = "agent.exec=[a]"


def made(*properties: str) -> Unit:
    loaded = load_text("run-1.agent.yaml", compose(properties, DEFAULTS).encode(), "/run/x")
    assert loaded.problems == ()
    assert loaded.unit is not None
    return loaded.unit


def test_it_reads_as_one_would_write_it() -> None:
    text = compose(
        ["unit.description=Reads papers", "agent.exec=[sleep, 5]", "agent.umask=0022", "unit.after=[db]"],
        DEFAULTS,
    )
    assert text.splitlines()[1:] == [
        "unit:",
        '  description: "Reads papers"',
        "  after: [db]",
        "agent:",
        "  restart:",
        "    policy: no",
        "  exec: [sleep, 5]",
        "  umask: 0022",
    ]


def test_a_property_is_laid_over_those_before_as_a_drop_in_is() -> None:
    unit = made(
        EXEC,
        "agent.exec=[b, c]",
        "unit.after=[db]",
        "unit.after=cache",
        "agent.environment={A: 1, B: no}",
        "agent.environment.B=2",
        "agent.restart={policy: always, delay: 5s}",
    )
    assert unit.agent is not None
    assert unit.agent.exec == ("b", "c")
    assert unit.unit.after == ("db", "cache")
    assert dict(unit.agent.environment) == {"A": "1", "B": "2"}
    assert (unit.agent.restart.policy, float(unit.agent.restart.delay)) == ("always", 5.0)


def test_a_transient_unit_is_not_restarted_unless_it_says_so() -> None:
    unit = made(EXEC)
    assert unit.agent is not None
    assert unit.agent.restart.policy == "no"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("agent", "'agent' names no option"),
        ("agent.type", "'agent.type' names no option"),
        ("type=oneshot", "'type=oneshot' names no option"),
        (".type=oneshot", "'.type=oneshot' names no option"),
        ("agent.exec=[a", "agent.exec: not YAML: "),
        ("agent.umask=a: b: c", "agent.umask: not YAML: "),
        (f"agent{'.a' * 3000}=1", "'agent.a.a.a.a"),
    ],
)
def test_a_mistake_names_the_property(given: str, words: str) -> None:
    with pytest.raises(Mistake) as caught:
        compose([EXEC, given], DEFAULTS)
    assert str(caught.value).startswith(words)


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
PROGRAM = st.from_regex("/[a-z%$ ]+", fullmatch=True)


@given(PROGRAM, st.lists(WORDS), st.dictionaries(st.from_regex("[A-Za-z_]{1,5}", fullmatch=True), WORDS))
def test_a_command_and_its_variables_are_taken_as_they_are(
    program: str, words: list[str], variables: dict[str, str]
) -> None:
    from maestro.model.command import expand

    unit = made(
        f"agent.exec={command([program, *words])}",
        f"agent.environment={mapping(variables.items())}",
        f"unit.description={verbatim('100 %n')}",
    )
    assert unit.agent is not None
    assert expand(unit.agent.exec, {"a": "replaced", "A": "replaced"}) == (program, *words)
    assert dict(unit.agent.environment) == variables
    assert unit.unit.description == "100 %n"
