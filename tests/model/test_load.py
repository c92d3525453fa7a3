# ruff: noqa: E501 -- messages are compared whole
"""Unit files to units: all problems at once, checks between options, specifiers, sections of plugins."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Struct

from maestro.model import names
from maestro.model.load import Loaded, Settings, dump, load, load_text
from maestro.model.option import option
from maestro.model.reading import dotted
from maestro.model.specifiers import TABLE, Specifiers
from maestro.model.unit import Unit
from maestro.model.values import Seconds

GOOD = """\
# A comment.
unit:
  description: Reads papers, writes summaries
  requires: [vectordb]
  after: vectordb.agent
agent:
  exec: [/opt/researcher/bin/python, -m, researcher, --name, "%n"]
  type: notify
  user: researcher
  watchdog: 30s
  umask: 0027
  environment: {PORT: 8080, VERSION: 1.10, DEBUG: true, MODE: "0022"}
  restart: {policy: on-failure, delay: 1s, max_delay: 5min}
  stop: {sequence: [TERM 30s, KILL]}
health:
  readiness: {http: "http://127.0.0.1:8080/ready"}
logs: {max_size: 32M}
install: {wanted_by: [default.target]}
"""
HOST = Specifiers(
    runtime="/run/m", state="/var/lib/m", logs="/var/log/m", host="box", user="me", uid=7, home="/home/me",
    machine_id="1234", boot_id="5678", kernel="6.1", group="us", gid=8, shell="/bin/zsh",
)  # fmt: skip


def of(text: str, file: str = "researcher.agent.yaml", **more: Any) -> Loaded:
    return load_text(file, text.encode(), file, Settings(specifiers=HOST, **more))


def unit_of(text: str, file: str = "researcher.agent.yaml", **more: Any) -> Unit:
    loaded = of(text, file, **more)
    assert loaded.unit is not None, "\n".join(map(str, loaded.problems))
    return loaded.unit


def said(text: str, file: str = "x.agent.yaml") -> list[str]:
    return [str(problem).removeprefix(f"{file}:") for problem in of(text, file).problems]


def test_a_good_file() -> None:
    unit = unit_of(GOOD)
    assert unit.name == "researcher"
    assert unit.unit.requires == ("vectordb",)
    assert unit.unit.after == ("vectordb",)
    assert unit.agent is not None
    assert unit.agent.exec[-1] == "researcher"
    assert unit.agent.umask == "0027"
    assert dict(unit.agent.environment) == {
        "PORT": "8080",
        "VERSION": "1.10",
        "DEBUG": "true",
        "MODE": "0022",
    }
    assert unit.agent.restart.max_delay == Seconds("5min")
    assert (unit.origins["agent.restart.delay"].line, unit.origins["agent.restart.delay"].column) == (13, 33)


BAD = """\
unit:
  descripton: x
  requires: [ok, b/c, ../x, db.service, worker@, tick.timer]
agnt: {}
agent:
  exec: "foo 'bar"
  delay: 5s
  type: nottify
  restart: {policy: no, delay: 5 parsecs, max_delay: [1], Restart: 1, factor: 0.5}
  stop: {sequence: [TERMINATE 5s], grace: 5s}
  environment: {1A: b, OK: "%z", L: []}
  ExecStart: x
  watchdog:
  logs: {max_size: 5MB}
health:
  readiness: {http: "https://x", log: "(", successes: many, timeouts: 3s}
logs: {max_size: 5MB, max_files: 0}
install: default.target
llm: {models: [small]}
logs: 5
"""
BAD_LINES = r"""
2:3: unit.descripton: no such option (did you mean description?)
3:18: unit.requires[1]: the name 'b/c' contains '/' (allowed are letters, digits and :_.\@-; `systemd-escape` writes other characters as \xHH)
3:23: unit.requires[2]: the name '../x' begins with '.' (begin it with a letter or a digit)
3:29: unit.requires[3]: 'db.service' is a kind of unit that only systemd has (an agent goes by its bare name: db)
3:41: unit.requires[4]: 'worker@' is a template, not a unit (name an instance: worker@1)
3:50: unit.requires[5]: kind 'timer' is not supported yet by this version (it knows agent, target and slice)
4:1: agnt: no such section (did you mean agent?)
6:9: agent.exec: a quote ' is never closed (close it, or write \')
7:3: agent.delay: no such option (belongs under agent.restart)
8:9: agent.type: 'nottify' is not one of simple, exec, notify, notify-reload, forking, oneshot (did you mean notify?)
9:32: agent.restart.delay: '5 parsecs' is not a duration (write a duration such as 30s, 1min 30s or 500ms)
9:54: agent.restart.max_delay: expected a duration such as 30s, 1min 30s or infinity, found a list
9:59: agent.restart.Restart: no such option (belongs under agent, as restart)
9:79: agent.restart.factor: 0.5 is too small: it is 1.0 or more
10:21: agent.stop.sequence[0]: there is no signal 'TERMINATE' (write a name such as TERM or USR1, or a number)
10:36: agent.stop.grace: no such option
11:17: agent.environment.1A: '1A' cannot be the name of a variable (use letters, digits and _, and no digit first)
11:28: agent.environment.OK: there is no specifier '%z' (write %% for a percent sign)
11:37: agent.environment.L: expected a text or a number, found a list (quote the value)
12:3: agent.ExecStart: no such option (did you mean exec?)
14:3: agent.logs: no such option (belongs at the top level)
16:21: health.readiness.http: https is not supported yet by this version (ask over http://, or with `exec` and curl)
16:39: health.readiness.log: '(' is not a regular expression: missing ), unterminated subpattern at position 0
16:55: health.readiness.successes: expected a whole number, found 'many'
16:61: health.readiness.timeouts: no such option (did you mean timeout?)
17:18: logs.max_size: '5MB' is not a size (did you mean 5M?)
17:34: logs.max_files: 0 is too small: it is 1 or more
18:10: install: expected options, found 'default.target' (write NAME: VALUE lines, indented)
19:1: llm: no such section (not supported yet by this version)
20:1: the key 'logs' is given twice, first in line 17 (keep one of the two)
"""


def test_all_problems_at_once() -> None:
    assert said(BAD) == BAD_LINES.strip().split(
        "\n"
    )  # `watchdog:` with nothing is fine: nothing is its default
    assert of(BAD).unit is None


EXEC = "agent:\n  exec: [a]\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "1:1: agent.exec: missing (write the command, such as [/usr/bin/python3, agent.py])"),
        ("agent:\n  user: x", "1:1: agent.exec: missing (write the command, such as [/usr/bin/python3, agent.py])"),
        ("agent:\n  exec: []", "2:9: agent.exec: empty (write the command, such as [/usr/bin/python3, agent.py])"),
        ("agent:\n  exec: ''", "2:9: agent.exec: empty (write the command, such as [/usr/bin/python3, agent.py])"),
        ("- a", "1:1: expected sections, found a list (begin with `agent:`)"),
        (EXEC + "health: {readiness: {interval: 1s}}", "3:21: health.readiness: asks nothing (write one of exec, http, tcp, unix, log)"),
        (EXEC + "health: {readiness: {tcp: 'a:1', log: x}}", "3:21: health.readiness: has both tcp and log (keep one)"),
        (EXEC + "health: {readiness: {tcp: 8080}}", "3:27: health.readiness.tcp: '8080' is not HOST:PORT (write it as 127.0.0.1:8080 or [::1]:8080)"),
        (EXEC + "health: {readiness: {unix: a}}", "3:28: health.readiness.unix: 'a' is not a socket's path (write a path that begins with /, or @NAME for an abstract socket)"),
        (EXEC + "health: {readiness: {exec: []}}", "3:28: health.readiness.exec: empty (write the command)"),
        (EXEC + "  type: oneshot\n  restart: {policy: always}", "4:21: agent.restart.policy: a oneshot that ended well is done: it may not be restarted with always (write on-failure, or another type)"),
        (EXEC + "  exec_more: [b, '']\n  type: oneshot", "3:18: agent.exec_more[1]: empty (write the command)"),
        (EXEC + "  exec_more: [b]", "3:14: agent.exec_more: only a oneshot runs one command after the other; this one is exec (write type: oneshot, or exec_start_pre for what comes before the process)"),
        (EXEC + "  type: oneshot\n  exec_more: b\nhealth: {readiness: {unix: /a}}", "5:21: health.readiness: given beside exec_more: nobody could tell which of the commands it asks about (leave it out)"),
        (EXEC + "  watchdog: 5s", "3:13: agent.watchdog: only agents of type notify send WATCHDOG=1; this one is exec (write type: notify, or leave watchdog out)"),
        (EXEC + "  restart: {delay: 2min}", "3:20: agent.restart.delay: max_delay (1min) is shorter than delay (2min) (raise max_delay)"),
        (EXEC + "  restart: {delay: 2s, max_delay: 1s}", "3:35: agent.restart.max_delay: max_delay (1s) is shorter than delay (2s) (raise max_delay)"),
        (EXEC + "  stop: {sequence: [KILL, TERM]}", "3:20: agent.stop.sequence: nothing can follow KILL (make KILL the last step)"),
        (EXEC + "  pid_file: /run/x", "3:13: agent.pid_file: only agents of type forking have a pid_file; this one is exec (write type: forking, or leave it out)"),
        (EXEC + "  type: forking\n  pid_file: x", "4:13: agent.pid_file: 'x' is not absolute (begin it with /)"),
        (EXEC + "  exec_stop: [/bin/a, []]", "3:23: agent.exec_stop[1]: empty (write the command)"),
        (EXEC + "  exec_reload: a\n  type: notify-reload", "3:16: agent.exec_reload: type notify-reload is reloaded by its signal, not by commands (leave exec_reload out: the signal is sent by Maestro)"),
        (EXEC + "  exec_reload: a\n  reload_signal: HUP", "3:16: agent.exec_reload: given beside reload_signal (leave exec_reload out: the signal is sent by Maestro)"),
        (EXEC + "  runtime_max: 0", "3:16: agent.runtime_max: must be more than 0"),
        (EXEC + "  reload_signal: KILL", "3:18: agent.reload_signal: KILL cannot be caught by a program (HUP is usual)"),
        (EXEC + "  working_directory: x", "3:22: agent.working_directory: 'x' is not absolute (begin it with /, or write ~)"),
        (EXEC + "  environment_file: [/a, -b]", "3:26: agent.environment_file[1]: '-b' is not absolute (begin it with /, or with -/)"),
        (EXEC + "  start_timeout: 0", "3:18: agent.start_timeout: must be more than 0 (write infinity for no limit)"),
        (EXEC + "  restart: {delay: infinity, max_delay: infinity}", "3:20: agent.restart.delay: must have an end (leave it out, or write a time)"),
        (EXEC + "  umask: 99", "3:10: agent.umask: '99' does not have the form [0-7]{1,4}"),
        (EXEC + "unit: {requires: x}", "3:18: unit.requires: x names itself (leave it out)"),
        (EXEC + "unit: {after: [a, x.agent]}", "3:15: unit.after: x names itself (leave it out)"),
        (EXEC + "install: {wanted_by: db}", "3:22: install.wanted_by: db is not a target (default.target is usual)"),
        (EXEC + "install: {default_instance: a}", "3:29: install.default_instance: only a template has instances (leave it out)"),
        (EXEC + "unit: {description: 50% done}", "3:21: unit.description: there is no specifier '% ' (write %% for a percent sign)"),
        (EXEC + "unit: {description: 50%}", "3:21: unit.description: there is no specifier '%' (write %% for a percent sign)"),
        (EXEC + "unit: {requires: [%i]}", "3:19: not YAML: while scanning for the next token, found character that cannot start any token (quote a value that begins with one of %@`)"),
        (EXEC + "<<: {a: b}", "3:1: '<<': no such section (merge keys are not supported: write the options out)"),
        (EXEC + "exec: b", "3:1: exec: no such section (belongs under agent or under health.readiness)"),
        (EXEC + "max_delya: b", "3:1: max_delya: no such section (did you mean agent.restart.max_delay?)"),
        (EXEC + "zzzz: b", "3:1: zzzz: no such section (there are unit, condition, assert, agent, resources, sandbox, health, logs, budget, install)"),
        (EXEC + "logs: {max_files: true}", "3:19: logs.max_files: expected a whole number, found true"),
        (EXEC + "logs: {max_files: 99999999999999999999}", "3:19: logs.max_files: 99999999999999999999 is too large"),
        (EXEC + "  restart: {factor: .inf}", "3:21: agent.restart.factor: expected a number, found .inf"),
        (EXEC + "  restart: {policy: false}", "3:21: agent.restart.policy: 'false' is not one of no, always, on-success, on-failure, on-abnormal, on-abort, on-watchdog"),
        (EXEC + "  type: [a]", "3:9: agent.type: expected one of simple, exec, notify, notify-reload, forking, oneshot, found a list"),
        (EXEC + "  user: [a]", "3:9: agent.user: expected the name or number of a user or group, found a list"),
        (EXEC + "  type:", "3:8: agent.type: nothing is given (write a value, or leave the line out)"),
        (EXEC + "unit: {wants: }", "3:15: unit.wants: nothing is given (write a value, or leave the line out)"),
        (EXEC + 'unit: {description: "a\\0"}', "3:21: a value may not contain a NUL character"),
    ],
)  # fmt: skip
def test_one_problem(text: str, line: str) -> None:
    assert said(text) == [line]


@pytest.mark.parametrize("instance", ["''", "a/b", "a b"])
def test_a_default_instance_must_make_a_name(instance: str) -> None:
    text = f"agent: {{exec: x}}\ninstall: {{default_instance: {instance}}}\n"
    [problem] = load_text("w@.agent.yaml", text.encode(), "").problems
    assert problem.option == "install.default_instance"
    assert problem.message.startswith("no instance can have this name: ")


def test_what_could_not_be_read_is_not_checked() -> None:
    text = "agent:\n  exec: [a, %]\n  type: nope\n  watchdog: 5s\n  restart: {delay: x, max_delay: 0}\n"
    assert [line.split(": ")[1] for line in said(text.replace("%]", "'%z']"))] == [
        "agent.exec[1]", "agent.type", "agent.restart.delay",
    ]  # fmt: skip


def test_empty_sections_are_fine() -> None:
    assert unit_of(EXEC + "unit:\nlogs:\nhealth:\n  readiness:\n").health.readiness is None


def test_kill_is_always_last() -> None:
    agent = unit_of(EXEC + "  stop: {sequence: TERM 5s, kill_mode: process}").agent
    assert agent is not None
    assert agent.stop.sequence == ("TERM 5s", "KILL 10s")
    agent = unit_of(EXEC + "  stop: {sequence: []}").agent
    assert agent is not None
    assert agent.stop.sequence == ("KILL 10s",)


def test_targets() -> None:
    unit = unit_of("unit: {wants: [a, b, a]}", "default.target.yaml")
    assert (unit.name, unit.kind, unit.agent, unit.unit.wants) == (
        "default.target",
        "target",
        None,
        ("a", "b"),
    )
    assert said("agent: {exec: a}", "x.target.yaml") == [
        "1:1: agent: no such section (there are unit, condition, assert, install)"
    ]
    assert unit_of("", "x.target.yaml").unit.wants == ()


@pytest.mark.parametrize(
    ("file", "word"),
    [
        ("x.timer.yaml", "not supported yet"),
        ("x.yaml", "what kind"),
        ("x.agent.yml", "not the name"),
        ("a b.agent.yaml", "contains ' '"),
    ],
)
def test_files_of_other_names(file: str, word: str) -> None:
    (problem,) = load_text(file, b"", file).problems
    assert word in problem.message


def test_specifiers() -> None:
    keys = "".join(f"    V{number}: '%{row.letter}'\n" for number, row in enumerate(TABLE))
    unit = unit_of(EXEC + "  environment:\n" + keys, r"my\x2dworker@a-b\x20c.agent.yaml")
    assert unit.agent is not None
    found = {row.letter: unit.agent.environment[f"V{number}"] for number, row in enumerate(TABLE)}
    name = r"my\x2dworker@a-b\x20c"
    assert found == {
        "n": name, "N": name, "p": r"my\x2dworker", "P": "my-worker", "i": r"a-b\x20c", "I": "a/b c",
        "j": r"my\x2dworker", "J": "my-worker", "f": "/a/b c", "y": f"{name}.agent.yaml", "Y": ".", "C": "/var/cache",
        "E": "/etc", "T": "/tmp", "V": "/var/tmp", "l": "box", "m": "1234", "b": "5678", "v": "6.1", "g": "us", "G": "8",
        "d": f"/run/maestro/credentials/{name}", "s": "/bin/zsh", "t": "/run/m", "S": "/var/lib/m", "L": "/var/log/m", "H": "box", "u": "me", "U": "7", "h": "/home/me", "%": "%",
    }  # fmt: skip
    assert unit_of("unit: {description: '%n|%N'}", "d.target.yaml").unit.description == "d.target|d"


def test_specifiers_everywhere() -> None:
    text = """
unit: {description: "%i", requires: ["db@%i"], documentation: "file:%h"}
agent:
  exec: "run '%i x' %%"
  working_directory: "%S/%i"
  environment_file: ["-%t/%i.env"]
  user: "u-%i"
health: {readiness: {http: "http://127.0.0.1:80%i/%%20"}}
install: {wanted_by: ["t-%i.target"]}
"""
    unit = unit_of(text, "w@01.agent.yaml")
    assert unit.agent is not None
    assert unit.health.readiness is not None
    assert unit.unit.requires == ("db@01",)
    assert unit.unit.documentation == ("file:/home/me",)
    assert unit.agent.exec == ("run", "01 x", "%")
    assert (unit.agent.working_directory, unit.agent.environment_file) == (
        "/var/lib/m/01",
        ("-/run/m/01.env",),
    )
    assert (unit.agent.user, unit.health.readiness.http) == ("u-01", "http://127.0.0.1:8001/%20")
    assert unit.install.wanted_by == ("t-01.target",)


def test_an_instance_that_cannot_be_unescaped() -> None:
    assert "begins no escape" in said(EXEC + "unit: {description: '%I'}", r"w@a\b.agent.yaml")[0]


class Extra(Struct, frozen=True, kw_only=True):
    """What a plugin brings."""

    level: int = option(doc="How much.", at_least=1, at_most=3)
    every: Seconds = option(Seconds(5), "How often.")
    loud: bool = option(False, "Whether it is loud.")


def test_sections_of_plugins() -> None:
    sections = {"extra": Extra}
    unit = unit_of(EXEC + "extra: {level: 2, every: 1min}", sections=sections)
    assert unit.plugins == {"extra": Extra(level=2, every=Seconds(60))}
    assert unit.origins["extra.level"].line == 3
    assert [
        str(p).split(": ", 1)[1] for p in of(EXEC + "extra: {every: x, levle: 1}", sections=sections).problems
    ] == [
        "extra.level: missing (it must be given: How much.)",
        "extra.every: 'x' is not a duration (write a duration such as 30s, 1min 30s or 500ms)",
        "extra.levle: no such option (did you mean level?)",
    ]
    assert "4 is too large: it is 3 or less" in str(
        of(EXEC + "extra: {level: 4}", sections=sections).problems[0]
    )
    assert "yes and no are texts" in str(
        of(EXEC + "extra: {level: 1, loud: yes}", sections=sections).problems[0]
    )
    assert unit_of(EXEC, sections=sections).plugins == {}
    back = load(names.split("researcher"), dump(unit), {}, "", Settings(None, sections)).unit
    assert back is not None
    assert back.plugins == unit.plugins


def test_a_thousand_unknown_keys_do_not_take_long() -> None:
    text = "".join(f"key{number}abcdefgh: 1\n" for number in range(4000))
    assert len(of(text).problems) == 100


def test_dotted() -> None:
    assert dotted(("agent", "exec", 1)) == "agent.exec[1]"
    assert dotted(("a b\n",)) == r"'a b\n'"


def test_a_specifier_of_systemds_that_means_nothing_here_says_why() -> None:
    (problem,) = load_text("w.agent.yaml", b"unit: {description: '%D/key'}\nagent: {exec: [a]}", "f").problems
    assert problem.message == "systemd's specifier '%D' means nothing here: Maestro has no such directory"


def test_what_is_not_known_of_the_host_is_a_problem() -> None:
    (problem,) = load_text("w.agent.yaml", b"unit: {description: '%m'}\nagent: {exec: [a]}", "f").problems
    assert problem.message == "the machine id of this host is not known"
