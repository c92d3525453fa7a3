from __future__ import annotations

from typing import Any

import msgspec
import pytest

from maestro.cli.render.block import blocks
from maestro.cli.render.lists import event, options, pieces, reloaded, table
from maestro.cli.render.tree import tree
from maestro.cli.text import Paint, ago, clean, columns, cut, span
from maestro.control import protocol as p
from tests.control.fake import NOW, unit

PLAIN, COLOR = Paint(False), Paint(True)


def view(*units: p.UnitView, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(p.StatusView(units=units, now=NOW, **fields))
    return made


def test_a_tree_of_targets() -> None:
    units = (
        unit("default.target", fine="", cause="reached", wants=("researcher", "sub.target", "gone")),
        unit("sub.target", fine="", cause="reached", requires=("vectordb",), wants=("default.target",)),
        unit("researcher", cause="ready as pid 4711"),
        unit("vectordb", state="failed", fine="failed", cause="was killed by SIGKILL", since=NOW - 7300),
        unit(
            "worker@eu",
            state="activating",
            fine="auto-restart",
            cause="ended with exit status 1",
            next="restart",
            next_in=3.21,
        ),
        unit("idle", state="inactive", fine="dead", since=0.0),
    )
    assert (
        tree(view(*units), None, PLAIN)
        == """\
○ idle            inactive (dead)
… worker@eu       activating (auto-restart)  5 min ago  ended with exit status 1; restart in 3.2 s
● default.target  active                     5 min ago  reached
├─● researcher    active (running)           5 min ago  ready as pid 4711
└─● sub.target    active                     5 min ago  reached
  └─× vectordb    failed                     2 h ago    was killed by SIGKILL
"""
    )


def test_a_tree_ends_with_problems_and_notices() -> None:
    problem = p.ProblemView(
        path="/u/broken.agent.yaml",
        line=3,
        column=5,
        option="agent.exce",
        message="no such option",
        hint="exec?",
    )
    broken = unit("broken", state="inactive", fine="dead", load="bad", since=0.0, problems=(problem,))
    assert (
        tree(view(broken, notices=("the store cannot be written",)), None, PLAIN)
        == """\
× broken  does not load

1 unit does not load:
  /u/broken.agent.yaml:3:5: agent.exce: no such option (exec?)

Note: the store cannot be written
"""
    )


def test_a_tree_is_cut_at_the_edge_of_the_terminal() -> None:
    picture = tree(view(unit("a", cause="x" * 100)), 50, PLAIN)
    assert max(len(line) for line in picture.splitlines()) == 50
    assert picture.rstrip().endswith("…")


def test_colours_do_not_move_columns() -> None:
    units = (unit("a", cause="ready"), unit("longer", state="failed", fine="failed", cause="bad"))
    assert clean_of_colours(tree(view(*units), None, COLOR)) == tree(view(*units), None, PLAIN)
    assert "\x1b[32m●\x1b[0m a" in tree(view(*units), None, COLOR)
    assert (
        clean_of_colours(table(view(*units), None, COLOR)).split() == table(view(*units), None, PLAIN).split()
    )


def clean_of_colours(text: str) -> str:
    return "".join(clean(line).rstrip() + "\n" for line in text.splitlines())


def test_no_units() -> None:
    assert tree(view(), None, PLAIN) == "no units are loaded\n"


def test_a_block_has_all_that_is_known() -> None:
    known = unit(
        "researcher",
        description="Reads papers",
        path="/etc/maestro/units/researcher.agent.yaml",
        documentation=("https://example.org/researcher", "/usr/share/doc/researcher"),
        enabled=True,
        changed=True,
        outdated={"agent.exec": "restart", "agent.umask": "restart"},
        cause="ready as pid 4711",
        agent="researcher#17",
        restarts=3,
        status="Reading\x1b[31m arXiv",
        dropped_lines=12,
    )
    assert (
        blocks(view(known), None, PLAIN)
        == """\
● researcher - Reads papers
    Loaded: /etc/maestro/units/researcher.agent.yaml (enabled)
   Warning: the file has changed; maestroctl daemon-reload reads it
   Warning: it was started without the newest agent.exec, agent.umask; maestroctl restart researcher
    Active: active (running) since 2026-11-21 10:00:01; 5 min ago
     Cause: ready as pid 4711
      Docs: https://example.org/researcher
            /usr/share/doc/researcher
  Restarts: 3
       Log: 12 lines dropped by the rate limit
  Main PID: 4711 (agent researcher#17)
    Status: "Reading arXiv"
"""
    )


def test_what_needs_a_restart_is_seen_among_all() -> None:
    web = unit("web", cause="ready as pid 4711", outdated={"agent.exec": "restart"})
    assert "ready as pid 4711; restart needed" in tree(view(web), None, PLAIN)
    assert "active (running), restart needed" in table(view(web), None, PLAIN)


def test_a_block_ends_with_processes_and_the_last_lines() -> None:
    processes = (
        (4711, 1, "python -m researcher"),
        (4712, 4711, "sh"),
        (4715, 4712, "curl"),
        (4719, 4711, "node"),
    )
    log = (
        p.LineView(unit="researcher", time=NOW, text="one", cursor=4),
        p.LineView(unit="researcher", time=0, text="two", cursor=8),
    )
    tree_of = tuple(p.ProcessView(pid=a, parent=b, command=c) for a, b, c in processes)
    picture = blocks(view(unit("researcher", processes=tree_of, log=log)), None, PLAIN)
    assert picture.endswith(
        """
  Main PID: 4711
 Processes: 4
            └─4711 python -m researcher
              ├─4712 sh
              │ └─4715 curl
              └─4719 node

2026-11-21 10:05:01  one
no time recorded     two
"""
    )


def test_a_unit_whose_file_is_gone_is_not_told_to_be_restarted() -> None:
    one = unit(
        "web", pid=0, state="inactive", load="missing", path="/u/web", outdated={"agent.exec": "restart"}
    )
    picture = blocks(view(one), None, PLAIN)
    assert "    Loaded: no file any more (/u/web is gone)\n" in picture
    assert "restart web" not in picture


def test_a_block_of_what_went_wrong() -> None:
    picture = blocks(
        view(
            unit(
                "worker@eu",
                state="activating",
                fine="auto-restart",
                pid=0,
                path="/u/worker@.agent.yaml",
                cause="ended with exit status 1, third time",
                hint="the API key has expired",
                next="restart",
                next_in=3.2,
                result="exit-code",
                log_trouble="no space left on device",
            ),
            unit(
                "web",
                state="waiting",
                fine="waiting",
                pid=0,
                load="missing",
                path="/u/web",
                blocked_by=("db",),
            ),
        ),
        None,
        PLAIN,
    )
    assert (
        picture
        == """\
… worker@eu
    Loaded: /u/worker@.agent.yaml (disabled)
    Active: activating (auto-restart) since 2026-11-21 10:00:01; 5 min ago
     Cause: ended with exit status 1, third time
      Hint: the API key has expired
      Next: restart in 3.2 s
    Result: exit-code
       Log: cannot be written: no space left on device

… web
    Loaded: no file any more (/u/web is gone); what runs goes on
    Active: waiting since 2026-11-21 10:00:01; 5 min ago
 Waits for: db
"""
    )


def test_events_and_reloads_are_sentences() -> None:
    told = p.EventView(seq=7, time=NOW, unit="web", kind="ended", words="ended with exit status 1")
    assert (
        event(msgspec.to_builtins(told), PLAIN)
        == "2026-11-21 10:05:01 #7  web: ended: ended with exit status 1"
    )
    problem = p.ProblemView(path="/u/a", line=1, column=2, option="", message="no")
    found = p.ReloadView(units=2, changed=("a", "b"), problems=(problem,))
    assert (
        reloaded(msgspec.to_builtins(found), PLAIN)
        == "2 units loaded; changed: a, b\n1 problem:\n  /u/a:1:2: no\n"
    )
    lacking = p.ReloadView(units=2, warnings=(problem,))
    assert reloaded(msgspec.to_builtins(lacking), PLAIN) == "2 units loaded\n1 warning:\n  /u/a:1:2: no\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (7500, "2 h 5 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_spans(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "now"), (-5, "now"), (1, "1 s ago"), (119, "1 min ago"), (7200, "2 h ago"), (200000, "2 d ago")],
)
def test_ago(seconds: float, words: str) -> None:
    assert ago(1e9 - seconds, 1e9) == words


def test_what_an_agent_wrote_does_not_reach_the_terminal_raw() -> None:
    assert clean("plain – text") == "plain – text"
    assert clean("a\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b]8;;http://x\x1b\\b") == "aredb"
    assert clean("a\tb\nc\x00\x9b") == "a\tb\\x0ac\\x00\\x9b"


def test_columns_and_cutting() -> None:
    assert columns([]) == []
    assert columns([("a", "b"), ("ccc", "d")]) == ["a    b", "ccc  d"]
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"


def test_several_units_are_shown_one_after_the_other() -> None:
    made = [p.ShowView(name=name, options={"agent.exec": []}, origins={}) for name in ("a", "b")]
    shown: list[dict[str, Any]] = [msgspec.to_builtins(one) for one in made]
    assert options(shown[:1], PLAIN) == "agent.exec = []\n"
    assert options(shown, PLAIN) == "a\nagent.exec = []\n\nb\nagent.exec = []\n"
    files: list[dict[str, Any]] = [
        {"name": "a", "pieces": [("/u/a", "x: y")]},
        {"name": "default.target", "pieces": []},
    ]
    assert pieces(files, PLAIN) == "# /u/a\nx: y\n\n# default.target has no file\n"
