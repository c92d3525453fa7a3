"""The first-party plugin: what it makes of last words, and which reports it keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import maestro_postmortem
from maestro.hooks import EndNotice, EventNotice, Places
from maestro.model.load import Settings, load_text
from maestro_postmortem import Postmortem, maestro_begin, maestro_event, maestro_explain_end, maestro_sections


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    maestro_begin(places=Places(state=str(tmp_path / "reports")))
    yield tmp_path / "reports"
    maestro_postmortem._places.clear()


def explain(*lines: str, code: int | None = 1, signal: int | None = None) -> str | None:
    return maestro_explain_end(EndNotice(unit="web", command=("web",), code=code, signal=signal, log=lines))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "ModuleNotFoundError: No module named 'torch.nn'",
            "Python found no module torch.nn: is it installed in the environment that `exec` uses?",
        ),
        (
            "/usr/bin/python3: Error while finding module: ModuleNotFoundError: No module named x",
            "Python found no module x: is it installed in the environment that `exec` uses?",
        ),
        ("SyntaxError: invalid syntax", "its Python code does not load: invalid syntax"),
        (
            "OSError: [Errno 98] Address already in use",
            "another process holds the address it wants to listen on",
        ),
        (
            "Error: listen EADDRINUSE: address already in use 127.0.0.1:1",
            "another process holds the address it wants to listen on",
        ),
        (
            "ConnectionRefusedError: [Errno 111] Connection refused",
            "something it needs refused the connection",
        ),
        (
            "Error: connect ECONNREFUSED 127.0.0.1:6379",
            "something it needs refused the connection 127.0.0.1:6379",
        ),
        ("MemoryError", "it ran out of memory"),
        (
            "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
            "it ran out of memory",
        ),
        ("openai.AuthenticationError: Error code: 401", "the provider did not accept its credentials"),
        ("HTTP/1.1 429 Too Many Requests", "the provider's rate limit was hit"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("PermissionError: [Errno 13] Permission denied: '/srv/x'", "it may not open /srv/x"),
        ("sh: 1: ./run: Permission denied", "it lacks a permission"),
        (
            "httpx.ReadTimeoutError: it took {too} long",
            "it raised httpx.ReadTimeoutError: it took {too} long",
        ),
        ("ValueError: 3", "it raised ValueError: 3"),
    ],
)
def test_last_words_are_explained(line: str, sentence: str) -> None:
    assert explain("starting", line) == sentence


def test_a_traceback_is_explained_by_its_last_line() -> None:
    lines = (
        "Traceback (most recent call last):",
        '  File "/x.py", line 1, in <module>',
        "    open('/etc/shadow')",
        "KeyError: 'never mind'",
        "During handling of the above exception, another exception occurred:",
        "PermissionError: [Errno 13] Permission denied: '/etc/shadow'",
    )
    assert explain(*lines) == "it may not open /etc/shadow"


def test_codes_of_the_shell_are_explained_when_nothing_was_said() -> None:
    assert explain("hello", code=127) == "a command that it called was not found"
    assert explain(code=126) == "the command could not be executed"
    assert explain("hello", code=1) is None
    assert explain(code=None, signal=9) is None


# ------------------------------------------------------------------------------------------- reports


def event(seq: int, kind: str = "failed", section: Postmortem | None = None, lines: int = 30) -> EventNotice:
    log = tuple(f"line {number}" for number in range(lines))
    return EventNotice(
        seq=seq, time=1e9 + seq, unit="web", kind=kind, words="ended with 1", state="failed", agent="web#1",
        section=section, log=log,
    )  # fmt: skip


def reports(folder: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "web").iterdir())]


@pytest.mark.parametrize("kind", ["failed", "gave-up"])
def test_an_end_that_needs_a_person_is_reported(place: Path, kind: str) -> None:
    maestro_event(event(7, kind))
    [report] = reports(place)
    assert report["log"] == [f"line {number}" for number in range(10, 30)]
    assert (report["unit"], report["agent"], report["event"], report["cause"]) == (
        "web",
        "web#1",
        kind,
        "ended with 1",
    )
    assert report["time"] == 1e9 + 7


@pytest.mark.parametrize("kind", ["ready", "restart-scheduled", "completed", "stopped", "job"])
def test_nothing_else_is(place: Path, kind: str) -> None:
    maestro_event(event(7, kind))
    assert not place.exists()


def test_nothing_is_written_before_there_is_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    maestro_event(event(1))
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_reports_go_first(place: Path) -> None:
    for seq in range(1, 13):
        maestro_event(event(seq, section=Postmortem(keep=3, lines=1)))
    assert [report["time"] for report in reports(place)] == [1e9 + 10, 1e9 + 11, 1e9 + 12]


def test_numbers_that_begin_anew_do_not_cost_the_new_reports(place: Path) -> None:
    """After the store was lost, events count from 1 again."""
    for seq, time in ((9000, 1.0), (9001, 2.0), (1, 100.0), (2, 101.0)):
        notice = event(seq, section=Postmortem(keep=2))
        maestro_event(
            EventNotice(**{**{f: getattr(notice, f) for f in notice.__struct_fields__}, "time": time})
        )
    assert [report["time"] for report in reports(place)] == [100.0, 101.0]


def test_a_unit_says_where_and_how_much(place: Path, tmp_path: Path) -> None:
    maestro_event(event(1, section=Postmortem(directory=str(tmp_path / "mine"), lines=0)))
    [report] = reports(tmp_path / "mine")
    assert report["log"] == []
    assert not place.exists()


def test_its_section_is_read_like_any_other() -> None:
    settings = Settings(None, maestro_sections())
    good = load_text(
        "web.agent.yaml", b"agent: {exec: /bin/true}\npostmortem: {keep: 9, lines: 0}\n", "/x", settings
    )
    assert good.problems == ()
    assert good.unit is not None
    assert good.unit.plugins == {"postmortem": Postmortem(keep=9, lines=0)}
    bad = load_text(
        "web.agent.yaml", b"agent: {exec: /bin/true}\npostmortem: {keep: 0, lins: 1}\n", "/x", settings
    )
    assert sorted(problem.option for problem in bad.problems) == ["postmortem.keep", "postmortem.lins"]
