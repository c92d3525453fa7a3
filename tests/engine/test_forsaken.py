"""What an agent has for as long as it runs is given up when it has ended: at every end, or at the last one."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.engine.events import Deed, Forsake
from maestro.model.credentials import CredentialTexts
from maestro.model.directories import DirectoryName
from maestro.model.unit import RestartSection
from maestro.testing.theatre import FOREVER, Play, Theatre, unit
from tests.engine.around import NEVER, commands

ONE: dict[str, Any] = {"runtime_directory": (DirectoryName("app"),)}
SECRET = {"set_credential": CredentialTexts({"a": "b"})}


class Watched(Theatre):
    """Notes what was given up, and when."""

    def carry(self, deed: Deed) -> None:
        if isinstance(deed, Forsake):
            self.__dict__.setdefault("given_up", []).append((self.now, deed.for_good))
        super().carry(deed)


def given_up(theatre: Theatre) -> list[tuple[float, bool]]:
    return theatre.__dict__.get("given_up", [])  # type: ignore[no-any-return]


def played(play: Play, **options: Any) -> Watched:
    theatre = Watched([unit(**options)], lambda *_: play)
    theatre.ask("start", "web")
    theatre.run(until=10)
    return theatre


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, []),
        ({**ONE}, [(5.0, False)]),
        ({**SECRET}, [(5.0, False)]),
        ({**ONE, "runtime_directory_preserve": "restart"}, [(5.0, True)]),
        ({**ONE, "runtime_directory_preserve": "yes"}, []),
        ({**ONE, **SECRET, "runtime_directory_preserve": "restart"}, [(5.0, False), (5.0, True)]),
    ],
)
def test_at_its_end(options: dict[str, Any], found: list[tuple[float, bool]]) -> None:
    assert given_up(played(Play(ends=5), restart=NEVER, **options)) == found


def test_between_two_runs_only_where_it_is_not_to_be_kept() -> None:
    again = RestartSection(policy="always")
    often = played(Play(ends=1, code=1), restart=again, **ONE)
    assert len(given_up(often)) >= 2
    kept = played(Play(ends=1, code=1), restart=again, runtime_directory_preserve="restart", **ONE)
    assert given_up(kept) == []
    kept.ask("stop", "web")
    kept.run(until=20)
    assert [for_good for _, for_good in given_up(kept)] == [True], "in a pause, too"


def test_not_where_nothing_was_started() -> None:
    assert given_up(played(Play(skipped="no"), restart=NEVER, **ONE)) == []
    stopped = Watched([unit(**ONE)], lambda *_: FOREVER)
    stopped.ask("stop", "web")
    stopped.run(until=10)
    assert given_up(stopped) == []


def test_not_where_a_condition_has_left_it_out_but_where_a_command_has() -> None:
    """That command had a directory made."""
    assert given_up(played(Play(skipped="no"), **ONE)) == []
    one = unit(exec_condition=commands("/bin/one"), runtime_directory_preserve="restart", **ONE)
    theatre = Watched([one], commands=lambda *_: Play(ends=1, code=1))
    theatre.ask("start", "web")
    theatre.run(until=10)
    assert given_up(theatre) == [(1.0, True)]
