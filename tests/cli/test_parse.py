from __future__ import annotations

import json

import pytest

from maestro.cli import clicked, parse
from maestro.cli.command import NAMES, find

PLAIN = [
    ["status"],
    ["status", "a", "b"],
    ["-q", "--root", "/x", "status"],
    ["--root=/x", "-o", "json", "status", "a", "--output=text"],
    ["status", "--root", "/y", "a", "-n", "3"],
    ["status", "--lines=3", "a"],
    ["start", "a", "--no-wait", "--timeout", "5s"],
    ["stop", "--", "-a"],
    ["restart", "-q", "a"],
    ["kill", "-s", "HUP", "--main", "a"],
    ["enable", "--now", "a"],
    ["list"],
    ["list", "a*"],
    ["is-active", "-q", "a", "b"],
    ["is-failed", "a*", "-o", "json"],
    ["logs", "-f", "-n", "all", "--since", "2 h ago", "a"],
    ["logs", "--no-timestamps", "--grep", "-x", "a"],
    ["events", "--cursor", "7"],
    ["audit", "-n", "0"],
    ["verify", "a.yaml"],
    ["daemon-reload", "--no-color"],
    ["shutdown", "--keep-agents"],
    ["version"],
    ["run", "sleep", "5"],
    ["run", "--unit", "a", "-p", "agent.umask=0022", "--property=unit.after=[b]", "sh", "-c", "exit", "-q"],
    ["run", "-E", "A", "-q", "--", "--odd", "--", "-p"],
    ["-o", "json", "run", "a", "--", "-o", "text"],
]
NOT_PLAIN = [
    [],
    ["--help"],
    ["status", "--help"],
    ["nonsense"],
    ["start"],
    ["version", "a"],
    ["status", "-n", "x"],
    ["status", "-n"],
    ["status", "-n3", "a"],
    ["status", "--lin", "3"],
    ["status", "-o", "yaml"],
    ["status", "--bogus"],
    ["logs", "-fn", "3", "a"],
    ["start", "--no-wait=1", "a"],
    ["run", "-p", "agent.type=oneshot"],
    ["run", "-fq", "a"],
]


@pytest.mark.parametrize("argv", PLAIN, ids=" ".join)
def test_the_fast_path_and_click_agree(argv: list[str]) -> None:
    fast, slow = parse.read(argv), clicked.read(argv)
    assert fast is not None
    assert isinstance(slow, tuple)
    assert fast[0] is slow[0]
    assert fast[1] == slow[1]


@pytest.mark.parametrize("argv", NOT_PLAIN, ids=" ".join)
def test_what_is_not_plain_is_left_to_click(argv: list[str]) -> None:
    assert parse.read(argv) is None


def test_click_reads_what_the_fast_path_does_not() -> None:
    read = clicked.read(["logs", "-fn", "3", "a"])
    assert isinstance(read, tuple)
    assert read[1]["follow"] is True
    assert read[1]["lines"] == "3"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["statsu"], "There is no command 'statsu'. Did you mean status?"),
        (["zzz"], "There is no command 'zzz'. maestroctl --help lists the commands."),
        (["start"], "Missing argument 'NAME...'"),
        (["status", "-n", "x"], "'x' is not a valid integer"),
        (["status", "--bogus"], "No such option"),
    ],
)
def test_mistakes_are_told(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert clicked.read(argv) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "asked",
    [["-o", "json"], ["-ojson"], ["--output", "json"], ["--output=json"], ["-o", "text", "-o", "json"]],
)
@pytest.mark.parametrize(
    ("argv", "message", "hint"),
    [
        (["statsu"], "There is no command 'statsu'. Did you mean status?", "maestroctl --help"),
        (["status", "-n", "x"], "Invalid value for '-n' / '--lines': 'x' is not a valid", "maestroctl status --help"),
        (["status", "--bogus"], "No such option", "maestroctl status --help"),
        ([], "Missing command.", "maestroctl --help"),
    ],
)  # fmt: skip
def test_mistakes_are_json_where_json_is_asked_for(
    asked: list[str], argv: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in ([*asked, *argv], [*argv, *asked]) if argv else ([*asked],):
        assert clicked.read(line) == 2
        said = capsys.readouterr()
        view = json.loads(said.out)
        assert (view["schema"], view["error"]["code"], view["error"]["hint"]) == (1, "bad-request", hint)
        assert view["error"]["message"].startswith(message)
        assert said.err == ""


def test_a_name_behind_two_dashes_asks_for_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert clicked.read(["status", "--bogus", "--", "-o", "json"]) == 2
    assert clicked.read(["status", "--bogus", "-o", "json", "-o", "text"]) == 2
    assert capsys.readouterr().out == ""


def test_help_lists_commands_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert clicked.read(["--help"]) == 0
    out = capsys.readouterr().out
    assert [
        line.split()[0] for line in out.splitlines() if line[2:3].isalpha() and line.split()[0] in NAMES
    ] == list(NAMES)
    assert "  3  status: a unit that was named is not active; is-active: none of them is.\n" in out


@pytest.mark.parametrize("name", NAMES)
def test_each_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert clicked.read([name, "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert find(name).help in out
