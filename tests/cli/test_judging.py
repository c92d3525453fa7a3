"""is-active and is-failed: systemd's words and exit codes."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Ctl
from tests.control.fake import Served, unit

STATES = ("active", "activating", "waiting", "inactive", "failed")


@pytest.fixture(autouse=True)
def _units(served: Served) -> None:
    served.service.units = {state: unit(state, state=state) for state in STATES}


@pytest.mark.parametrize(
    ("names", "words", "active", "failed"),
    [
        (["active"], ["active"], 0, 1),
        (["inactive"], ["inactive"], 3, 1),
        (["activating"], ["activating"], 3, 1),
        (["waiting"], ["activating"], 3, 1),  # systemd has no such word
        (["failed"], ["failed"], 3, 0),
        (["failed", "active", "failed"], ["failed", "active", "failed"], 0, 0),
        (["nope"], ["inactive"], 4, 4),
        (["nope", "active"], ["inactive", "active"], 0, 4),
        (["inactive", "nope"], ["inactive", "inactive"], 4, 4),
    ],
)
def test_a_word_for_each_name_and_systemds_exit_code(
    ctl: Ctl, names: list[str], words: list[str], active: int, failed: int
) -> None:
    said = ctl("is-active", *names)
    assert (said.out.splitlines(), said.code, said.err) == (words, active, "")
    said = ctl("is-failed", *names)
    assert (said.out.splitlines(), said.code, said.err) == (words, failed, "")


def test_quiet_only_exits(ctl: Ctl) -> None:
    said = ctl("-q", "is-active", "failed")
    assert (said.out, said.err, said.code) == ("", "", 3)


def test_in_json(ctl: Ctl) -> None:
    view = json.loads(ctl("is-active", "waiting", "active", "nope", "-o", "json").out)
    assert view["met"] is True
    assert view["units"] == [
        {"name": "waiting", "state": "activating"},
        {"name": "active", "state": "active"},
    ]
    assert view["errors"]["nope"]["code"] == "no-such-unit"


def test_it_costs_the_daemon_no_more_than_states(served: Served, ctl: Ctl) -> None:
    ctl("is-active", "active")
    [(_, request)] = served.service.asked
    assert (request.detail, request.lines) == (False, 0)  # type: ignore[attr-defined]
