"""Which files override, extend or mask which."""

from __future__ import annotations

import pytest

from maestro.model.delta import KINDS, differences
from maestro.ports import Piece


def piece(path: str, text: str = "a\n", *, masked: bool = False) -> Piece:
    return Piece(path=path, text=text.encode(), masked=masked)


@pytest.mark.parametrize(
    ("versions", "told"),
    [
        ({"a.agent.yaml": (piece("/etc/a"),)}, []),
        ({"a.agent.yaml": (piece("/etc/a"), piece("/lib/a"))}, [("equivalent", "/etc/a", "/lib/a")]),
        ({"a.agent.yaml": (piece("/etc/a", "b\n"), piece("/lib/a"))}, [("overridden", "/etc/a", "/lib/a")]),
        ({"a.agent.yaml": (piece("/etc/a", "", masked=True), piece("/lib/a"))}, [("masked", "/etc/a", "/lib/a")]),
        ({"a.agent.yaml": (piece("/etc/a", ""), piece("/lib/a"))}, [("masked", "/etc/a", "/lib/a")]),
        ({"a.agent.yaml": (piece("/lib/a"),), "a.agent.yaml.d/x.yaml": (piece("/etc/x"), piece("/lib/x", "y"))},
         [("overridden", "/etc/x", "/lib/x"), ("extended", "/etc/x", "/lib/a")]),
        ({"a.agent.yaml.d/x.yaml": (piece("/etc/x"),)}, []),
    ],
)  # fmt: skip
def test_differences(versions: dict[str, tuple[Piece, ...]], told: list[tuple[str, str, str]]) -> None:
    found = list(differences(versions))
    assert [(one.kind, one.top, one.bottom) for one in found] == told
    assert {one.kind for one in found} <= set(KINDS)


def test_what_is_different_is_shown() -> None:
    [one] = differences({"a": (piece("/etc/a", "x\nb\n"), piece("/lib/a", "x\na\n"))})
    assert one.diff[:2] == ("--- /lib/a", "+++ /etc/a")
    assert one.diff[-2:] == ("-a", "+b")


@pytest.mark.parametrize(("leads", "kind"), [("/srv/a", "redirected"), ("/lib/a", "equivalent")])
def test_a_link_over_a_file(leads: str, kind: str) -> None:
    versions = {"a": (piece("/etc/a"), piece("/lib/a", "b\n"))}
    [one] = differences(versions, {"/etc/a": leads})
    assert (one.kind, one.top, one.bottom, one.diff) == (kind, "/etc/a", "/lib/a", ())


def test_a_link_to_nowhere_masks_and_leads_nowhere() -> None:
    [one] = differences({"a": (piece("/etc/a", "", masked=True), piece("/lib/a"))}, {"/etc/a": "/dev/null"})
    assert one.kind == "masked"


def test_a_link_to_what_is_not_there_is_no_mask() -> None:
    top = Piece(path="/etc/a", refused="is a link to /gone, which does not exist")
    [one] = differences({"a": (top, piece("/lib/a"))}, {"/etc/a": "/gone"})
    assert one.kind == "redirected"
