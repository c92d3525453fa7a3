"""An agent's own directories in unit files, with systemd's grammar."""

from __future__ import annotations

import pytest

from maestro.model.directories import DirectoryName
from maestro.model.load import load_text
from maestro.model.plain import Mistake


@pytest.mark.parametrize(
    ("given", "path", "link"),
    [
        ("app", "app", ""),
        ("./app//deep/./er/", "app/deep/er", ""),
        ("app:shown", "app", "shown"),
        ("app/data:other//shown", "app/data", "other/shown"),
        ("privateer", "privateer", ""),
    ],
)
def test_names(given: str, path: str, link: str) -> None:
    name = DirectoryName(given)
    assert (name.path, name.link) == (path, link)
    assert DirectoryName(str(name)) == name


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("/app", "'/app' is absolute"),
        ("app/../..", "leads out of its base directory"),
        ("", "names no directory"),
        (".", "names no directory"),
        ("app:", "names no directory"),
        ("app:/etc", "'/etc' is absolute"),
        ("app:../x", "leads out of its base directory"),
        ("private", "holds the directories of dynamic users"),
        ("private/app", "holds the directories of dynamic users"),
        ("app:private/x", "holds the directories of dynamic users"),
        ("maestro", "where Maestro keeps what is its own"),
        ("app:maestro/units", "where Maestro keeps what is its own"),
        ("app:app", "is a link to itself"),
        ("a\nb", "cannot be a directory's name"),
        ("x" * 300, "cannot be a directory's name"),
    ],
)
def test_what_is_none(given: str, why: str) -> None:
    with pytest.raises(Mistake, match=why):
        DirectoryName(given)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("  root_directory: /srv\n  state_directory: app\n", "could not be seen below root_directory /srv"),
        ("  state_directory_mode: 0999\n", "does not have the form"),
        ("  runtime_directory_preserve: maybe\n", "is not one of no, yes, restart"),
    ],
)
def test_what_cannot_be(options: str, why: str) -> None:
    [problem] = load_text("w.agent.yaml", f"agent:\n  exec: [a]\n{options}".encode(), "f").problems
    assert why in str(problem)
