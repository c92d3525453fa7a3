"""Credentials in unit files: how they are written, and that no secret among them is ever shown."""

from __future__ import annotations

import pytest
import yaml

from maestro.model.changes import compare
from maestro.model.credentials import CredentialPaths, CredentialTexts, Secret
from maestro.model.load import DEFAULTS, dump, load_text, shown
from maestro.model.option import Change
from maestro.model.redaction import redacted
from maestro.model.unit import AgentSection, Unit

SECRET = "s3cr3t"
EXEC = "agent:\n  exec: [a]\n"


def problems(text: str) -> list[str]:
    return [str(one) for one in load_text("w@1.agent.yaml", text.encode(), "f").problems]


def unit_of(options: str) -> Unit:
    loaded = load_text("w@1.agent.yaml", (EXEC + options).encode(), "f", DEFAULTS)
    assert loaded.unit is not None, loaded.problems
    return loaded.unit


def agent_of(options: str) -> AgentSection:
    agent = unit_of(options).agent
    assert agent is not None
    return agent


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("{key: /srv/%i, other: there}", {"key": "/srv/1", "other": "there"}),
        ("[key:/srv/a:b, other]", {"key": "/srv/a:b", "other": "other"}),
        ("key:/srv/%i", {"key": "/srv/1"}),
        ("{}", {}),
    ],
)
def test_where_credentials_are_read_from(given: str, found: dict[str, str]) -> None:
    assert dict(agent_of(f"  load_credential: {given}\n").load_credential) == found


def test_a_text_is_taken_as_it_is() -> None:
    texts = agent_of("  set_credential: {key: 'a%i$HOME', number: 0123, yes: true}\n").set_credential
    assert dict(texts) == {"key": "a%i$HOME", "number": "0123", "yes": "true"}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("load_credential: {a/b: /x}", "'a/b' cannot be the name of a credential"),
        ("load_credential: {..: /x}", "'..' cannot be the name of a credential"),
        ("load_credential: [7]", "agent.load_credential[0]: expected NAME:PATH"),
        ("load_credential: {key: etc/x}", "'etc/x' is no file that a credential can be read from"),
        ("load_credential: {key: }", "expected a text, found nothing"),
        ("credentials_in_environment: {key: 1A}", "'1A' cannot be the name of a variable"),
        ("credentials_in_environment: {key: A}", "there is no credential key"),
        ("{load_credential: key, root_directory: /srv}", "below root_directory /srv"),
    ],
)
def test_what_is_wrong_is_said(options: str, why: str) -> None:
    options = options.strip("{}") if options.startswith("{") else options
    lines = options.split(", root") if ", root" in options else [options]
    text = EXEC + "".join(f"  {'root' if place else ''}{line}\n" for place, line in enumerate(lines))
    assert any(why in problem for problem in problems(text)), problems(text)


WRONG = (
    f"set_credential: key:{SECRET}",
    f"set_credential: [{SECRET}]",
    f"set_credential: {{key: [{SECRET}]}}",
    f"set_credential: {{key: {{a: {SECRET}}}}}",
    f"set_credential: {{key: !{SECRET} x}}",
    f"set_credential: {{key: *{SECRET}}}",
    f"set_credential: {{key: !<{SECRET}> x}}",
    f"set_credential: {{'a/b': {SECRET}}}",
    "set_credential: 12345678",
    f"set_credential: {{key: '{SECRET}}}",
    f"set_credential: {{key: %{SECRET}}}",
    f"set_credential: {{key: `{SECRET}}}",
    f"set_credential: {{key: a: {SECRET}}}",
)


@pytest.mark.parametrize("options", WRONG)
def test_what_is_wrong_with_a_secret_is_said_without_it(options: str) -> None:
    found = problems(f"{EXEC}  {options}\n")
    assert found
    assert not [one for one in found if SECRET in one or "12345678" in one]


@pytest.mark.parametrize(
    "options",
    [
        f"  set_credential: {{key: {SECRET}}}\n",
        f"  set_credential:\n    key: |\n      {SECRET}\n      more {SECRET}\n    other: >-\n      {SECRET}\n",
        f'  set_credential: !reset {{key: \'{SECRET}\', "b": "{SECRET}"}} # so it is\n  umask: 0027\n',
        f"  environment: {{A: &x {SECRET}}}\n  set_credential: {{key: *x}}\n",
    ],
)
def test_a_text_that_may_be_shown_reads_as_the_same_but_for_the_secrets(options: str) -> None:
    text = EXEC + options
    shown_text = redacted(text)
    assert SECRET not in shown_text
    before, after = (yaml.safe_load(one.replace("!reset ", "")) for one in (text, shown_text))
    assert before["agent"].keys() == after["agent"].keys()
    assert set(after["agent"]["set_credential"].values()) == {"[redacted]"}
    assert redacted(shown_text) == shown_text


def test_what_is_no_secret_is_shown_as_it_is() -> None:
    text = "# set_credential: nothing\nagent: {exec: [a, set_credential, 'x: y']} # é\n"
    assert redacted(text) == text
    assert redacted(f"\ufeffé: 1\nagent:\n  set_credential: {{key: {SECRET}}}\nend: 1\n").endswith(
        '  set_credential: {key: "[redacted]"}\nend: 1\n'
    )


@pytest.mark.parametrize("options", WRONG)
def test_a_file_that_cannot_be_read_is_shown_up_to_its_secrets(options: str) -> None:
    told = redacted(f"# first\n{EXEC}  {options}\n")
    assert SECRET not in told.replace("'a/b'", "")
    assert told.startswith("# first\n")


def test_a_unit_shows_no_secret_and_knows_when_it_changes() -> None:
    one, other = (unit_of(f"  set_credential: {{key: {text}}}\n") for text in (SECRET, "other"))
    for text in (repr(one), str(dump(one)), str(shown(one))):
        assert SECRET not in text
        assert "[redacted]" in text
    assert compare(one, other) == {"agent.set_credential": Change.RELOAD}
    assert compare(one, one) == {}
    assert repr(Secret(SECRET)) == "Secret('[redacted]')"
    assert CredentialTexts({"a": "x"}) != CredentialTexts({"a": "y"})
    assert hash(CredentialPaths({"a": "/x"})) == hash(CredentialPaths({"a": "/x"}))
