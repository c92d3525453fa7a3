"""systemd's self-checking units, run by Maestro: each ends as systemd's own test-execute wants it to.

What is expected of each, and what is made ready for it, is from reading that program's source, version 252.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from msgspec import Struct

from maestro.control.client import Client
from maestro.drivers.host import specifiers
from maestro.model.load import Settings, load_text
from tests.oracles.exec_units import NotTranslatable, Translated, translated
from tests.system.harness import REPOSITORY
from tests.system.hermit import Hermit, hermit, why_not
from tests.system.test_scheduling import CAP_SYS_RESOURCE, has_capability

pytestmark = [pytest.mark.system, pytest.mark.real]

FOLDER = REPOSITORY / ".real/systemd-tests"
VERSION = "252"  # of systemd, that the numbers at the end are about
TEMPLATES = {"exec-specifier@": "foo-bar"}

# ------------------------------------------------------------------------------------------------ what is expected

SIGSYS = "was killed by SIGSYS"
EXPECTED = {  # how it ends, where that is not with exit status 0
    "exec-ignoresigpipe-no": "was killed by SIGPIPE",
    "exec-restrictnamespaces-yes": "ended with exit status 1",
    "exec-restrictnamespaces-mnt-deny-list": "ended with exit status 1",
    **{f"exec-systemcallfilter-failing{number}": SIGSYS for number in ("", 2, 3)},
    "exec-systemcallfilter-override-error-action": SIGSYS,
    **{
        f"exec-systemcallfilter-{name}": f"ended with exit status {errno.EILSEQ}"
        for name in (
            "with-errno-name",
            "with-errno-multi",
            "with-errno-in-allow-list",
            "override-error-action2",
        )
    },
    "exec-systemcallfilter-with-errno-number": "ended with exit status 255",
    "exec-systemcallerrornumber-name": f"ended with exit status {errno.EACCES}",
    "exec-systemcallerrornumber-number": "ended with exit status 255",
    "exec-condition-failed": "ended with exit status 255",
}

NEVER = {  # not applicable, wherever
    "exec-mount-apivfs-no": "its root is put together by test-execute, by drop-ins for the programs of this host",
}
_PERSONALITIES = {"x86_64": ("x86-64", "x86"), "aarch64": ("aarch64",), "ppc64": ("ppc64",), "ppc64le": ("ppc64le",),
                  "s390x": ("s390",), "loongarch64": ("loongarch64",)}  # fmt: skip


def not_here(name: str) -> str:
    """Why this host cannot have it run, or an empty string."""
    if name.startswith("exec-personality-"):
        wanted = name.removeprefix("exec-personality-")
        return "" if wanted in _PERSONALITIES.get(os.uname().machine, ()) else "for another machine"
    if name.endswith(("-nobody", "-nogroup", "-nfsnobody")):
        return _nobody(name.rpartition("-")[2], is_group="group" in name or "owner" in name)
    if name in ("exec-dynamicuser-fixeduser-adm", "exec-dynamicuser-fixeduser-games"):
        return _of_one_name(name.rpartition("-")[2])
    if name == "exec-cpuaffinity3" and not {0, 1, 2} <= os.sched_getaffinity(0):
        return "asks for three processors"
    if name == "exec-oomscoreadjust-negative" and not has_capability(CAP_SYS_RESOURCE):
        return "takes CAP_SYS_RESOURCE, which a container may lack"
    programs = {"capabilit": "capsh", "privatenetwork": "ip", "errno": "python3", "error": "python3"}
    for part, program in programs.items():
        if part in name and shutil.which(program) is None:
            return f"{program} is not installed"
    return ""


def _of_one_name(user: str) -> str:
    try:
        group = grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    except KeyError:
        group = ""
    return "" if group == user else f"there is no user {user} whose group has the name"


def _nobody(name: str, *, is_group: bool) -> str:
    names = Path("/etc/group" if is_group else "/etc/passwd").read_text().splitlines()
    return "" if any(line.startswith(f"{name}:") for line in names) else f"{name} is not called so here"


# ------------------------------------------------------------------------------------------------ what is made ready


def touched(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).touch()


def made(*paths: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        for path in paths:
            (root / path).mkdir(exist_ok=True)

    return make


def variables(path: str, more: str = "") -> Callable[[Path], None]:
    def write(root: Path) -> None:
        lines = ("VAR1='word1 word2'", "VAR2=word3 ", "# comment1", "", "; comment2", " ; # comment3",
                 "line without an equal", "VAR3='$word 5 6'", "VAR4='new\nline'", r"VAR5=password\with\backslashes")  # fmt: skip
        (root / path).write_text("\n".join([*lines, more]))

    return write


def copied(source: str, path: str) -> Callable[[Path], None]:
    def copy(root: Path) -> None:
        (root / path).parent.mkdir(exist_ok=True)
        shutil.copy(str(shutil.which(source)), root / path)

    return copy


PREPARED: dict[str, Callable[[Path], None]] = {
    "exec-bindpaths": made("tmp/test-exec-bindpaths", "tmp/test-exec-bindreadonlypaths"),
    "exec-workingdirectory": made("tmp/test-exec_workingdirectory"),
    "exec-workingdirectory-trailing-dot": made("tmp/test-exec_workingdirectory"),
    "exec-privatetmp-yes": touched("tmp/test-exec_privatetmp"),
    "exec-privatetmp-no": touched("tmp/test-exec_privatetmp"),
    "exec-privatetmp-disabled-by-prefix": touched("tmp/test-exec_privatetmp"),
    "exec-environmentfile": variables("tmp/test-exec_environmentfile.conf"),
    "exec-execsearchpath": copied("ls", "tmp/test-exec_execsearchpath/ls_temp"),
    "exec-execsearchpath-environmentfile": variables("tmp/test-exec_execsearchpath_environmentfile.conf"),
    "exec-execsearchpath-environmentfile-set": variables(
        "tmp/test-exec_execsearchpath_environmentfile-set.conf", "PATH=/usr"
    ),
}
PASSED = {"VAR1": "word1 word2", "VAR2": "word3", "VAR3": "$word 5 6", "VAR4": "new\nline",
          "VAR5": "passwordwithbackslashes"}  # fmt: skip
WITHOUT_VARIABLES = (
    "exec-passenvironment-absent",
)  # of the daemon; each of these sets has a daemon of its own
ANOTHER_PATH = ("exec-execsearchpath-passenvironment-set",)

# ------------------------------------------------------------------------------------------------ running them

SETTINGS = Settings(specifiers(os.environ))


class Outcome(Struct, frozen=True):
    kind: str  # "passed", "failed", "not applicable", "not here", "not yet"
    why: str = ""


def judged(name: str, unit: Translated | str) -> Outcome | None:
    """What is known before it is run; None: it can be."""
    if name in NEVER:
        return Outcome("not applicable", NEVER[name])
    if reason := not_here(name):
        return Outcome("not here", reason)
    if isinstance(unit, str):
        return Outcome("not yet", unit)
    problems = load_text(f"{unit.name}.agent.yaml", unit.text.encode(), "f", SETTINGS).problems
    missing = [
        p.option for p in problems if p.message.startswith("no such") or "not supported yet" in p.message
    ]
    if missing:
        return Outcome("not yet", ", ".join(sorted(set(missing))))
    return Outcome("failed", "; ".join(map(str, problems))) if problems else None


def run(daemon: Hermit, name: str, client: Client) -> Outcome:
    """Start it, and compare how it ended with what is expected."""
    if name in PREPARED:
        PREPARED[name](daemon.root)
    unit = name + TEMPLATES.get(name, "")
    answer = client.call("start", {"units": [unit]})
    if not answer["jobs"]:
        return Outcome("failed", str(answer["errors"]))
    job = answer["jobs"][0]
    told = job["words"] if job["state"] != "done" else "ended with exit status 0"
    expected = EXPECTED.get(name, "ended with exit status 0")
    if re.search(rf"{re.escape(expected)}\b", told):
        return Outcome("passed")
    log = daemon.log(unit).decode(errors="replace").splitlines()[-6:]
    return Outcome("failed", " | ".join([f"{told}, and not: {expected}", *log]))


def run_all(units: dict[str, Translated], environ: dict[str, str], path: str = "") -> dict[str, Outcome]:
    """All of these in one daemon, one after the other: some share files in /tmp."""
    if not units:
        return {}
    with hermit(environ, path) as daemon:
        for unit in units.values():
            file = daemon.units / f"{unit.name}.agent.yaml"
            file.write_text(unit.text, encoding="utf-8")
            file.chmod(0o644)
            for place, content in unit.files.items():
                where = daemon.root / place.lstrip("/")
                where.parent.mkdir(parents=True, exist_ok=True)
                where.write_bytes(content)
        daemon.start()
        client = daemon.client
        try:
            return {name: run(daemon, name, client) for name in units}
        finally:
            client.close()


def outcomes(paths: Iterable[Path]) -> dict[str, Outcome]:
    known: dict[str, Outcome] = {}
    batches: dict[str, dict[str, Translated]] = {"": {}, "without variables": {}, "another path": {}}
    for path in paths:
        name = path.name.removesuffix(".service")
        try:
            unit: Translated | str = translated(path, TEMPLATES.get(name, ""))
        except NotTranslatable as why:
            unit = str(why)
        outcome = judged(name, unit)
        if outcome is not None:
            known[name] = outcome
        elif isinstance(unit, Translated):
            batch = (
                "without variables"
                if name in WITHOUT_VARIABLES
                else "another path"
                if name in ANOTHER_PATH
                else ""
            )
            batches[batch][name] = unit
    known |= run_all(batches[""], PASSED)
    known |= run_all(batches["without variables"], {})
    return known | run_all(batches["another path"], PASSED, "/usr")


# ------------------------------------------------------------------------------------------------ the verdict

OPEN: dict[str, str] = {}  # those that fail once they can be run at all, and why they may
PASSING = 149  # how many pass, or would where the host had what they ask for: this grows only
NOT_YET = 0  # how many wait for an option: this shrinks only


def test_units_that_judge_themselves() -> None:
    paths = sorted((FOLDER / "test-execute").glob("exec-*.service"))
    if not paths:
        pytest.skip("systemd's own units are not here: bin/real fetches them")
    if reason := why_not():
        pytest.skip(reason)
    found = outcomes(paths)
    counted = Counter(outcome.kind for outcome in found.values())
    print(", ".join(f"{kind}: {count}" for kind, count in sorted(counted.items())))
    for name, outcome in sorted(found.items()):
        if outcome.kind != "passed":
            print(f"{outcome.kind}: {name}: {outcome.why}")
    failed = {name for name, outcome in found.items() if outcome.kind == "failed"}
    unexpected = {name: found[name].why for name in sorted(failed - OPEN.keys())}
    assert not unexpected, "\n".join(f"{name}: {why}" for name, why in unexpected.items())
    mended = {name for name in OPEN if found[name].kind == "passed"}
    assert not mended, "these pass by now: take them out of OPEN"
    if (FOLDER / "version").read_text().startswith(f"{VERSION}."):
        assert counted["passed"] + counted["not here"] >= PASSING
        assert counted["not yet"] <= NOT_YET
