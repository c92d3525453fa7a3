"""What is confined by a tape is confined as the steps do it: the same recipe both ways, and what it finds inside."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maestro.drivers.abilities import probe
from maestro.keeper import recorder, tape, vfork
from maestro.keeper.tape import Label, Tape, TooLong
from maestro.manager.sandbox import Premises, confine
from maestro.model.load import load_text
from tests.keeper.ways import LOOK, Both, furnish, made_in

RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
OPTIONAL, FRESH, FLAT, MAKE = 1, 2, 4, 8
NEWNS, NEWUSER, NEWPID, NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
NET_BIND_SERVICE, NET_RAW = 10, 13
SIGPIPE = 1 << (signal.SIGPIPE - 1)
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0 or not probe().mounts, reason="takes root, and mounts"),
]


@pytest.fixture
def both(library: str) -> Iterator[Both]:
    held = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with TemporaryDirectory(prefix="maestro-", dir="/var") as folder:
        yield Both(library, folder)
    signal.pthread_sigmask(signal.SIG_SETMASK, held)


def assert_alike(both: Both, **more: Any) -> tuple[int, str]:
    """The answer of both. What the first has made outside is not there for the second, either."""
    recipe = both.recipe(**more)
    answers = []
    for way in (both.by_tape, both.by_steps):
        furnish(both.folder)
        answers.append((way(recipe), made_in(both.folder)))
    (by_tape, made), (by_steps, made_by_steps) = answers
    assert bool(by_tape[0]) == bool(by_steps[0]), "which error it was, the steps say"
    assert by_tape[1].splitlines() == by_steps[1].splitlines()
    assert made == made_by_steps
    return by_tape


def of_level(both: Both, text: str) -> dict[str, Any]:
    loaded = load_text("a.agent.yaml", f"agent: {{exec: [a]}}\nsandbox: {{{text}}}".encode(), "f")
    assert loaded.unit is not None
    folder = both.folder
    premises = Premises(
        root="/",
        run=folder,
        hidden=(f"{folder}/a",),
        private=(f"{folder}/private",),
        common=f"{folder}/common",
    )
    return confine(loaded.unit, probe, premises).data


@pytest.mark.parametrize("who", [{}, {"uid": 65534, "gid": 65534, "groups": (4, 5)}], ids=["root", "nobody"])
@pytest.mark.parametrize(
    "text",
    [
        "level: baseline",
        "level: strict",
        "level: strict, private_users: false, network: host, ambient_capabilities: [CAP_NET_RAW], "
        "capability_bounding_set: [CAP_NET_RAW, CAP_CHOWN]",
        "level: strict, mount_flags: private, protect_home: tmpfs, proc_subset: pid",
        "private_tmp: true, mount_flags: shared, protect_home: read-only",
    ],
)
def test_what_a_unit_asks_for_is_the_same_by_tape_and_by_steps(
    both: Both, text: str, who: dict[str, Any]
) -> None:
    number, said = assert_alike(both, sandbox=of_level(both, text), **who)
    assert number == 0
    assert f"Uid: {who.get('uid', 0)}" in said
    assert "shares mnt" not in said
    assert ("shares net" in said) == ("strict" not in text or "network: host" in text)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "a word"),
        ({"umask": 0o027}, "\n0027\n"),
        ({"cwd": "/usr"}, "PID /usr a word"),
        ({"cwd": "/no/such", "cwd_may_fail": True}, "PID / a word"),
        ({"cwd": "/no/such"}, None),
        ({"argv": ("sh", "-c", LOOK)}, "a word"),
        ({"argv": ("no-such-program",)}, None),
        ({"argv": ("sh", "-c", LOOK), "search_path": "relative:/no/such:/etc/passwd:/bin"}, "a word"),
        ({"rlimits": ((resource.RLIMIT_CORE, 4096, 8192), (resource.RLIMIT_CPU, 99, -1))}, "99"),
        ({"rlimits": ((resource.RLIMIT_NOFILE, 77, 99),)}, "77"),
        ({"ignore_sigpipe": True}, f"SigIgn: {SIGPIPE:016x}"),
        ({"oom_score_adjust": 321}, "321"),
        ({"uid": 65534}, "Uid: 65534"),
        ({"sandbox": {"no_new_privileges": True}}, "NoNewPrivs: 1"),
        ({"sandbox": {"capabilities": {"bounding": (NET_RAW,)}}}, f"CapBnd: {1 << NET_RAW:016x}"),
        (
            {"uid": 65534, "sandbox": {"capabilities": {"ambient": (NET_RAW, NET_BIND_SERVICE)}}},
            f"CapAmb: {1 << NET_RAW | 1 << NET_BIND_SERVICE:016x}",
        ),
        ({"sandbox": {"namespaces": {"unshare": NEWNET, "loopback": True}}}, "shares mnt"),
        ({"sandbox": {"namespaces": {"unshare": 1}}}, None),
        ({"sandbox": {"namespaces": {"alone": True}}, "uid": 65534}, "65534 65534"),
        ({"sandbox": {"namespaces": {"unshare": NEWNS}, "propagation": "slave"}}, "shares net"),
    ],
)  # fmt: skip
def test_each_step_is_the_same_by_tape(both: Both, more: dict[str, Any], expected: str | None) -> None:
    number, said = assert_alike(both, **more)
    assert (number > 0) == (expected is None)
    assert expected is None or expected in said


def test_filters_are_loaded_by_it(both: Both) -> None:
    program = b"\x06\0\0\0\0\0\xff\x7f"  # all is allowed
    _, said = assert_alike(both, sandbox={"seccomp": ((program, program), True, True)})
    assert "Seccomp_filters: 2" in said


def test_without_privileges_it_renounces_more_to_be_filtered(both: Both) -> None:
    program = b"\x06\0\0\0\0\0\xff\x7f"
    _, said = assert_alike(both, sandbox={"seccomp": ((program,), False, False)}, uid=65534)
    assert "NoNewPrivs: 1" in said
    assert "Seccomp_filters: 1" in said


def test_what_a_filter_refuses_of_the_exec_is_told(both: Both) -> None:
    refuses = b"\x06\0\0\0\x0d\0\x05\0"  # every system call, with EACCES
    assert both.by_tape(both.recipe(sandbox={"seccomp": ((refuses,), False, False)}))[0] == 13


# ------------------------------------------------------------------------------------------------ mounts

_PLACES = st.sampled_from(
    ["a", "b", "b/c", "file", "no", "no/such", "made/x", "made/y/z", "file/x", "link", "nowhere", "private/p"]
)
_ATTRIBUTES = st.sampled_from([0, RDONLY, NOSUID | NODEV, RDONLY | NOEXEC])
_MISSING = st.sampled_from([0, OPTIONAL, MAKE, MAKE | OPTIONAL])
_MOUNT = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(["a", "b", "no"]), st.sampled_from([RDONLY, NOEXEC])),
    st.tuples(
        st.just("tree"),
        _PLACES,
        _PLACES,
        _ATTRIBUTES,
        st.builds(int.__or__, _MISSING, st.sampled_from([0, FRESH, FLAT])),
    ),
    st.tuples(st.just("own"), st.just("common/u/tmp"), _PLACES, _ATTRIBUTES, _MISSING),
    st.tuples(st.just("tmpfs"), _PLACES, st.sampled_from(["mode=0755", "size=no"]), _ATTRIBUTES, _MISSING),
    st.tuples(st.just("dev"), _PLACES, _ATTRIBUTES),
    st.tuples(st.just("hide"), _PLACES, _MISSING),
    st.tuples(st.just("proc"), _PLACES, st.just(""), st.just(14), _MISSING),
)
_PATHS = {"tree": (1, 2), "own": (1, 2)}  # which words of it are paths; else the first after its name


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mounts=st.lists(_MOUNT, max_size=6), propagation=st.sampled_from(["slave", "private", "shared"]))
def test_mounts_are_laid_alike_or_fail_alike(
    both: Both, mounts: list[tuple[Any, ...]], propagation: str
) -> None:
    below = tuple(
        tuple(
            f"{both.folder}/{one}" if place in _PATHS.get(mount[0], (1,)) else one
            for place, one in enumerate(mount)
        )
        for mount in mounts
    )
    sandbox = {"namespaces": {"unshare": NEWNS}, "mounts": below, "propagation": propagation}
    assert_alike(both, sandbox=sandbox)


# ------------------------------------------------------------------------------------------------ the tape itself


@pytest.mark.parametrize(
    "sandbox",
    [
        {"landlock": (("read", "/"),)},
        {"namespaces": {"map": (0, 0)}},
        {"namespaces": {"clone": NEWUSER | NEWPID}},
        {"namespaces": {"listeners": (("127.0.0.1", 1),)}},
        {"what": "a later version asks for"},
    ],
)
def test_what_few_ask_for_is_left_to_the_steps(sandbox: dict[str, Any]) -> None:
    assert not recorder.fits(sandbox)


@pytest.mark.parametrize(
    "more",
    [
        {"nice": 0},
        {"stdio": (("file", "/x"), ("log", ""), ("inherit", ""))},
        {"notify_fd": 5},
        {"root": "/srv"},
        {"uid": -1},
        {"groups": (1 << 32,)},
        {"argv": ()},
        {"argv": ("x",), "search_path": "here"},
    ],
)
def test_what_it_cannot_say_is_left_to_the_steps(both: Both, more: dict[str, Any]) -> None:
    assert both.player.spawn(both.recipe(**more), -1) is None


def test_an_agent_without_a_stream_writes_nowhere_and_leaves_the_device_as_it_is(both: Both) -> None:
    before = os.stat("/dev/null")
    begun = both.player.spawn(both.recipe(uid=65534, gid=65534), -1)
    assert begun is not None
    assert os.waitpid(begun[0], 0)[1] == 0
    assert os.stat("/dev/null")[:6] == before[:6]
    os.close(begun[1])
    os.close(begun[2])


def test_whoever_has_lost_the_keeper_does_nothing(both: Both) -> None:
    """Nobody reads its report: so the keeper was gone before it could be tied to its life."""
    recipe = both.recipe(argv=("/bin/mkdir", f"{both.folder}/done"))
    for reader, made in ((True, True), (False, False)):
        whole = recorder.record(recipe, (100, 100), {}).ending(
            vfork.VERSION, ["/bin/mkdir"], recipe["argv"], []
        )
        played = os.memfd_create("tape", 0)
        os.write(played, whole)
        read, report = os.pipe()
        if not reader:
            os.close(read)
        words = [f"/proc/self/fd/{both.spawner.library}", str(played), str(report), str(len(whole))]
        subprocess.run(words, pass_fds=(played, report, both.spawner.library), check=False)
        assert Path(both.folder, "done").exists() == made
        Path(both.folder, "done").rmdir() if made else None
        for fd in (played, report, *((read,) if reader else ())):
            os.close(fd)


def test_a_library_of_another_version_plays_nothing(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vfork, "VERSION", vfork.VERSION + 1)
    begun = both.player.spawn(both.recipe(), -1)
    assert begun is not None
    os.waitpid(begun[0], 0)
    assert os.read(begun[1], 100) == b"071"  # EPROTO
    os.close(begun[1])
    os.close(begun[2])


def test_a_tape_is_kept_for_the_next_start_of_few(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    record = recorder.record

    def counted(recipe: dict[str, Any], *rest: Any) -> Any:
        made.append(recipe["title"])
        return record(recipe, *rest)

    monkeypatch.setattr(recorder, "record", counted)
    for title in ("a", "a", "b"):
        both.player._tape(both.recipe(title=title))
    both.player._tape(both.recipe(title="a", cwd="/usr"))
    assert made == ["a", "b", "a"]
    for number in range(20):
        both.player._tape(both.recipe(title=str(number)))
    assert len(both.player._kept) == 4


def test_a_tape_that_is_too_long_is_not_made() -> None:
    made = Tape()
    with pytest.raises(TooLong):
        [made.register() for _ in range(200)]


def test_a_word_that_ends_before_its_end_is_not_written() -> None:
    with pytest.raises(ValueError, match="null"):
        Tape().do("chdir", "/a\0b")


def test_where_it_goes_on_is_counted_from_the_next() -> None:
    made, there = Tape(), Label()
    made.go(there)
    made.do("umask", 0)
    made.here(there)
    words = memoryview(made.packed()).cast("h")
    assert (words[0], words[3], ctypes.c_int16(words[36]).value) == (-1, 1, tape.NUMBERS["umask"])
