"""Names of units and files; escaping, judged by systemd where it is installed."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maestro.model.names import escape, split, split_file, unescape
from maestro.model.plain import Mistake

ESCAPE = shutil.which("systemd-escape")


@pytest.mark.parametrize(
    ("text", "prefix", "instance", "kind", "full", "file"),
    [
        ("db", "db", None, "agent", "db", "db.agent.yaml"),
        ("db.agent", "db", None, "agent", "db", "db.agent.yaml"),
        ("a.b", "a.b", None, "agent", "a.b", "a.b.agent.yaml"),
        ("worker@eu", "worker", "eu", "agent", "worker@eu", "worker@eu.agent.yaml"),
        ("worker@", "worker", "", "agent", "worker@", "worker@.agent.yaml"),
        ("w@a@b", "w", "a@b", "agent", "w@a@b", "w@a@b.agent.yaml"),
        ("default.target", "default", None, "target", "default.target", "default.target.yaml"),
        (r"w@a\x20b:c_-", "w", r"a\x20b:c_-", "agent", r"w@a\x20b:c_-", r"w@a\x20b:c_-.agent.yaml"),
    ],
)
def test_split(text: str, prefix: str, instance: str | None, kind: str, full: str, file: str) -> None:
    name = split(text)
    assert (name.prefix, name.instance, name.kind, name.full, name.file) == (
        prefix,
        instance,
        kind,
        full,
        file,
    )
    assert split(name.full) == name
    assert split_file(name.file) == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        (".", "directory"),
        ("..", "directory"),
        (".hidden", "begins with"),
        ("-x", "begins with"),
        ("a/b", "contains '/'"),
        ("../../etc/passwd", "begins with"),
        ("a\0b", "U\\+0000"),
        ("a\nb", "U\\+000A"),
        ("a b", "contains ' '"),
        ("ünit", "contains 'ü'"),
        ("a#1", "contains '#'"),
        ("@x", "before the '@'"),
        ("x" * 201, "201 characters"),
        ("db.service", "only systemd has"),
        ("tick.timer", "not supported yet"),
        ("db.agent.yaml", "is a file"),
        ("a.target.agent", "may not end in"),
        (".agent", "begins with"),
        ("%i", "contains '%'"),
    ],
)
def test_wrong_names(text: str, said: str) -> None:
    with pytest.raises(Mistake, match=said):
        split(text)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("a.yaml", "what kind"),
        ("a.timer.yaml", "not supported yet"),
        ("a--b.slice.yaml", "a dash has nothing on one side"),
        ("a-.slice.yaml", "a dash has nothing on one side"),
        ("a.service.yaml", "only systemd"),
        ("a.foo.yaml", "not supported yet"),
        ("a.agent.yml", "not the name of a unit file"),
        ("README", "not the name of a unit file"),
        ("@.agent.yaml", "before the '@'"),
        ("a/b.agent.yaml", "contains '/'"),
        ("x.target.agent.yaml", "may not end in"),
    ],
)
def test_wrong_files(file: str, said: str) -> None:
    with pytest.raises(Mistake, match=said):
        split_file(file)


def test_templates_and_instances() -> None:
    assert split("w@").is_template
    assert split("w@").template is None
    assert split("w@1").template == split("w@")
    assert split("w").template is None
    assert split("w@").with_instance("2").full == "w@2"


@given(st.text())
def test_any_text_is_a_name_or_a_mistake(text: str) -> None:
    said: list[str] = []
    for parse in (split, split_file):
        try:
            name = parse(text)
        except Mistake as mistake:
            said.append(str(mistake))
            continue
        assert split(name.full) == name
        assert "/" not in name.full
        assert len(name.file) < 256
    assert all(message and message.isprintable() for message in said)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_escaped_comes_back(text: str) -> None:
    assert unescape(escape(text)) == text


@pytest.mark.parametrize("text", [r"a\x", r"a\b", r"\x0", r"\x00", r"\xff"])
def test_wrong_escapes(text: str) -> None:
    with pytest.raises(Mistake):
        unescape(text)


NAMED = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), min_size=1, max_size=20)
ESCAPES = st.lists(
    st.sampled_from(["a", "-", "\\", "\\x2d", "\\x5c", "\\xc3\\xa9", "\\x2", ".", "@", "é", ":"]), min_size=1
).map("".join)


def run(*arguments: str) -> str | None:
    assert ESCAPE is not None
    ran = subprocess.run([ESCAPE, *arguments], capture_output=True, check=False)
    return ran.stdout.decode("utf-8").removesuffix("\n") if ran.returncode == 0 else None


@pytest.mark.skipif(ESCAPE is None, reason="systemd-escape is not installed")
@settings(max_examples=150, deadline=None, database=None)
@given(NAMED)
def test_escape_as_systemd(text: str) -> None:
    assert run("--", text) == escape(text)


@pytest.mark.skipif(ESCAPE is None, reason="systemd-escape is not installed")
@settings(max_examples=150, deadline=None, database=None)
@given(ESCAPES)
def test_unescape_as_systemd(text: str) -> None:
    try:
        ours: str | None = unescape(text)
    except Mistake:
        ours = None
    assert run("--unescape", "--", text) == ours
