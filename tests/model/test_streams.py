"""Standard streams as a unit names them."""

from __future__ import annotations

import pytest

from maestro.model.load import load_text


def problems(agent: str, more: str = "") -> list[str]:
    loaded = load_text("web.agent.yaml", f"agent: {{exec: [a], {agent}}}\n{more}".encode(), "f")
    return [f"{problem.option}: {problem.message} ({problem.hint})" for problem in loaded.problems]


@pytest.mark.parametrize(
    "good",
    [
        "stdin: 'null', stdout: log, stderr: inherit",
        "stdin: file:/in, stdout: append:/out, stderr: truncate:/err",
        "stdout: 'file:/var/log/%n'",
        "type: notify, notify_fd: 3",
        "working_directory: -/srv, root_directory: /jail",
        "pass_environment: [HTTP_PROXY], unset_environment: [LANG, A=b]",
    ],
)
def test_good(good: str) -> None:
    assert problems(good) == []


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (
            "stdin: socket",
            "(a socket as a standard stream is not supported yet by this version)",
        ),
        ("stdin: tty", "agent.stdin: 'tty' is not null or file:/PATH (an agent has no terminal)"),
        ("stdout: journal", "(Maestro keeps the log: write log)"),
        ("stdout: inherit", "(write one of log, null, file:/PATH, append:/PATH, truncate:/PATH)"),
        ("stderr: append:out", "agent.stderr: 'out' is not absolute (write append:/PATH)"),
        (
            "notify_fd: 3",
            "agent.notify_fd: only an agent of type notify tells that it is ready; this one is exec (write type: notify)",
        ),
        ("type: notify, notify_fd: 2", "agent.notify_fd: 0, 1 and 2 are the standard streams (3 is usual)"),
        ("root_directory: jail", "agent.root_directory: 'jail' is not absolute (begin it with /)"),
        ("pass_environment: [1A]", "agent.pass_environment[0]: '1A' cannot be the name of a variable"),
        (
            "unset_environment: ['A B=c']",
            "agent.unset_environment[0]: 'A B' cannot be the name of a variable",
        ),
    ],
)
def test_bad(bad: str, says: str) -> None:
    (problem,) = problems(bad)
    assert says in problem


def test_a_line_of_the_log_is_not_awaited_where_there_is_none() -> None:
    (problem,) = problems("stdout: 'null'", "health: {readiness: {log: ready}}")
    assert problem == "health.readiness.log: nothing is written to the log (write stdout: log)"
