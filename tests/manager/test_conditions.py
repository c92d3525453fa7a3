"""Conditions and asserts, looked at just before a start."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from maestro.engine.events import Asked, Reread
from maestro.manager import conditions
from maestro.model.conditions import Check, CheckSection, PathCheck
from maestro.model.option import describe
from maestro.model.unit import Unit
from maestro.testing.loop import play
from maestro.testing.theatre import unit
from tests.manager.rig import rig, turns

NOTHING = CheckSection()


def with_checks(condition: CheckSection = NOTHING, refusal: CheckSection = NOTHING) -> Unit:
    plain = unit()
    return Unit(
        name="web", kind="agent", unit=plain.unit, agent=plain.agent, condition=condition, assert_=refusal
    )


def exists(*paths: str) -> CheckSection:
    return CheckSection(path_exists=tuple(map(PathCheck, paths)))


def test_every_check_that_can_be_written_can_be_made() -> None:
    assert {option.name for option in describe(CheckSection)} == set(conditions.TESTS)


@pytest.mark.parametrize(
    ("paths", "says"),
    [
        ((), ""),
        (("/", "!/no"), ""),
        (("/", "/no", "/no2"), "condition path_exists=/no was not met"),
        (("!/",), "condition path_exists=!/ was not met"),
        (("|/no", "|/"), ""),
        (("|/no", "/"), "none of condition path_exists=|/no was met"),
        (("|/no", "|!/"), "none of condition path_exists=|/no, path_exists=|!/ was met"),
        (("|/", "/no"), "condition path_exists=/no was not met"),
    ],
)
def test_all_of_the_plain_ones_and_one_of_the_others(paths: tuple[str, ...], says: str) -> None:
    assert conditions.unmet(exists(*paths), "condition", {}) == says


@pytest.mark.parametrize(
    "name", [name for name in conditions.TESTS if name.startswith(("path", "file", "dir"))]
)
def test_what_cannot_be_looked_at_is_not_so(name: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    below = f"{tmp_path}/loop/below"
    assert not conditions.holds(name, PathCheck(below), {})
    assert conditions.holds(name, PathCheck(f"!{below}"), {})


def test_a_credential_is_a_name_in_the_directory(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert conditions.holds("credential", Check("key"), environ)
    assert not conditions.holds("credential", Check("../key"), environ)
    assert not conditions.holds("credential", Check("key"), {})


async def start(one: Any) -> Any:
    one.manager.feed(Asked("start", ("web",)))
    await one.manager.settle()
    return one.manager.world.life("web")


def test_an_unmet_condition_skips_the_start() -> None:
    async def go() -> None:
        async with rig(with_checks(exists("/no-such-file"))) as one:
            life = await start(one)
            assert life.cause == "skipped: condition path_exists=/no-such-file was not met"
            assert (one.state("web"), one.keeper.asked("spawn")) == ("dead", [])
            # in case that an earlier manager had it started
            assert one.keeper.asked("send") == [("web#1", signal.SIGKILL, True)]
            await one.manager.settle()
            assert "skipped" in one.told

    play(go())


def test_an_unmet_assert_fails_the_start() -> None:
    async def go() -> None:
        async with rig(with_checks(refusal=exists("/no-such-file"))) as one:
            life = await start(one)
            assert life.cause == "assert path_exists=/no-such-file was not met"
            assert (one.state("web"), one.keeper.asked("spawn")) == ("failed", [])

    play(go())


def test_conditions_go_before_asserts_and_what_holds_is_started() -> None:
    async def go() -> None:
        async with rig(with_checks(exists("!/"), exists("!/"))) as one:
            assert (await start(one)).cause.startswith("skipped")
        async with rig(with_checks(exists("/"), exists("/"))) as one:
            await start(one)
            assert one.keeper.asked("spawn") == [("web#1",)]

    play(go())


@pytest.mark.parametrize(
    ("path", "state", "cause"),
    [("/", "running", "reached"), ("/no", "dead", "skipped: condition path_exists=/no was not met")],
)
def test_the_conditions_of_a_target_are_looked_at(path: str, state: str, cause: str) -> None:
    async def go() -> None:
        async with rig(unit("all.target", condition=exists(path))) as one:
            one.manager.feed(Asked("start", ("all.target",)))
            await one.manager.settle()
            assert one.manager.world.life("all.target").cause == cause
            assert (one.state("all.target"), one.keeper.asked("spawn")) == (state, [])

    play(go())


def test_a_target_that_is_stopped_and_gone_before_its_conditions_were_looked_at() -> None:
    """Its start was being committed meanwhile: what comes of that is for nobody any more."""

    async def go() -> None:
        async with rig(unit("all.target", condition=exists("/"))) as one:
            one.store.gate.clear()
            one.manager.note_fact("any", "thing")
            await turns()
            for event in (
                Asked("start", ("all.target",)),
                Asked("stop", ("all.target",)),
                Reread(("all.target",)),
            ):
                one.manager.feed(event)
            one.store.gate.set()
            await one.manager.settle()
            assert (one.doomed, one.state("all.target")) == ([], "dead")

    play(go())
