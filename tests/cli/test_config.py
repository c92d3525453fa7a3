"""maestroctl config, and the reason of a daemon-reload."""

from __future__ import annotations

import json

import pytest

from maestro.control import protocol as p
from maestro.control.configuring import DiffView, GenerationDiff, GenerationFiles, Generations, GenerationView
from tests.cli.conftest import Ctl
from tests.control.fake import Served

FIRST = GenerationView(
    number=1, in_force=False, time=1_795_255_501.0, author="maestrod", reason="the first", files=2, added=("/u/a", "/u/b")
)  # fmt: skip
SECOND = GenerationView(
    number=2,
    in_force=True,
    time=1_795_255_561.0,
    author="uid 0",
    reason="more\x1b[2J",
    files=400,
    changed=("/u/a",),
    unnamed=300,
)


def test_a_line_for_each_generation(served: Served, ctl: Ctl) -> None:
    served.service.history = (SECOND, FIRST)
    lines = [
        "   NUMBER  TIME                 AUTHOR    FILES  CHANGES                 REASON",
        "*  2       2026-11-21 10:06:01  uid 0     400    1 changed and 300 more  more",
        "   1       2026-11-21 10:05:01  maestrod  2      2 added                 the first",
    ]
    assert ctl("config").out.splitlines() == ctl("config", "list").out.splitlines() == lines
    assert ctl("config", "list", "-n", "7").code == 0
    assert served.service.asked[-1][1] == Generations(lines=7)
    assert [one["number"] for one in json.loads(ctl("config", "-o", "json").out)["items"]] == [2, 1]


def test_the_files_of_one(served: Served, ctl: Ctl) -> None:
    served.service.text = "agent: {exec: a}\n"
    assert ctl("config", "show", "3").out == "# /units/researcher.agent.yaml\nagent: {exec: a}\n"
    assert served.service.asked[-1][1] == GenerationFiles(number=3)
    assert ctl("config", "show").code == 0
    assert served.service.asked[-1][1] == GenerationFiles()


def test_what_is_different(served: Served, ctl: Ctl) -> None:
    assert ctl("config", "diff", "1").out == "nothing is different\n"
    assert served.service.asked[-1][1] == GenerationDiff(before=1)
    served.service.differences = (DiffView(path="/u/a", change="changed", lines=("@@ -1 +1 @@", "-a", "+b")),)
    assert ctl("config", "diff", "1", "2").out == "changed: /u/a\n@@ -1 +1 @@\n-a\n+b\n"
    assert served.service.asked[-1][1] == GenerationDiff(before=1, after=2)


@pytest.mark.parametrize(
    "words", [("list", "1"), ("show", "x"), ("show", "0"), ("show", "1", "2"), ("diff",), ("diff", "1", "2", "3"), ("foo",)]
)  # fmt: skip
def test_what_cannot_be_done_is_said_with_what_can(ctl: Ctl, words: tuple[str, ...]) -> None:
    said = ctl("config", *words)
    assert said.code == 2
    assert "maestroctl config list, config show [N], or config diff A [B]" in said.err


def test_a_reload_may_have_a_reason(served: Served, ctl: Ctl) -> None:
    assert ctl("daemon-reload").code == 0
    assert served.service.asked[-1][1] == p.DaemonReload()
    assert ctl("daemon-reload", "-m", "new prompts").code == 0
    assert served.service.asked[-1][1] == p.DaemonReload(reason="new prompts")
