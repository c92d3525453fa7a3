from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from maestro.cli import exits, verbs
from maestro.cli.command import GLOBALS, NAMES, find
from maestro.control import protocol as p
from tests.cli.conftest import Ctl
from tests.control.fake import NOW, Served, unit

FAST = str(Path(__file__).resolve().parents[2] / "daemon/maestro/cli/fast.py")


# ------------------------------------------------------------------------------------------- the table


@pytest.mark.parametrize("name", NAMES)
def test_each_command_is_declared_well(name: str) -> None:
    command = find(name)
    assert command.name == name
    assert command.help.endswith(".")
    assert command.help[0].isupper()
    options = (*command.options, *GLOBALS)
    assert all(option.help.endswith(".") for option in options)
    flags = [flag for option in options for flag in option.flags]
    assert len(flags) == len(set(flags))


def test_every_module_of_commands_is_in_the_table() -> None:
    modules = {path.stem for path in (Path(FAST).parent / "commands").glob("*.py")} - {"__init__"}
    assert modules == {name.replace("-", "_") for name in NAMES}


def test_exit_codes_are_each_told_once() -> None:
    codes = [code for code, _, _ in exits.EXITS]
    named = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert codes == sorted(set(codes))
    assert set(codes) == named
    assert all(meaning.endswith(".") for _, meaning, _ in exits.EXITS)
    errors = [error for _, _, of in exits.EXITS for error in of]
    assert len(errors) == len(set(errors))
    assert all(str(code) in exits.epilog() for code in codes)


def test_of_several_codes_the_lowest_that_is_not_0() -> None:
    assert exits.worst([]) == 0
    assert exits.worst([0, 8, 4, 0]) == 4


# ------------------------------------------------------------------------------------------- status and list


def test_status_says_whether_a_unit_is_active(served: Served, ctl: Ctl) -> None:
    served.service.units["down"] = unit("down", state="inactive", fine="dead")
    assert ctl("status").code == 0
    assert ctl("status", "researcher").code == 0
    assert ctl("status", "researcher", "down").code == 3
    said = ctl("status", "down", "nope")
    assert said.code == 4
    assert said.err == "maestroctl: there is no unit nope\n  did you mean researcher?\n"
    assert "○ down" in said.out
    assert ctl("-q", "status", "researcher").out == ""


def test_status_in_json_is_the_view(ctl: Ctl) -> None:
    said = ctl("status", "researcher", "nope", "-o", "json")
    view = json.loads(said.out)
    assert view["schema"] == 1
    assert view["units"][0]["name"] == "researcher"
    assert view["errors"]["nope"]["code"] == "no-such-unit"
    assert (said.code, said.err) == (4, "")


def test_list(ctl: Ctl) -> None:
    assert ctl("list").out.splitlines() == [
        "NAME        KIND   STATE             ENABLED  PID   RESTARTS  SINCE      DESCRIPTION",
        "researcher  agent  active (running)  no       4711  0         5 min ago  Reads papers",
    ]


# ------------------------------------------------------------------------------------------- verbs


def test_a_verb_says_one_sentence_per_unit(ctl: Ctl) -> None:
    said = ctl("start", "researcher", "nope")
    assert said.out == "researcher: started: ready as pid 4711 (0.0 s)\n"
    assert said.err == "maestroctl: there is no unit nope\n  did you mean researcher?\n"
    assert said.code == 4


def test_no_wait_tells_the_jobs(served: Served, ctl: Ctl) -> None:
    served.hold(True)
    assert ctl("restart", "--no-wait", "researcher").out == "researcher: job 12\n"


@pytest.mark.parametrize(
    ("state", "code", "sentence"),
    [
        ("done", 0, "a: stopped: asked (2.0 s)"),
        ("failed", 1, "a: stop failed: asked"),
        ("dependency", 8, "a: not stopped yet: asked; it starts when what it needs recovers"),
        ("canceled", 9, "a: stop canceled: asked"),
        ("running", 0, "a: stop goes on as job 3: asked"),
    ],
)
def test_each_end_of_a_job_has_a_sentence_and_a_code(state: str, code: int, sentence: str) -> None:
    job = {"id": 3, "unit": "a", "verb": "stop", "state": state, "words": "asked"}
    assert verbs.sentence(job, 2.0, wait=True) == sentence
    assert exits.of_job(state) == code


def test_a_start_that_a_condition_left_out_is_not_said_to_be_one() -> None:
    job = {
        "id": 7,
        "unit": "a",
        "verb": "start",
        "state": "done",
        "words": "skipped: condition user=eve was not met",
    }
    assert verbs.sentence(job, 2.0, wait=True) == "a: skipped: condition user=eve was not met (2.0 s)"


def test_a_failure_shows_the_last_lines(served: Served, ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    line = p.LineView(unit="researcher", time=NOW, text="Traceback: boom", cursor=1)
    served.service.units["researcher"] = unit("researcher", hint="the API key has expired", log=(line,))
    job = p.JobView(
        id=3, unit="researcher", verb="start", state="failed", words="ended with exit status 1, third time"
    )

    async def fail(caller: Any, request: Any) -> Any:
        yield p.VerbView(jobs=(job,))

    monkeypatch.setattr(served.service, "verb", fail)
    said = ctl("start", "researcher")
    assert said.code == 1
    assert said.err.splitlines() == [
        "researcher: start failed: ended with exit status 1, third time",
        "researcher: hint: the API key has expired",
        "    2026-11-21 10:05:01  Traceback: boom",
        "    maestroctl status researcher says more",
    ]


def test_long_waits_are_told_once_into_a_file(
    served: Served, ctl: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbs, "_LATE", 0.05)
    served.hold(True)
    release = threading.Timer(0.4, served.hold, (False,))
    release.start()
    said = ctl("start", "researcher")
    assert said.err == "waiting for researcher: waits for vectordb\n"
    assert said.code == 0
    release.join()


def test_long_waits_are_one_line_on_a_terminal(
    served: Served, ctl: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbs, "_LATE", 0.05)
    served.hold(True)
    release = threading.Timer(0.4, served.hold, (False,))
    release.start()
    said = ctl("start", "researcher", tty=True, NO_COLOR="1")
    assert said.err.startswith("\r\x1b[Kwaiting for researcher: waits for vectordb (")
    assert said.err.endswith("\r\x1b[K")
    assert "\n" not in said.err
    release.join()


def test_a_time_out_says_what_goes_on(served: Served, ctl: Ctl) -> None:
    served.hold(True)
    said = ctl("start", "researcher", "--timeout", "200ms")
    assert said.code == 75
    assert said.err == "maestroctl: no answer within 0.2 s\n  job 12 goes on\n"


def test_enable_tells_what_it_changed(ctl: Ctl) -> None:
    assert ctl("enable", "researcher", "--now").out == "enable: linked researcher\n"


def test_kill_says_nothing_when_it_worked(served: Served, ctl: Ctl) -> None:
    said = ctl("kill", "-s", "HUP", "researcher")
    assert (said.code, said.out, said.err) == (0, "", "")
    assert served.service.asked[-1][1] == p.Kill(units=("researcher",), signal="HUP")


# ------------------------------------------------------------------------------------------- logs and the
# rest


def test_logs_go_into_a_pipe_as_they_were_written(ctl: Ctl) -> None:
    assert ctl("logs", "researcher").out.splitlines()[:2] == ["x 0", "x 1"]
    assert ctl("logs", "researcher", "worker").out.splitlines()[0] == "researcher | x 0"
    timed = ctl("logs", "researcher", "--timestamps").out.splitlines()[0]
    assert timed == "2026-11-21 10:05:01.000 x 0"


def test_logs_on_a_terminal_cannot_steer_it(served: Served, ctl: Ctl) -> None:
    served.service.text = "\x1b]0;pwned\x07\x1b[2J\x08bad"
    first = ctl("logs", "researcher", tty=True, NO_COLOR="1").out.splitlines()[0]
    assert first == "2026-11-21 10:05:01.000 \\x08bad 0"


def test_lines_that_are_json_have_their_fields(served: Served, ctl: Ctl) -> None:
    served.service.text = '{"level": "info"} '
    plain = json.loads(ctl("logs", "researcher", "--json").out.splitlines()[0])
    assert plain == {
        "schema": 1,
        "unit": "researcher",
        "time": NOW,
        "text": '{"level": "info"}  0',
        "cursor": 1,
    }
    from maestro.cli.commands.logs import as_json

    assert as_json({**plain, "text": '{"level": "info"}'})["fields"] == {"level": "info"}
    assert "fields" not in as_json({**plain, "text": "[1]"})


def test_logs_ask_for_all_of_a_time_and_ten_lines_otherwise(served: Served, ctl: Ctl) -> None:
    asked = []
    for options in ([], ["-n", "3"], ["-n", "all"], ["--since", "10min"], ["--since", "10min", "-n", "3"]):
        ctl("logs", "researcher", *options)
        asked.append(served.service.asked[-1][1])
    assert [request.lines for request in asked if isinstance(request, p.Logs)] == [10, 3, None, None, 3]


def test_lines_must_be_a_number(ctl: Ctl) -> None:
    said = ctl("logs", "researcher", "-n", "many")
    assert said.code == 2
    assert said.err == "maestroctl: --lines: 'many' is not a number of lines\n  write a number, or all\n"


def test_events(served: Served, ctl: Ctl) -> None:
    served.service.events_to_send = 2
    assert ctl("events").out.splitlines() == [
        "2026-11-21 10:05:01 #101  researcher: ready: x",
        "2026-11-21 10:05:01 #102  researcher: ready: x",
    ]
    assert json.loads(ctl("events", "--cursor", "101", "-o", "json").out)["seq"] == 102


def test_the_other_commands(ctl: Ctl) -> None:
    assert ctl("show", "researcher").out == (
        'unit.description = Reads papers\nagent.exec = ["sleep", "1"]  # /u/r.yaml:3:5\n'
    )
    assert ctl("cat", "researcher").out == "# /u/r.yaml\nagent:\n  exec: [sleep]\n"
    assert "start researcher" in ctl("audit").out
    assert ctl("daemon-reload").out == "1 unit loaded; added: researcher\n"
    assert ctl("version").out == "maestroctl 0.1.0\nmaestrod 0.1.0\n"
    assert "agents run on" in ctl("daemon-reexec").out
    assert ctl("shutdown", "--keep-agents").out == "maestrod ends; agents run on\n"


def test_version_shows_what_the_operator_should_know(served: Served, ctl: Ctl) -> None:
    served.service.notices = ("the store cannot be written: no space", "plugin bell is set aside")
    assert ctl("version").out.splitlines()[2:] == [
        "Note: the store cannot be written: no space",
        "Note: plugin bell is set aside",
    ]
    assert json.loads(ctl("version", "-o", "json").out)["notices"] == list(served.service.notices)


def test_a_long_action_does_not_push_the_results_of_others_away(served: Served, ctl: Ctl) -> None:
    assert ctl("audit").out.splitlines() == [
        "TIME                 WHO   PID  ACTION            RESULT",
        "2026-11-21 10:05:01  root  7    start researcher  done",
    ]
    served.service.audited = "stop " + "unit " * 100
    head, line = ctl("audit").out.splitlines()
    assert len(head) < 100
    assert line.endswith("unit unit   done"), "nothing is left out"


def test_audit_says_that_its_chain_is_whole(served: Served, ctl: Ctl) -> None:
    assert ctl("audit", "--check").out.splitlines()[-1] == "every entry is as it was written"
    assert served.service.asked[-1][1] == p.Audit(check=True)
    assert ctl("audit", "--check", "-q").out.splitlines()[-1].endswith("done")


# ------------------------------------------------------------------------------------------- no daemon


def test_not_running(served: Served, ctl: Ctl) -> None:
    Path(served.path).unlink()
    said = ctl("status")
    assert said.code == 7
    assert said.err == (
        f"maestroctl: maestrod is not running with root {served.root} (no socket at {served.path})\n"
        "  start it with bin/maestrod or systemctl start maestrod\n"
    )
    assert ctl("version").code == 0


def test_errors_in_json_are_json(served: Served, ctl: Ctl) -> None:
    Path(served.path).unlink()
    said = ctl("status", "--output=json")
    assert json.loads(said.out)["error"]["code"] == "no-daemon"
    assert said.err == ""


# ------------------------------------------------------------------------------------------- real processes


def _process(*argv: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-I", "-S", FAST, *argv]
    pipe = subprocess.PIPE
    listens = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=listens, **options)


def test_the_whole_program(served: Served) -> None:
    with _process("--root", str(served.root), "status", "researcher") as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("● researcher - Reads papers\n")


@pytest.mark.parametrize("name", ["status", "is-active", "is-failed"])
def test_the_fast_path_imports_nothing_dear(served: Served, name: str) -> None:
    command = [
        sys.executable,
        "-I",
        "-S",
        "-X",
        "importtime",
        FAST,
        "--root",
        str(served.root),
        name,
        "researcher",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "maestro.cli.entry" in imported
    dear = {
        "msgspec",
        "click",
        "socket",
        "json",
        "re",
        "enum",
        "typing",
        "signal",
        "asyncio",
        "dataclasses",
        "site",
    }
    assert not imported & dear


def test_ctrl_c_says_what_goes_on(served: Served) -> None:
    served.hold(True)
    with _process("--root", str(served.root), "start", "researcher") as process:
        while not served.service.asked:
            pass
        while process.poll() is None:
            os.kill(process.pid, signal.SIGINT)
            try:
                _, err = process.communicate(timeout=1)
            except subprocess.TimeoutExpired:
                continue
    assert process.returncode == 130
    assert err in ("interrupted: job 12 goes on\n", "interrupted: what was asked goes on\n")


def test_a_closed_pipe_is_no_error(served: Served) -> None:
    served.service.text = "x" * 100_000
    with _process("--root", str(served.root), "logs", "-n", "all", "researcher") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == -signal.SIGPIPE


def test_verify_needs_no_daemon(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.agent.yaml", tmp_path / "bad.agent.yaml"
    good.write_text("agent:\n  exec: [sleep, 1d]\n")
    bad.write_text("agent:\n  exce: [sleep]\n")
    with _process("--root", str(tmp_path), "verify", str(good)) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "1 file without a problem\n", "")
    with _process("--root", str(tmp_path), "verify", str(good), str(bad)) as process:
        out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"{bad}:2:3: agent.exce: no such option (did you mean exec?)\n" in out
