"""Command lines as systemd.service(5) describes them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro.model.command import Command, CommandLine, expand, split_words
from maestro.model.load import load_text
from maestro.model.plain import Given, Mark, Mistake, Path, Plain


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("  /bin/echo  one\ttwo ", ["/bin/echo", "one", "two"]),
        ("echo 'a b' \"c d\"", ["echo", "a b", "c d"]),
        ('echo ""', ["echo", ""]),
        ("echo a'b c'd", ["echo", "ab cd"]),
        ('echo "it\'s" \'say "so"\'', ["echo", "it's", 'say "so"']),
        (r"echo \x41\102\u00e9\U0001F600", ["echo", "ABé😀"]),
        (r"echo \xc3\xa9", ["echo", "é"]),
        (r"echo a\sb \n \t \\ \" \'", ["echo", "a b", "\n", "\t", "\\", '"', "'"]),
        (r"echo '\'' \;", ["echo", "'", ";"]),
        ("echo a;b", ["echo", "a;b"]),
        ("echo ';'", ["echo", ";"]),
        ("echo > /dev/null | cat && $HOME", ["echo", ">", "/dev/null", "|", "cat", "&&", "$HOME"]),
        ("echo\nsecond", ["echo", "second"]),
        ("echo one \\\n  two\\\nthree", ["echo", "one", "two", "three"]),
        ('echo "one\\\ntwo"', ["echo", "one two"]),
        ("echo one\\\\\ntwo", ["echo", "one\\", "two"]),
        # the example of systemd.service(5)
        (r"echo / >/dev/null & \; ls", ["echo", "/", ">/dev/null", "&", ";", "ls"]),
    ],
)
def test_split(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo 'a", "never closed"),
        ('echo "a', "never closed"),
        ("echo a\\", "ends in"),
        (r"echo \q", "no escape"),
        (r"echo \x4", "no escape"),
        (r"echo \x00", "no character"),
        (r"echo \ud800", "no character"),
        (r"echo \777", "no character"),
        (r"echo \xff", "UTF-8"),
        ("echo ; rm", "stands alone"),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(Mistake, match=said):
        split_words(text)


@given(st.text())
def test_any_text_gives_words_or_a_mistake(text: str) -> None:
    try:
        words = split_words(text)
    except Mistake:
        return
    assert all(isinstance(word, str) for word in words)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_quoted_words_come_back(words: list[str]) -> None:
    quoted = " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words)
    assert split_words(quoted) == words


def test_a_list_is_taken_as_it_is() -> None:
    marks: dict[Path, Mark] = {(2,): Mark(1, 1, 1, 1, "0x1F")}
    assert CommandLine.read(Given(["a b", "$x ;", 31, True], marks=marks)) == ("a b", "$x ;", "0x1F", "true")


@pytest.mark.parametrize(
    ("plain", "said", "at"),
    [
        (5, "expected a command", ()),
        (None, "expected a command", ()),
        (["a", ["b"]], "found a list", (1,)),
        (["a", None], "found nothing", (1,)),
        (["", "a"], "name is empty", (0,)),
        (["a", "b\0"], "NUL", (1,)),
        (["-/bin/false"], "prefixes are not supported", (0,)),
        ("@/bin/sh sh", "prefixes are not supported", ()),
        (["a", "x" * (1 << 17)], "128 KiB", (1,)),
        (["/bin/a\tb"], "control character", (0,)),
    ],
)
def test_wrong_commands(plain: object, said: str, at: tuple[int, ...]) -> None:
    with pytest.raises(Mistake, match=said) as caught:
        CommandLine.read(Given(plain))
    assert caught.value.faults[0].at == at


def test_specifiers_do_not_split_words() -> None:
    given = Given("echo %i", lambda text: text.replace("%i", "a b 'c"))
    assert CommandLine.read(given) == ("echo", "a b 'c")


ENVIRONMENT = {
    "ONE": "x",
    "TWO": " x  y",
    "QUOTED": "'two two' too",
    "HALF": "a 'b c",
    "JOINED": '"a b"c d',
    "ESCAPED": r"a\b c\ d \" e",
    "EMPTY": "",
    "EMPTY_WORDS": "'' \"\"",
}


@pytest.mark.parametrize(
    ("words", "expanded"),
    [
        (["a", "$ONE"], ("a", "x")),
        (["a", "$TWO"], ("a", "x", "y")),
        (["a", "${TWO}"], ("a", " x  y")),
        (["a", "-${ONE}-${NONE}-"], ("a", "-x--")),
        (["a", "$NONE"], ("a",)),
        (["a", "${NONE}"], ("a", "")),
        (["a", "$EMPTY", "${EMPTY}"], ("a", "")),
        (["a", "$$ONE", "$$", "a$$b"], ("a", "$ONE", "$", "a$b")),
        (["a", "b$ONE", "$", "${", "${1}"], ("a", "b$ONE", "$", "${", "${1}")),
        (["a", "${ONE:-d}"], ("a", "${ONE:-d}")),
        (["${ONE}", "$ONE"], ("${ONE}", "x")),
        (["a", "$QUOTED"], ("a", "two two", "too")),
        (["a", "${QUOTED}"], ("a", "'two two' too")),
        (["a", "$HALF"], ("a", "a", "b c")),
        (["a", "$JOINED"], ("a", "a bc", "d")),
        (["a", "$ESCAPED"], ("a", "ab", "c d", '"', "e")),
        (["a", "$EMPTY_WORDS"], ("a", "", "")),
    ],
)
def test_variables(words: list[str], expanded: tuple[str, ...]) -> None:
    assert expand(words, ENVIRONMENT) == expanded


# ------------------------------------------------------------------------------------------- with marks in front


def read_command(plain: Plain) -> Command:
    return Command.read(Given(plain))


@pytest.mark.parametrize(
    ("plain", "words", "said"),
    [
        ("/bin/a b", ("/bin/a", "b"), ""),
        ("-/bin/a b", ("/bin/a", "b"), "forgiven"),
        (["+-/bin/a", "-b"], ("/bin/a", "-b"), "forgiven privileged"),
        ("!/bin/a", ("/bin/a",), "privileged"),
        (":-a $b", ("a", "$b"), "forgiven verbatim"),
    ],
)
def test_marks_before_the_program(plain: Plain, words: tuple[str, ...], said: str) -> None:
    command = read_command(plain)
    assert command.words == words
    kinds = ("forgiven", "privileged", "verbatim")
    assert " ".join(kind for kind in kinds if getattr(command, f"is_{kind}")) == said
    assert read_command(command.show()) == command


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ("@/bin/a b", "begins with '@': only - + ! : are supported here"),
        ("-@/bin/a", "begins with '@': only"),
        ("--/bin/a", "has two prefixes that say the same"),
        ("+!/bin/a", "has two prefixes that say the same"),
        ("-", "the program's name is empty"),
        ("|/bin/a", "begins with '|'"),
    ],
)
def test_wrong_marks(plain: str, said: str) -> None:
    with pytest.raises(Mistake, match=re.escape(said)):
        read_command(plain)


def test_the_same_command_twice_is_two() -> None:
    loaded = load_text("a.agent.yaml", b"agent: {exec: a, exec_stop: [b, [b], c], exec_start_pre: d}", "")
    assert loaded.unit is not None
    assert loaded.unit.agent is not None
    assert loaded.unit.agent.exec_stop == (("b",), ("b",), ("c",))
    assert loaded.unit.agent.exec_start_pre == (("d",),)
