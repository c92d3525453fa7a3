"""Our checks beside systemd's: the same answer on this host, plain and negated."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from maestro.manager import conditions
from maestro.model.conditions import ARCHITECTURES, CAPABILITIES, CheckSection
from maestro.model.option import describe, item_type

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
RENAMED = {
    "cpus": "CPUs",
    "ac_power": "ACPower",
    "os_release": "OSRelease",
}
CASES = 60  # of each kind of check that is drawn
_RELEASE = os.uname().release
_CHANCE = random.Random(252)


def systemd_says(name: str, texts: list[str]) -> list[bool]:
    """What systemd makes of each text: all in one call where they all hold or not matters, so one call each."""
    title = RENAMED.get(name) or "".join(word.title() for word in name.split("_"))
    found = []
    for text in texts:
        said = subprocess.run(
            ["systemd-analyze", "condition", f"Condition{title}={text}"],
            env=ENVIRON, capture_output=True, text=True, check=False, timeout=20,
        )  # fmt: skip
        verdict = re.search(r": Condition\w+=.* (succeeded|failed)\.$", said.stderr, re.MULTILINE)
        assert verdict is not None, (text, said.stderr)
        found.append(verdict[1] == "succeeded")
    return found


ENVIRON = {"PATH": "/usr/bin:/bin", "EMPTY": "", "WORD": "a b", "CREDENTIALS_DIRECTORY": "/etc",
           "SYSTEMD_PROC_CMDLINE": Path("/proc/cmdline").read_text(encoding="utf-8")}  # fmt: skip


def assert_as_systemd(name: str, texts: list[str]) -> None:
    types = {option.name: item_type(option.type) for option in describe(CheckSection)}
    checks = [types[name](mark + text) for text in texts for mark in ("", "!")]
    ours = {str(check): conditions.holds(name, check, ENVIRON) for check in checks}
    theirs = dict(zip(ours, systemd_says(name, list(ours)), strict=True))
    assert ours == theirs


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("conditions")
    (root / "empty").mkdir()
    (root / "full").mkdir()
    (root / "full/file").write_text("x")
    (root / "hidden").mkdir()
    (root / "hidden/.file").write_text("x")
    (root / "copies").mkdir()
    for left in ("a~", "b.dpkg-old", "c.rpmnew", "d.bak", "e.swp", "lost+found"):
        (root / "copies" / left).write_text("x")
    (root / "nothing").write_text("")
    (root / "program").write_text("x")
    (root / "program").chmod(0o711)
    (root / "to-program").symlink_to("program")
    (root / "to-full").symlink_to("full")
    (root / "dangling").symlink_to("nowhere")
    os.mkfifo(root / "fifo")
    return root


PLACES = [
    *("", "empty", "full", "full/file", "hidden", "copies", "nothing", "program", "to-program", "to-full"),
    *("dangling", "fifo", "missing", "full/file/below"),
]
HOST = ["/", "/proc", "/sys", "/dev", "/dev/null", "/proc/sys", "/etc", "/sys/kernel"]


@pytest.mark.parametrize(
    "name",
    [
        *("path_exists", "path_is_directory", "path_is_symbolic_link", "path_is_mount_point"),
        *("path_is_read_write", "directory_not_empty", "file_not_empty", "file_is_executable"),
    ],
)
def test_paths(name: str, tree: Path) -> None:
    # To systemd a path below a file is on a file system that may be written; to us it is nowhere.
    places = [place for place in PLACES if (name, place) != ("path_is_read_write", "full/file/below")]
    assert_as_systemd(name, [*(str(tree / place) if place else str(tree) for place in places), *HOST])


def test_globs(tree: Path) -> None:
    patterns = ["*", "f*", "m*", "full/*", "hidden/*", "hidden/.*", "empty/*", "[ef]*", "d?ngling", "{missing,full}",
                "{missing,nowhere}", "*/{x,file}", "program", "missing", "to-*/file", "[!a-z]*"]  # fmt: skip
    assert_as_systemd("path_exists_glob", [f"{tree}/{pattern}" for pattern in patterns])


def around(number: int) -> list[int]:
    return [0, 1, number - 1, number, number + 1, number * 2, 10**6]


def compared(values: list[str]) -> list[str]:
    orders = ("", "<", "<=", "=", "!=", ">=", ">")
    return [
        f"{order}{blank}{value}"
        for value in values
        for order in orders
        for blank in _CHANCE.choice(("", " "))
    ]


def test_memory() -> None:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    whole = [str(memory + step) for step in (-4096, 0, 4096)]
    assert_as_systemd("memory", [f"{_CHANCE.choice(('', '<', '<=', '=', '!=', '>=', '>'))}{one}" for one in
                       (*whole, *whole, "1K", "512M", "1G", "1.5G", "4T", "1G 512M", "16G", "64G")])  # fmt: skip


def test_cpus() -> None:
    orders = ("", "<", "<=", "=", "!=", ">=", ">")
    numbers = around(len(os.sched_getaffinity(0)))
    assert_as_systemd("cpus", [f"{order}{number}" for number in numbers for order in orders])


def test_versions() -> None:
    orders = ("<", "<=", "=", "!=", ">=", ">")
    pieces = ["1", "5", "6", "7", "10", "18", "44", ".", ".", "-", "~", "rc", "fc", "a", "_", "006"]
    drawn = ["".join(_CHANCE.choices(pieces, k=_CHANCE.randint(1, 5))) for _ in range(CASES // 2)]
    near = [_RELEASE[:cut] for cut in range(1, len(_RELEASE) + 1)] + [
        f"{_RELEASE}-1",
        f"{_RELEASE}~1",
        f"{_RELEASE}.0",
    ]
    texts = [f"{_CHANCE.choice(orders)}{one}" for one in (*drawn, *near)]
    texts += [
        _RELEASE,
        f"{_RELEASE[:3]}*",
        "*",
        "?*",
        "5.*",
        "[0-9]*",
        ">= 3",
        ">=3 <99",
        "<3 >1",
        f"={_RELEASE}",
    ]
    assert_as_systemd("kernel_version", texts)


def test_words_of_the_kernel() -> None:
    words = Path("/proc/cmdline").read_text(encoding="utf-8").split()
    texts = [part for word in words[:8] for part in (word, word.partition("=")[0], word[:-1]) if part]
    assert_as_systemd("kernel_command_line", [*dict.fromkeys(texts), "no-such-word", "root=nothing"])


def test_the_machine() -> None:
    assert_as_systemd("architecture", [*sorted(set(ARCHITECTURES.values())), "native"])
    assert_as_systemd("capability", [f"CAP_{name.upper()}" for name in CAPABILITIES])
    assert_as_systemd("first_boot", ["true", "false"])
    assert_as_systemd("ac_power", ["true", "false"])
    name = os.uname().nodename
    assert_as_systemd("host", [name, name.upper(), f"{name[:1]}*", "*", "?", "no-such-host", "0" * 32])


def test_who_we_are() -> None:
    names = ["root", "nobody", "daemon", "0", "1", "65534", "@system", "no-such-user"]
    assert_as_systemd("user", names)
    assert_as_systemd("group", ["root", "nogroup", "daemon", "0", "1", "65534", "@system", "no-such-group"])


def test_variables_and_credentials() -> None:
    assert_as_systemd(
        "environment",
        ["PATH", "PATH=/usr/bin:/bin", "PATH=/bin", "EMPTY", "EMPTY=", "WORD=a b", "MISSING", "PAT"],
    )
    assert_as_systemd("credential", ["passwd", "no-such-credential"])


def test_the_release_of_the_system() -> None:
    texts = ["ID=debian", "ID=ubuntu", "ID!=debian", "VERSION_ID>=11", "VERSION_ID<11", "VERSION_ID>=11 ID=debian",
             "VERSION_ID=12", "NO_SUCH=", "NO_SUCH=x", "NO_SUCH!=x", "NO_SUCH<1", "VERSION_ID<=12.0"]  # fmt: skip
    assert_as_systemd("os_release", [text for text in texts if text != "NO_SUCH="])
