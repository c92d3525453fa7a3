"""All units of a set of files."""

from __future__ import annotations

import time

import pytest

from maestro.model.library import Library, load_all
from maestro.ports import Piece, UnitSources

AGENT = b"agent: {exec: [a, '%i']}\n"


def sources(files: dict[str, bytes], **links: dict[str, tuple[str, ...]]) -> UnitSources:
    pieces = {name: Piece(path=f"/u/{name}", text=text) for name, text in files.items()}
    return UnitSources(files=pieces, links=links.get("links", {}), requirements=links.get("requirements", {}))


def argument(library: Library, name: str) -> str:
    loaded = library.get(name)
    assert loaded is not None
    assert loaded.unit is not None
    assert loaded.unit.agent is not None
    return loaded.unit.agent.exec[-1]


def test_units_and_templates() -> None:
    library = load_all(
        sources({"db.agent.yaml": AGENT, "w@.agent.yaml": AGENT, "w@own.agent.yaml": b"agent: {exec: b}"})
    )
    assert set(library.units) == {"db", "w@own", "default.target"}
    assert set(library.templates) == {"w@"}
    assert argument(library, "w@eu") == "eu"
    assert argument(library, "w@own") == "b"
    assert "w@eu" in library.loaded
    assert library.get("w@") is None
    assert library.get("none") is None
    assert library.get("../etc") is None
    assert library.get("none@1") is None
    assert library.get("db.agent") is library.get("db")
    assert library.problems == ()


def test_wanted_instances_are_made() -> None:
    assert "w@1" in load_all(sources({"w@.agent.yaml": AGENT}), ["w@1", "nothing"]).units


def test_links_are_merged() -> None:
    library = load_all(
        sources(
            {"db.agent.yaml": AGENT, "x.target.yaml": b"unit: {wants: [a, db]}"},
            links={"default.target": ("db", "w@1"), "x.target": ("db", "b"), "gone.target": ("db",)},
            requirements={"x.target": ("c",)},
        )
    )
    assert library.units["default.target"].unit.wants == ("db", "w@1")
    assert library.units["x.target"].unit.wants == ("a", "db", "b")
    assert library.units["x.target"].unit.requires == ("c",)
    assert "gone.target" not in library.units


def test_a_default_target_of_ones_own() -> None:
    library = load_all(
        sources({"default.target.yaml": b"unit: {description: mine}"}, links={"default.target": ("a",)})
    )
    unit = library.units["default.target"]
    assert (unit.unit.description, unit.unit.wants) == ("mine", ("a",))


def test_problems_of_all_files() -> None:
    files = {
        "a.agent.yaml": b"agent: {}\n",
        "b.agent.yaml": b"[",
        "w@.agent.yaml": b"agent: {exec: a, usr: b}\n",
        "ok.agent.yaml": AGENT,
        "t.timer.yaml": b"",
        "README.yaml": b"",
    }
    pieces = dict(sources(files).files) | {
        "r.agent.yaml": Piece(path="/u/r.agent.yaml", refused="is a directory, not a file")
    }
    pieces["d.target.wants/x y"] = Piece(path="/u/d.target.wants/x y", refused="names no unit")
    library = load_all(UnitSources(files=pieces, links={}))
    assert [problem.path.removeprefix("/u/") for problem in library.problems] == [
        "README.yaml", "a.agent.yaml", "b.agent.yaml", "d.target.wants/x y", "r.agent.yaml", "t.timer.yaml", "w@.agent.yaml",
    ]  # fmt: skip
    assert set(library.units) == {"ok", "default.target"}
    refused = library.get("r")
    assert refused is not None
    assert str(refused.problems[0]) == "/u/r.agent.yaml:1:1: is a directory, not a file"
    instance = library.get("w@1")
    assert instance is not None
    assert instance.unit is None
    assert len(library.problems) == 7  # the instance's are the template's


def test_what_did_not_change_is_kept() -> None:
    before = sources({"a.agent.yaml": AGENT, "b.agent.yaml": AGENT})
    library = load_all(before)
    after = UnitSources(
        files={**before.files, "b.agent.yaml": Piece(path="/u/b.agent.yaml", text=b"agent: {exec: z}")},
        links={},
    )
    again = load_all(after, previous=library)
    assert again.get("a") is library.get("a")
    assert argument(again, "b") == "z"


@pytest.mark.parametrize("files", [1000])
def test_a_thousand_files(files: int) -> None:
    text = b"""unit:
  description: Reads papers
  requires: [vectordb]
  after: [vectordb]
agent:
  exec: [/opt/bin/python, -m, researcher, --name, "%i"]
  type: notify
  user: researcher
  restart: {policy: on-failure, delay: 1s, max_delay: 5min}
  stop: {sequence: [TERM 30s, KILL]}
health:
  readiness: {http: "http://127.0.0.1:8080/ready", interval: 10s}
install: {wanted_by: [default.target]}
"""
    some = sources({f"u{number}.agent.yaml": text for number in range(files)})
    began = time.perf_counter()
    library = load_all(some)
    took = time.perf_counter() - began
    assert len(library.units) == files + 1
    assert took < 3  # 0.4 s on a quiet machine
