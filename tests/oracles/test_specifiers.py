"""What %-specifiers stand for, beside systemd: names with escapes of all kinds, and what the host gives."""

from __future__ import annotations

import os
import random
import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from maestro.drivers import host
from maestro.model.names import UnitName, split
from maestro.model.plain import Mistake
from maestro.model.specifiers import FOREIGN, TABLE, resolver
from tests.oracles import systemd

pytestmark = pytest.mark.skipif(bool(systemd.why_not()), reason=systemd.why_not() or "-")
NOBODY = 65534
FROM_NAMES = "NpPiIjJf%"
FROM_HOST = "HlmbvTVuUgG"
OTHERWISE = {  # where we differ, and why
    "n": "an agent's name has no suffix",
    "d": "it is in the runtime directory of whoever makes it",
    "y": "the file is another",
    "Y": "the file is another",
    "t": "Maestro runs as root here, systemd as nobody",
    "S": "the same", "C": "the same", "L": "the same", "E": "the same", "h": "the same", "s": "the same",
}  # fmt: skip


def judged(units: dict[str, str]) -> dict[str, str]:
    """The descriptions of services, with their specifiers replaced. All are wanted by one target."""
    with tempfile.TemporaryDirectory(prefix="maestro-oracle-") as root:
        folder = Path(root, "units")
        folder.mkdir()
        for unit, description in units.items():
            text = f"[Unit]\nDefaultDependencies=no\nDescription=<{description}>\n[Service]\nExecStart=/bin/true\n"
            (folder / f"{unit}.service").write_text(text)
        wants = "".join(f"Wants={unit}.service\n" for unit in units)
        (folder / "all.target").write_text(f"[Unit]\nDefaultDependencies=no\n{wants}")
        os.chown(root, NOBODY, NOBODY)
        said = subprocess.run(
            ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
             systemd.SYSTEMD, "--test", "--user", "--unit=all.target", "--no-pager"],
            env={"XDG_RUNTIME_DIR": root, "HOME": root, "SYSTEMD_UNIT_PATH": str(folder), "PATH": "/usr/bin:/bin"},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert said.returncode == 0, said.stderr
    found = re.findall(r"-> Unit (\S+)\.service:\n\t\tDescription: <(.*)>$", said.stdout, re.MULTILINE)
    return dict(found)


def drawn(number: int) -> list[str]:
    chance = random.Random(252)
    pieces = ["a", "b1", "-", "-", r"\x2d", r"\x2f", r"\x20", ".", "_", ":", r"\xc3\xa9", r"\x5c"]
    found: set[str] = set()
    while len(found) < number:
        prefix, instance = ("".join(chance.choices(pieces, k=chance.randint(1, 6))) for _ in "pi")
        if prefix[0] not in ".-" and prefix[-1] != "-":  # systemd aborts at the latter
            found.add(f"{prefix}@{instance}" if chance.random() < 0.7 else prefix)
    return sorted(found)


def test_what_follows_from_the_name() -> None:
    template = "|".join(f"%{letter}" for letter in FROM_NAMES)
    names = drawn(300)
    theirs = judged(dict.fromkeys(names, template))
    assert len(theirs) > 150
    assert {text: replaced(text, template) for text in names} == {text: theirs.get(text) for text in names}


def replaced(text: str, template: str) -> str | None:
    """What we make of it; None where a part of it stands for nothing."""
    prefix, at, instance = text.partition("@")
    try:
        return resolver(UnitName(prefix, instance if at else None, "agent"), host.specifiers({}))(template)
    except Mistake:
        return None


def test_what_the_host_gives() -> None:
    known = host.specifiers({})
    theirs = judged({"a": "|".join(f"%{letter}" for letter in "HlmbvTV")})["a"].split("|")
    ours = resolver(split("a"), known)
    assert theirs == [ours(f"%{letter}") for letter in "HlmbvTV"]


def test_every_letter_is_judged_or_different_on_purpose() -> None:
    assert {row.letter for row in TABLE} == set(FROM_NAMES) | set(FROM_HOST) | set(OTHERWISE)
    assert not {row.letter for row in TABLE} & set(FOREIGN)
    for letter in FOREIGN:
        with pytest.raises(Mistake, match="means nothing here"):
            resolver(split("a"), host.specifiers({}))(f"%{letter}")
