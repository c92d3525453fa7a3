"""Command lines as systemd's own library splits and expands them. Where we differ on purpose is said beside the case."""

from __future__ import annotations

import ctypes
import glob
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maestro.model.command import expand, split_words
from maestro.model.plain import Mistake

_LIBRARIES = [
    *glob.glob("/usr/lib/*/systemd/libsystemd-shared-*.so"),
    *glob.glob("/usr/lib/systemd/libsystemd-shared-*.so"),
]
_STRICT = (1 << 1) | (1 << 5)  # EXTRACT_CUNESCAPE | EXTRACT_UNQUOTE, as for ExecStart=
_Strings = ctypes.POINTER(ctypes.c_char_p)

pytestmark = pytest.mark.skipif(not _LIBRARIES, reason="systemd is not installed")


class Systemd:
    """Two functions of libsystemd-shared."""

    def __init__(self) -> None:
        library = ctypes.CDLL(_LIBRARIES[0])
        if not hasattr(library, "extract_first_word") or not hasattr(library, "replace_env_argv"):
            pytest.skip("this systemd does not export what is asked")
        self._first, self._replace = library.extract_first_word, library.replace_env_argv
        self._replace.restype = _Strings

    def split(self, text: str) -> list[str] | None:
        """None where systemd refuses the line."""
        left = ctypes.c_char_p(text.encode())
        words: list[str] = []
        while True:
            word = ctypes.c_char_p()
            found = self._first(ctypes.byref(left), ctypes.byref(word), None, _STRICT)
            if found <= 0:
                return words if found == 0 else None
            assert word.value is not None
            words.append(word.value.decode("utf-8", "surrogateescape"))

    def expand(self, words: list[str], environment: dict[str, str]) -> list[str]:
        found = self._replace(_strings(words), _strings(f"{k}={v}" for k, v in environment.items()))
        expanded: list[str] = []
        while (one := found[len(expanded)]) is not None:
            expanded.append(one.decode())
        return expanded


def _strings(texts: Iterable[str]) -> ctypes.Array[ctypes.c_char_p]:
    given = [text.encode() for text in texts]
    return (ctypes.c_char_p * (len(given) + 1))(*given, None)


@pytest.fixture(scope="module")
def systemd() -> Systemd:
    return Systemd()


def ours(text: str) -> list[str] | None:
    try:
        return split_words(text)
    except Mistake:
        return None


# Without ";" and line breaks behind a backslash: those are not the library's matter, but its caller's.
LINE = st.text(st.sampled_from("abx041 79fuU\t'\"\\$%&|=é"), max_size=24)


@settings(max_examples=1000, deadline=None, database=None)
@given(LINE)
def test_lines_are_split_as_systemd_splits_them(systemd: Systemd, text: str) -> None:
    theirs = systemd.split(text)
    if theirs is not None and any(not word.isascii() and not _is_text(word) for word in theirs):
        assert ours(text) is None  # on purpose: what escapes make up is UTF-8 here
    else:
        assert ours(text) == theirs


def _is_text(word: str) -> bool:
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in word)


VALUE = st.text(st.sampled_from("ab \t'\"\\$"), max_size=16)
PARTS = st.sampled_from(["$$", "${A}", "${B}", "${NONE}", "a", "-", " ", "}", "'"])
WORD = st.lists(PARTS, max_size=5).map("".join) | st.sampled_from(["$A", "$B", "$NONE"])


@settings(max_examples=1000, deadline=None, database=None)
@given(st.lists(WORD, max_size=4), VALUE, VALUE)
def test_variables_are_replaced_as_systemd_replaces_them(
    systemd: Systemd, words: list[str], a: str, b: str
) -> None:
    environment = {"A": a, "B": b}
    assert list(expand(["program", *words], environment)) == systemd.expand(["program", *words], environment)


@pytest.mark.parametrize("word", ["$", "$1", "$A-x", "$A$A", "$-"])
def test_on_purpose_no_argument_goes_missing(systemd: Systemd, word: str) -> None:
    """What is no variable's name is left as it is; systemd takes it for the name of one, and drops it."""
    assert systemd.expand(["program", word], {"A": "a"}) == ["program"]
    assert expand(["program", word], {"A": "a"}) == ("program", word)
