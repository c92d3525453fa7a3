# ruff: noqa: E501 -- messages are compared whole
"""YAML to data and marks; bombs and noise."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maestro.model.plain import Plain
from maestro.model.yaml_events import LARGEST, MOST_NODES, MOST_PROBLEMS, Parsed, core_value, parse


def said(text: str | bytes) -> list[str]:
    data = text if isinstance(text, bytes) else text.encode()
    return [str(problem) for problem in parse(data, "f").problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("no", "no"), ("yes", "yes"), ("1:30", "1:30"), ("2026-01-01", "2026-01-01"), ("1_000", "1_000"),
        ("", None), ("~", None), ("null", None), ("Null", None), ("nULL", "nULL"),
        ("true", True), ("False", False), ("tRUE", "tRUE"),
        ("014", 14), ("-7", -7), ("0o14", 12), ("0x1F", 31), ("0b1", "0b1"), ("+1", 1), ("9" * 50, "9" * 50),
        ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("5.", 5.0), (".", "."), ("1.2.3", "1.2.3"),
        (".inf", math.inf), ("-.INF", -math.inf), ("=", "="), ("<<", "<<"), ("٣", "٣"),
    ],
)  # fmt: skip
def test_core_schema(text: str, value: Plain) -> None:
    assert core_value(text) == value
    assert type(core_value(text)) is type(value)


def test_not_a_number() -> None:
    assert math.isnan(core_value(".nan"))


def test_data_and_marks() -> None:
    parsed = parse(b'a:\n  b: 010\n  "c": "010"\nl: [x, {y: z}]\n', "f")
    assert parsed.problems == ()
    assert parsed.data == {"a": {"b": 10, "c": "010"}, "l": ["x", {"y": "z"}]}
    mark = parsed.marks[("a", "b")]
    assert (mark.line, mark.column, mark.key_line, mark.key_column, mark.text) == (2, 6, 2, 3, "010")
    assert parsed.marks[("a", "c")].text == ""
    assert parsed.marks[("l", 1, "y")].column == 12


def test_quoted_words_are_texts() -> None:
    assert parse(b'[ "true", \'1\', "" ]', "f").data == ["true", "1", ""]


@pytest.mark.parametrize("text", [b"", b"# nothing\n", b"---\n", b"\xef\xbb\xbf", b"\n\n"])
def test_empty_files(text: bytes) -> None:
    assert parse(text, "f") == Parsed(None, parse(text, "f").marks, (), path="f")


def test_byte_order_mark() -> None:
    parsed = parse(b"\xef\xbb\xbfa: 1", "f")
    assert parsed.data == {"a": 1}
    assert parsed.marks[("a",)].key_column == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "f:3:1: the key 'a' is given twice, first in line 1 (keep one of the two)"),
        ("5: x", "f:1:1: the key '5' is not a text (quote it: \"5\")"),
        ("true: x", "f:1:1: the key 'true' is not a text (quote it: \"true\")"),
        ("?\n: x", "f:1:2: the key '' is not a text (write a key)"),
        ("? [a]\n: x", "f:1:3: a list or mapping cannot be a key (write a plain word)"),
        ("a: &x b\n*x : c", "f:2:1: an alias cannot be a key (write a plain word)"),
        (
            "a: !!str 5",
            "f:1:4: the tag '!!str' is not supported (leave it out; quote a value that begins with ! to make it text)",
        ),
        (
            "a: !x {}",
            "f:1:4: the tag '!x' is not supported (leave it out; quote a value that begins with ! to make it text)",
        ),
        ("[!reset b]", "f:1:2: !reset replaces an option or a section, nothing else (leave it out)"),
        ("!reset {a: b}", "f:1:1: !reset replaces an option or a section, nothing else (leave it out)"),
        ("!reset a: b", "f:1:1: a key may not have a tag (write the tag behind the colon: a: !reset)"),
        ("a: 1\n---\nb: 2", "f:2:1: a second document begins here (keep one document in a file)"),
        ("a: *x", "f:1:4: *x refers to nothing that is complete before it"),
        ("a: &x [*x]", "f:1:8: *x refers to nothing that is complete before it"),
        ('a: "b\\0c"', "f:1:4: a value may not contain a NUL character"),
        (
            "a: b\nc: d\x07e",
            'f:2:5: the control character U+0007 may not stand in the file (write "\\u0007" in double quotes)',
        ),
        ("a: \0", "f:1:4: the control character U+0000 may not stand in the file (no value may contain it)"),
        (b"a: x\nb: \xff", "f:2:4: byte 0xff is not UTF-8 (save the file as UTF-8)"),
        (b"\xff\xfea\0", "f:1:1: byte 0xff is not UTF-8 (save the file as UTF-8)"),
        (
            "a: %i",
            "f:1:4: not YAML: while scanning for the next token, found character that cannot start any token (quote a value that begins with one of %@`)",
        ),
        ("a: [1, 2\n", "f:1:9: not YAML: while parsing a flow sequence, did not find expected ',' or ']'"),
        (
            "a: b: c",
            "f:1:5: not YAML: mapping values are not allowed in this context (quote a value that contains ': ')",
        ),
        (
            "a:\n\tb: c",
            "f:2:1: not YAML: while scanning for the next token, found character that cannot start any token (indent with spaces, not with tabs)",
        ),
    ],
)
def test_wrong_files(text: str | bytes, line: str) -> None:
    assert said(text) == [line]


def test_what_is_wrong_is_all_said() -> None:
    assert len(said("a: 1\na: 2\n5: !x y\nb: {c: 1, c: {d: 1, d: 2}}\n")) == 5


def test_aliases() -> None:
    parsed = parse(b"a: &x {p: 010, q: [1]}\nb: *x\nc: [*x, *x]\nd: &s 007\ne: *s\n", "f")
    assert parsed.problems == ()
    assert parsed.data["b"] == parsed.data["c"][1] == {"p": 10, "q": [1]}
    mark = parsed.marks[("c", 1, "p")]
    assert (mark.line, mark.column, mark.text) == (3, 9, "010")
    assert parsed.marks[("e",)].text == "007"


def nines(depth: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (nines(20), "more than 10,000 values"),
        ("[" * 30_000, "nested deeper"),
        ("{a: " * 30_000, "nested deeper"),
        ("- " * 30_000, "nested deeper"),
        ("? " * 30_000, "cannot be a key"),
        ("[" * 500_000, "nested deeper"),
        ("- a\n" * 200_000, "more than 10,000 values"),
        ("x" * (10 << 20), "10,485,760 bytes: 1,048,576 are allowed"),
        ("a: &x [b]\n" + "\n".join(f"k{n}: *x" for n in range(9_000)), "more than 10,000 values"),
        ("".join(f"a: {n}\n" for n in range(4_000)), "given twice"),
        ("&a " * 100_000, "not YAML"),
        ("a" * 100_000 + ": b: c", "not YAML"),
        ('"' + "\\u0041" * 100_000, "not YAML"),
        ("[" + "{}," * 300_000, "more than 10,000 values"),
    ],
)  # fmt: skip
def test_bombs(text: str, word: str) -> None:
    began = time.perf_counter()
    problems = parse(text.encode(), "f").problems
    assert time.perf_counter() - began < 2
    assert any(word in problem.message for problem in problems)
    assert len(problems) <= MOST_PROBLEMS


def test_bounds_are_generous() -> None:
    assert parse(b"a: " + b"x" * (LARGEST - 3), "f").problems == ()
    assert parse(b"[" + b"x," * (MOST_NODES - 1) + b"]", "f").problems == ()
    assert parse(b"[" * 32 + b"]" * 32, "f").problems == ()


def check_places(text: bytes) -> None:
    """Only problems, and each within the file."""
    parsed = parse(text, "f")
    lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for problem in parsed.problems:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert "\n" not in str(problem)
    for mark in parsed.marks.values():
        assert 1 <= mark.line <= len(lines)


WORDS = [
    "a ",
    "b: ",
    "c",
    ":",
    " ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&x ",
    "*x",
    "!",
    "!!str ",
    "!reset ",
    '"',
    "'",
    "#",
    "%",
    "? ",
    "~",
    "0x1",
    "<<",
    "é",
    "😀",
]
BREAKS = [
    "\n",
    "\n  ",
    "\n- ",
    "|\n",
    ">\n",
    "---\n",
    "...\n",
    "\t",
    "\r",
    "\r\n",
    "\x85",
    "\u2028",
    "\ufeff",
    "\0",
]
SYMBOLS = st.lists(st.sampled_from(WORDS + BREAKS), max_size=40).map("".join)


@settings(max_examples=1500, deadline=None, database=None)
@given(SYMBOLS)
def test_noise(text: str) -> None:
    check_places(text.encode())


@settings(max_examples=500, deadline=None, database=None)
@given(st.binary(max_size=200))
def test_bytes(text: bytes) -> None:
    check_places(text)


@settings(max_examples=300, deadline=None, database=None)
@given(st.text(max_size=200))
def test_texts(text: str) -> None:
    check_places(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: !reset [b]", {"a": ["b"]}),
        ("a: !reset {b: 1}", {"a": {"b": 1}}),
        ("a: !reset 5", {"a": 5}),
        ("a: !reset '5'", {"a": "5"}),
        ("a: !reset", {"a": None}),
        ("a: !reset on", {"a": "on"}),
    ],
)
def test_a_reset_is_noted_beside_its_value(text: str, data: Plain) -> None:
    parsed = parse(text.encode(), "f")
    assert (parsed.data, parsed.resets, parsed.problems) == (data, frozenset({("a",)}), ())
