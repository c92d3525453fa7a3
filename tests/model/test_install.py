"""Aliases, what enabling comes to, and the word that `is-enabled` says."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.model import aliases, install, names
from maestro.model.library import Library, load_all
from maestro.model.load import load_text
from maestro.model.preset import Rule, decide, parse
from maestro.ports import Piece, UnitSources

AGENT = "agent: {exec: a}\n"
WANTED = f"{AGENT}install: {{wanted_by: [default.target], alias: [pg], required_by: x.target}}\n"


def sources(files: dict[str, str], **more: Any) -> UnitSources:
    pieces = {
        file: Piece(path=f"/etc/{file}", text=text.encode(), masked=text == "MASKED")
        for file, text in files.items()
    }
    return UnitSources(files=pieces, links={}, runtime="/run", **more)


# ------------------------------------------------------------------------------------------------ aliases


@pytest.fixture
def library() -> Library:
    files = {
        "postgres.agent.yaml": AGENT,
        "pg.agent.yaml": "not read",
        "w@.agent.yaml": "agent: {exec: [a, '%i']}",
        "job@.agent.yaml": "",
        "main.agent.yaml": "",
        "web.agent.yaml": f"{AGENT}unit: {{requires: [pg], after: [postgres, pg], wants: ['job@1', main]}}",
    }
    links = {
        "pg.agent.yaml": "postgres.agent.yaml",
        "job@.agent.yaml": "w@.agent.yaml",
        "main.agent.yaml": "w@main.agent.yaml",
    }
    return load_all(sources(files, aliases=links))


def test_an_alias_means_its_unit(library: Library) -> None:
    assert library.get("pg") is library.get("postgres")
    assert (library.real("pg"), library.real("job@7"), library.real("web")) == ("postgres", "w@7", "web")
    assert library.real("main") == "w@main"
    assert "pg" not in library.loaded
    assert library.problems == ()


def test_an_alias_is_put_right_where_it_is_waited_for_and_the_last_word_counts() -> None:
    files = {"db.agent.yaml": AGENT, "web.agent.yaml": f"{AGENT}unit: {{after: [db, pg started]}}\n"}
    web = load_all(sources(files, aliases={"pg.agent.yaml": "db.agent.yaml"})).get("web")
    assert web is not None
    assert web.unit is not None
    assert web.unit.unit.after == ("db started",)


def test_an_instance_of_an_alias_is_one_of_its_template(library: Library) -> None:
    loaded = library.get("job@7")
    assert loaded is not None
    assert loaded.unit is not None
    assert loaded.unit.name == "w@7"


def test_references_are_by_name(library: Library) -> None:
    unit = library.units["web"].unit
    assert (unit.requires, unit.after, unit.wants) == (("postgres",), ("postgres",), ("w@1", "w@main"))


@pytest.mark.parametrize(
    ("link", "target", "why"),
    [
        ("x.target.yaml", "db.agent.yaml", "an alias is of the kind of what it means: agent"),
        ("x.agent.yaml", "w@.agent.yaml", "an alias of a template is a template, or an instance"),
        ("x@.agent.yaml", "db.agent.yaml", "a template can be an alias of a template only"),
    ],
)
def test_links_that_cannot_be_aliases(link: str, target: str, why: str) -> None:
    assert aliases.sort({link: target}) == ({}, {link: f"is a link to {target}: {why}"})
    files = {link: AGENT if "agent" in link else "", target: AGENT}
    problems = load_all(sources(files, aliases={link: target})).problems
    assert f"/etc/{link}:1:1: is a link to {target}: {why}" in map(str, problems)


def test_an_instance_linked_to_its_template_is_no_alias() -> None:
    assert aliases.sort({"w@eu.agent.yaml": "w@.agent.yaml"}) == ({}, {})


# ------------------------------------------------------------------------------------------------ enable


def test_the_links_that_enable() -> None:
    unit = load_text("postgres.agent.yaml", WANTED.encode(), "f").unit
    assert unit is not None
    assert list(install.links(unit)) == [
        "default.target.wants/postgres.agent.yaml", "x.target.requires/postgres.agent.yaml", "pg.agent.yaml",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alias: [x.target]", "x.target is of kind target: an alias is of the kind of what it means"),
        ("alias: [db]", "db is its name already"),
    ],
)
def test_aliases_that_make_no_sense(text: str, said: str) -> None:
    [problem] = load_text("db.agent.yaml", f"{AGENT}install: {{{text}}}".encode(), "f").problems
    assert problem.message == said


@pytest.mark.parametrize(
    ("name", "files", "more", "state"),
    [
        ("db", {"db.agent.yaml": WANTED}, {}, "disabled"),
        ("db", {"db.agent.yaml": WANTED}, {"enabled": {"db": "enabled"}}, "enabled"),
        ("db", {"db.agent.yaml": WANTED}, {"enabled": {"db": "enabled-runtime"}}, "enabled-runtime"),
        ("db", {"db.agent.yaml": AGENT}, {}, "static"),
        ("db", {"db.agent.yaml": f"{AGENT}install: {{also: [x]}}"}, {}, "indirect"),
        ("db", {"db.agent.yaml": "agent: {}"}, {}, "bad"),
        ("db", {"db.agent.yaml": "MASKED"}, {}, "masked"),
        ("db", {}, {}, "not-found"),
        ("pg", {"db.agent.yaml": WANTED, "pg.agent.yaml": ""}, {"aliases": {"pg.agent.yaml": "db.agent.yaml"}}, "alias"),
        ("w@", {"w@.agent.yaml": WANTED}, {}, "disabled"),
        ("w@", {"w@.agent.yaml": WANTED}, {"enabled": {"w@1": "enabled"}}, "indirect"),
        ("w@", {"w@.agent.yaml": f"{AGENT}install: {{default_instance: '1'}}"}, {"enabled": {"w@1": "enabled"}}, "enabled"),
        ("w@2", {"w@.agent.yaml": WANTED}, {"enabled": {"w@1": "enabled"}}, "disabled"),
        ("w@2", {"w@.agent.yaml": "MASKED"}, {}, "masked"),
    ],
)  # fmt: skip
def test_states(name: str, files: dict[str, str], more: dict[str, dict[str, str]], state: str) -> None:
    found = sources(files, **more)
    assert install.state(name, load_all(found), found) == state
    assert state in install.STATES


def test_a_mask_until_the_next_boot() -> None:
    found = UnitSources(
        files={"db.agent.yaml": Piece(path="/run/db.agent.yaml", masked=True)}, links={}, runtime="/run"
    )
    assert install.state("db", load_all(found), found) == "masked-runtime"


# ------------------------------------------------------------------------------------------------ presets

PRESET = """\
# first match counts
enable db
enable w@ eu us
disable w@
; another comment
disable *.target

enable web.agent
disable *
"""


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("db", Rule(True, "db")),
        ("web", Rule(True, "web.agent")),
        ("w@", Rule(True, "w@", ("eu", "us"))),
        ("w@eu", Rule(True, "w@", ("eu", "us"))),
        ("w@asia", Rule(False, "*")),
        ("default.target", Rule(False, "*.target")),
        ("other", Rule(False, "*")),
    ],
)
def test_the_first_rule_about_a_unit_counts(name: str, rule: Rule) -> None:
    assert decide(parse([("f", PRESET)]).rules, names.split(name)) == rule


def test_what_no_rule_is_about_is_enabled() -> None:
    assert decide((), names.split("db")).enable


def test_lines_that_are_no_rules() -> None:
    presets = parse([("a", "enable\n"), ("b", "\nallow x\ndisable a b\nenable c\n")])
    assert [str(problem).partition(" (")[0] for problem in presets.problems] == [
        "a:1:1: 'enable' is no rule", "b:2:1: 'allow x' is no rule", "b:3:1: 'disable a b' is no rule",
    ]  # fmt: skip
    assert presets.rules == (Rule(True, "c"),)
