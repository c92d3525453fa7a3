"""What a shell would say of an end, told with the end for good."""

from __future__ import annotations

import pytest

from maestro.engine.events import Ended
from maestro.engine.state import Life, Result
from maestro.engine.words import exit_status, how_ended


@pytest.mark.parametrize(
    ("life", "status"),
    [
        (Life(ended=Ended(agent="a#1", code=0)), 0),
        (Life(ended=Ended(agent="a#1", code=7), result=Result.EXIT_CODE), 7),
        (Life(ended=Ended(agent="a#1", code=7)), 7),  # success_exit_status: 7
        (Life(ended=Ended(agent="a#1", signal=15)), 143),
        (Life(ended=Ended(agent="a#1", code=0), result=Result.PROTOCOL), 1),
        (Life(ended=Ended(agent="a#1"), result=Result.LOST), 1),
        (Life(result=Result.RESOURCES), 1),
        (Life(skipped=True), 0),
        (Life(), 1),  # stopped before it ran
    ],
)
def test_the_status_of_an_end(life: Life, status: int) -> None:
    assert exit_status(life) == status


def test_a_limit_that_ended_it_is_named() -> None:
    words = how_ended(Ended(agent="a#1", signal=25))
    assert words == "was killed by SIGXFSZ: a file of it grew past agent.limits.fsize"
    assert how_ended(Ended(agent="a#1", signal=9)) == "was killed by SIGKILL"
