"""What is kept of a recipe: only what the definition alone says, and only while that is in force."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from maestro.manager import recipe
from maestro.manager.drafts import Drafts
from maestro.model.unit import Unit
from maestro.model.values import EnvironmentMap, UserName
from maestro.testing.theatre import unit
from tests.manager.test_recipe import HOUSE


@pytest.fixture
def house() -> recipe.House:
    return replace(HOUSE, drafts=Drafts())


def test_each_process_has_an_id_of_its_own_all_the_same(house: recipe.House) -> None:
    web = unit("web")
    first, second = (recipe.make(web, agent, house) for agent in ("web#1", "web#2"))
    assert house.drafts.of(web) is not None
    assert first.env.pop("INVOCATION_ID") != second.env.pop("INVOCATION_ID")
    assert first == second


def test_another_definition_is_another_draft(house: recipe.House) -> None:
    recipe.make(unit("web"), "web#1", house)
    changed = unit("web", environment=EnvironmentMap({"A": "b"}))
    assert recipe.make(changed, "web#2", house).env["A"] == "b"


def test_what_one_process_is_told_is_not_told_to_the_next(house: recipe.House) -> None:
    web = unit("web")
    recipe.make(web, "web#1", house).env["A"] = "changed by who got it"
    assert "A" not in recipe.make(web, "web#2", house).env


@pytest.mark.parametrize("option", ["user", "group", "environment_file"])
def test_what_may_change_outside_of_the_definition_is_looked_up_each_time(
    house: recipe.House, option: str, tmp_path: Path
) -> None:
    (tmp_path / "env").write_text("A=1")
    value = {"user": UserName("0"), "group": UserName("0"), "environment_file": (str(tmp_path / "env"),)}[
        option
    ]
    web: Unit = unit("web", **{option: value})
    recipe.make(web, "web#1", house)
    assert house.drafts.of(web) is None


def test_nothing_is_kept_of_a_unit_at_rest(house: recipe.House) -> None:
    web = unit("web")
    recipe.make(web, "web#1", house)
    house.drafts.drop("web")
    assert house.drafts.of(web) is None


def test_units_that_differ_in_nothing_but_their_names_share_one(house: recipe.House) -> None:
    web, db, other = unit("web"), unit("db"), unit("other", environment=EnvironmentMap({"A": "b"}))
    made = [recipe.make(one, f"{one.name}#1", house) for one in (web, db, other)]
    assert house.drafts.of(web) is house.drafts.of(db)
    assert house.drafts.of(web) is not house.drafts.of(other)
    for one in made:
        assert one.title == one.stream == one.env["MAESTRO_UNIT"]
    assert [one.title for one in made] == ["web", "db", "other"]


def test_drafts_of_no_unit_any_more_are_few(house: recipe.House) -> None:
    for number in range(200):
        name = f"web{number}"
        recipe.make(unit(name, environment=EnvironmentMap({"A": str(number)})), f"{name}#1", house)
        house.drafts.drop(name)
    assert len(house.drafts._drafts) <= 64
