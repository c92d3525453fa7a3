"""What names mean, and what is said of those that mean nothing."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.control.finder import Finder
from maestro.engine.world import World
from maestro.manager.catalogue import Catalogue
from maestro.model.load import Settings
from maestro.testing.fakes import FakeFiles

GOOD = "agent: {exec: /bin/true}\n"
INTO_DEFAULT = "wanted_by: [default.target]"


def finder(**texts: str) -> Finder:
    """With these agents; `w_` is the template w@."""
    files = {f"{name.replace('_', '@')}.agent.yaml": text for name, text in texts.items()}
    catalogue = Catalogue(FakeFiles(**files), Settings())
    world = World(catalogue.resolve, catalogue.masked_by)
    catalogue.load(world, {})
    return Finder(world, catalogue)


def test_enabling_a_template_means_its_default_instance() -> None:
    find = finder(w_=f"{GOOD}install: {{{INTO_DEFAULT}, default_instance: main}}\n", web=GOOD)
    for name in ("w@", "w@.agent"):
        assert find.to_enable([name, "web"]) == (["w@main", "web"], {})
    assert find.to_enable(["w@eu"]) == (["w@eu"], {})


def test_a_template_without_a_default_instance_is_not_enabled() -> None:
    find = finder(w_=f"{GOOD}install: {{{INTO_DEFAULT}}}\n", bad_="agent: {exce: x}\n", web=GOOD)
    names, errors = find.to_enable(["w@", "bad@", "web", "none@"])
    assert names == ["web"]
    assert {name: error.code for name, error in errors.items()} == {
        "w@": "no-default-instance",
        "bad@": "bad-unit",
        "none@": "no-such-unit",
    }
    assert errors["w@"].message == "cannot enable w@: it is a template, and names no default instance"
    assert errors["w@"].hint.startswith("name an instance, such as w@1")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a/b", "contains '/'"),
        ("..", "is a directory"),
        ("a\0b", "the control character U+0000"),
        ("a\x1b", "the control character U+001B"),
        ("x" * 201, "201 characters"),
        ("db.service", "only systemd has"),
        ("web.agent.yaml", "is a file"),
    ],
)
@pytest.mark.parametrize("ask", ["match", "in_force", "to_enable"])
def test_a_name_that_no_unit_can_have_is_told_from_one_that_no_unit_has(
    ask: str, name: str, why: str
) -> None:
    find: Any = getattr(finder(web=GOOD), ask)
    names, errors = find([name, "web", "wbe"])
    assert names == ["web"]
    assert {error.code for error in errors.values()} == {"no-such-unit"}
    assert errors[name].message.startswith("no unit can have this name: ")
    assert why in errors[name].message
    assert errors["wbe"].message == "no unit wbe"
