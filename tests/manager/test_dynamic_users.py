"""Numbers for users that exist for one agent alone: stable, nobody else's, and given back when there are no others."""

from __future__ import annotations

import grp
import pwd

import pytest
from msgspec.structs import replace

from maestro.manager import dynamic_users
from maestro.manager.dynamic_users import RANGE, DynamicUsers, NoneLeft, range_of
from maestro.model.slices import SliceSection, UidRange
from maestro.testing.theatre import unit

SMALL = range(61184, 61188)


class Kept:
    """What a later manager is given."""

    text = ""

    def keep(self, text: str) -> None:
        self.text = text


def test_a_number_is_the_same_for_ever_and_no_two_are_alike() -> None:
    kept = Kept()
    users = DynamicUsers(keep=kept.keep)
    names = [f"agent-{number}" for number in range(300)]
    found = {name: users.find(name) for name in names}
    assert len(set(found.values())) == 300
    assert all(uid in RANGE for uid in found.values())
    later = DynamicUsers(kept.text)
    assert {name: later.find(name) for name in reversed(names)} == found
    assert DynamicUsers().find("agent-0") == found["agent-0"], "it follows from the name"


@pytest.mark.parametrize("kept", ["", "no json", "[]", '{"a": "x"}', '{"a": true}'])
def test_what_was_kept_may_be_spoilt(kept: str) -> None:
    assert DynamicUsers(kept).find("a") == DynamicUsers().find("a")


def test_numbers_of_accounts_and_groups_are_not_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, *_ = SMALL

    def of(number: int) -> object:
        def look(asked: int) -> object:
            if asked == number:
                return object()
            raise KeyError(asked)

        return look

    users = DynamicUsers()
    before = users.find("a", SMALL)
    monkeypatch.setattr(pwd, "getpwuid", of(first))
    monkeypatch.setattr(grp, "getgrgid", of(second))
    monkeypatch.setattr(pwd, "getpwuid", of(before))
    assert users.find("a", SMALL) not in (before, second), "an account has its number by now"
    found = {DynamicUsers().find(f"user-{number}", SMALL) for number in range(50)}
    assert found == set(SMALL) - {before, second}


def test_when_all_are_taken_those_of_units_that_are_gone_are_given_again() -> None:
    users = DynamicUsers()
    found = {name: users.find(name, SMALL) for name in "abcd"}
    with pytest.raises(NoneLeft, match="all numbers from 61184 to 61187 are taken"):
        users.find("e", SMALL)
    users.is_wanted = lambda user: user != "c"
    assert users.find("e", SMALL) == found["c"]
    with pytest.raises(NoneLeft):
        users.find("c", SMALL)
    with pytest.raises(NoneLeft):
        users.find("f", range(0))


def test_another_range_gives_another_number() -> None:
    users = DynamicUsers()
    uid = users.find("a", SMALL)
    other = users.find("a", range(62000, 62010))
    assert uid not in range(62000, 62010)
    assert other in range(62000, 62010)
    assert dynamic_users.FACT == "dynamic_users"


def test_a_slice_sets_numbers_aside() -> None:
    inner, outer = "tenants-acme.slice", "tenants.slice"
    web = unit("web", slice=inner)
    assert range_of(web, {}) == RANGE
    units = {outer: replace(unit(outer), slice=SliceSection(uid_range=UidRange("70000-70999")))}
    assert range_of(web, units) == range(70000, 71000)
    units[inner] = replace(unit(inner), slice=SliceSection(uid_range=UidRange("70100-70101")))
    assert range_of(web, units) == range(70100, 70102)
    assert range_of(unit("free"), units) == RANGE
