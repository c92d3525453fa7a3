"""Environment files as systemd's own library reads them. Where we differ on purpose is said beside the case."""

from __future__ import annotations

import ctypes
import glob
import re
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maestro.manager.environment_file import parse

_LIBRARIES = [
    *glob.glob("/usr/lib/*/systemd/libsystemd-shared-*.so"),
    *glob.glob("/usr/lib/systemd/libsystemd-shared-*.so"),
]
_Strings = ctypes.POINTER(ctypes.c_char_p)

pytestmark = pytest.mark.skipif(not _LIBRARIES, reason="systemd is not installed")


class Systemd:
    """What `EnvironmentFile=` is read by: load_env_file(), and then only valid assignments are kept."""

    def __init__(self) -> None:
        library = ctypes.CDLL(_LIBRARIES[0])
        if not hasattr(library, "load_env_file") or not hasattr(library, "env_assignment_is_valid"):
            pytest.skip("this systemd does not export what is asked")
        self._load, self._is_valid = library.load_env_file, library.env_assignment_is_valid
        self._is_valid.restype = ctypes.c_bool

    def read(self, text: str) -> dict[str, str]:
        found = _Strings()
        with tempfile.NamedTemporaryFile() as file:
            file.write(text.encode())
            file.flush()
            assert self._load(None, file.name.encode(), ctypes.byref(found)) >= 0
        read: dict[str, str] = {}
        place = 0
        while found and (one := found[place]) is not None:
            if self._is_valid(one):
                name, _, value = one.decode().partition("=")
                read[name] = value
            place += 1
        return read


@pytest.fixture(scope="module")
def systemd() -> Systemd:
    return Systemd()


CASES = {
    "A=1\n  B = 2 \t\nC=\nD": {"A": "1", "B": "2", "C": ""},
    "# A=1\n; B=2\nC=3 # no comment\n": {"C": "3 # no comment"},
    "A='x' \"y\" z 'w'\nB=x'y'\n": {"A": "xyz 'w'", "B": "x'y'"},
    "A='one\ntwo \\\nthree'\nB=\"one\ntwo \\\nthree\"\n": {
        "A": "one\ntwo \\\nthree",
        "B": "one\ntwo three",
    },
    "A=one \\\n  two\nB=\\\n  two\nC=x\\ \nD=x \\\n\n": {
        "A": "one   two",
        "B": "  two",
        "C": "x ",
        "D": "x ",
    },
    'A="\\"\\$\\`\\\\\\n"\nB=\\"\\$\\n\n': {"A": '"$`\\\\n', "B": '"$n'},
    "A=x\r\nB=y\rC=z": {"A": "x", "B": "y", "C": "z"},
    "A='never closed\nB=1": {"A": "never closed\nB=1"},
    'A="never closed\\': {"A": "never closed"},
    "A=x \\": {"A": "x "},
    "=A=1\n1A=1\nA-B=1\nA B=1\nÄ=1\nA=1\nA=2\n": {"A": "2"},
    "A=$HOME ${HOME} %h\n": {"A": "$HOME ${HOME} %h"},
}


@pytest.mark.parametrize("text", CASES)
def test_this_is_read(systemd: Systemd, text: str) -> None:
    assert parse(text)[0] == systemd.read(text) == CASES[text]


# Not "\\" before the end of a comment: that joined it with the next line until systemd 254.
TEXT = st.lists(
    st.sampled_from([*"AB1=' \t\n\r\"\\$`#;é", "A=", "\nB=", "\\\n", "='", '="']), max_size=24
).map("".join)


@settings(max_examples=400, deadline=None, database=None)
@given(TEXT.filter(lambda text: not re.search(r"[#;].*\\", text)))
def test_files_are_read_as_systemd_reads_them(systemd: Systemd, text: str) -> None:
    assert parse(text)[0] == systemd.read(text)


def test_on_purpose_a_comment_ends_with_its_line() -> None:
    assert parse("# C:\\\nA=1\n")[0] == {"A": "1"}  # as in systemd since version 254


def test_on_purpose_what_a_shell_can_read_too_is_taken(systemd: Systemd) -> None:
    assert parse("export A=1\n")[0] == {"A": "1"}
    assert systemd.read("export A=1\n") == {}
