"""Standard streams as a unit names them."""

from __future__ import annotations

import pytest

from maestro.model.load import load_text
from maestro.model.streams import StandardError, StandardInput, StandardOutput, openings


def problems(agent: str, more: str = "") -> list[str]:
    loaded = load_text("web.agent.yaml", f"agent: {{exec: [a], {agent}}}\n{more}".encode(), "f")
    return [f"{problem.option}: {problem.message} ({problem.hint})" for problem in loaded.problems]


@pytest.mark.parametrize(
    "good",
    [
        "stdin: 'null', stdout: log, stderr: inherit",
        "stdin: file:/in, stdout: append:/out, stderr: truncate:/err",
        "stdout: 'file:/var/log/%n'",
        "stdin: socket, stdout: inherit, stderr: log, file_descriptor_store_max: 1",
        "stdin: fd:in, stdout: fd, stderr: socket, file_descriptor_store_max: 1",
        "stdout: inherit",
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
            "agent.stdin: socket is a descriptor that was stored, and this agent may store none (write file_descriptor_store_max)",
        ),
        ("stderr: fd:log", "agent.stderr: fd:log is a descriptor that was stored"),
        ("stdin: 'fd:a:b'", "agent.stdin: 'a:b' cannot be the name of a descriptor (write fd:NAME)"),
        ("stdin: 'fd:'", "agent.stdin: '' cannot be the name of a descriptor (write fd:NAME)"),
        ("stdin: inherit", "(write one of null, socket, fd:NAME, file:/PATH)"),
        ("stdin: data", "(write it to a file, and name that)"),
        (
            "stdin: tty",
            "agent.stdin: 'tty' is not null, socket, fd:NAME or file:/PATH (an agent has no terminal)",
        ),
        ("stdout: journal", "(Maestro keeps the log: write log)"),
        ("stderr: append:out", "agent.stderr: 'out' is not absolute (write append:/PATH)"),
        (
            "notify_fd: 3",
            "agent.notify_fd: only an agent of type notify tells that it is ready; this one is exec (write type: notify)",
        ),
        ("type: notify, notify_fd: 2", "agent.notify_fd: 0, 1 and 2 are the standard streams (3 is usual)"),
        (
            "type: notify, notify_fd: 3, gateway_ports: [4000]",
            "agent.notify_fd: descriptors that it is handed begin at 3, so 3 may be one of them (write 4)",
        ),
        ("gateway_ports: [4000, 70000]", "agent.gateway_ports[1]: 70000 is no port (4000 is usual)"),
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


@pytest.mark.parametrize("silent", ["stdout: 'null'", "stdin: file:/in, stdout: inherit"])
def test_a_line_of_the_log_is_not_awaited_where_there_is_none(silent: str) -> None:
    probe = "health: {readiness: {log: ready}}"
    (problem,) = problems(silent, probe)
    assert problem == "health.readiness.log: nothing is written to the log (write stdout: log)"
    assert problems("stdout: inherit", probe) == []


def test_an_output_that_inherits_is_what_the_input_is() -> None:
    inherit, error = StandardOutput("inherit"), StandardError("inherit")
    assert openings(StandardInput("null"), inherit, error) == (("null", ""), ("log", ""), ("inherit", ""))
    assert openings(StandardInput("fd"), inherit, error) == (
        ("fd", "stdin"),
        ("fd", "stdin"),
        ("inherit", ""),
    )
    assert openings(StandardInput("file:/in"), inherit, StandardError("fd")) == (
        ("file", "/in"),
        ("file", "/in"),
        ("fd", "stderr"),
    )
