"""All units of a set of files."""

from __future__ import annotations

import time

import pytest

from maestro.model import library as library_module
from maestro.model import names
from maestro.model.library import Library, load_all
from maestro.model.yaml_events import Parsed, parse
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
    assert not load_all(UnitSources(files=pieces, links={})).problems[3].hint, "its name is not what is wrong"
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


# ------------------------------------------------------------------------------------------------ what is laid over


def over(files: dict[str, bytes], dropins: dict[str, dict[str, str]], **overlays: str) -> UnitSources:
    """Pieces that each add a variable by their own name."""

    def piece(path: str, name: str) -> Piece:
        return Piece(path=path, text=f"agent: {{environment: {{{name}: 1, LAST: {name}}}}}".encode())

    return UnitSources(
        files=dict(sources(files).files),
        links={},
        dropins={
            folder: tuple(piece(f"/u/{folder}/{file}", name) for file, name in inside.items())
            for folder, inside in dropins.items()
        },
        overlays={
            f"{name.replace('_', '@')}.agent.yaml": piece(f"/e/{name}", value)
            for name, value in overlays.items()
        },
    )


def environment(library: Library, name: str) -> dict[str, str]:
    loaded = library.get(name)
    assert loaded is not None
    assert loaded.unit is not None, loaded.problems
    assert loaded.unit.agent is not None
    return dict(loaded.unit.agent.environment)


def test_the_order_is_base_environment_kind_template_instance() -> None:
    library = load_all(
        over(
            {"w@.agent.yaml": AGENT, "db.agent.yaml": AGENT},
            {
                "w@eu.agent.yaml.d": {"a": "INSTANCE"},
                "w@.agent.yaml.d": {"a": "TEMPLATE"},
                "agent.d": {"a": "KIND"},
            },
            w_="ENVIRONMENT",
            w_eu="ENVIRONMENT_OF_INSTANCE",
        )
    )
    eu = environment(library, "w@eu")
    assert [name for name in eu if name != "LAST"] == [
        "ENVIRONMENT", "ENVIRONMENT_OF_INSTANCE", "KIND", "TEMPLATE", "INSTANCE",
    ]  # fmt: skip
    assert eu["LAST"] == "INSTANCE"
    assert environment(library, "w@us")["LAST"] == "TEMPLATE"
    assert environment(library, "db") == {"KIND": "1", "LAST": "KIND"}
    assert library.warnings == ()


def test_the_default_target_takes_drop_ins_without_a_file() -> None:
    piece = Piece(path="/u/x", text=b"unit: {wants: [db]}")
    library = load_all(UnitSources(files={}, links={}, dropins={"default.target.yaml.d": (piece,)}))
    assert library.units["default.target"].unit.wants == ("db",)


def test_a_drop_in_without_its_unit_is_a_warning() -> None:
    library = load_all(
        over({"a.agent.yaml": AGENT}, {"b.agent.yaml.d": {"x": "X"}, "w@.agent.yaml.d": {"y": "Y"}}, gone="Z")
    )
    assert list(map(str, library.warnings)) == [
        "/e/gone:1:1: belongs to no unit: there is no gone.agent.yaml",
        "/u/b.agent.yaml.d/x:1:1: belongs to no unit: there is no b.agent.yaml",
        "/u/w@.agent.yaml.d/y:1:1: belongs to no unit: there is no w@.agent.yaml",
    ]
    assert library.problems == ()


def test_a_refused_drop_in_keeps_the_unit_from_loading() -> None:
    bad = Piece(path="/u/x", refused="is writable by all: chmod o-w /u/x")
    library = load_all(
        UnitSources(
            files=sources({"a.agent.yaml": AGENT}).files, links={}, dropins={"a.agent.yaml.d": (bad,)}
        )
    )
    assert "a" not in library.units
    assert [str(problem) for problem in library.problems] == ["/u/x:1:1: is writable by all: chmod o-w /u/x"]


def test_only_what_a_drop_in_is_for_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"a.agent.yaml": AGENT, "w@.agent.yaml": AGENT}
    library = load_all(over(files, {"w@1.agent.yaml.d": {"x": "X"}}), ["w@1", "w@2"])
    parsed: list[str] = []

    def noted(text: bytes, path: str) -> Parsed:
        parsed.append(path)
        return parse(text, path)

    monkeypatch.setattr(library_module, "parse", noted)
    again = load_all(over(files, {"w@1.agent.yaml.d": {"x": "CHANGED"}}), ["w@1", "w@2"], previous=library)
    assert parsed == ["/u/w@1.agent.yaml.d/x"]
    assert again.get("a") is library.get("a")
    assert again.get("w@2") is library.get("w@2")
    assert environment(again, "w@1")["LAST"] == "CHANGED"


def test_a_masked_file_makes_no_unit_and_is_no_problem() -> None:
    masked = Piece(path="/u/w@.agent.yaml", masked=True)
    library = load_all(UnitSources(files={"w@.agent.yaml": masked, "db.agent.yaml": masked}, links={}))
    for name in ("db", "w@1"):
        loaded = library.get(name)
        assert loaded is not None
        assert (loaded.unit, loaded.masked, loaded.problems) == (None, True, ())
    assert library.problems == ()


def test_one_file_more_or_less_leaves_all_others_as_they_are() -> None:
    files = {"db.agent.yaml": AGENT, "w@.agent.yaml": AGENT}
    before = load_all(sources(files), ["w@eu"])
    name = names.split("job")
    after = before.with_file(sources({**files, "job.agent.yaml": AGENT}), name)
    assert set(after.units) == {"db", "w@eu", "job", "default.target"}
    assert after.get("db") is before.get("db")
    assert before.get("job") is None
    bad = after.with_file(sources({**files, "job.agent.yaml": b"agent: {exce: a}"}), name)
    assert {problem.path for problem in bad.problems} == {"/u/job.agent.yaml"}
    gone = bad.with_file(sources(files), name)
    assert (gone.problems, gone.get("job"), gone.declared) == ((), None, before.declared)


def test_slices_need_no_files() -> None:
    web = b"agent: {exec: a}\nresources: {slice: tenants-acme.slice}\n"
    library = load_all(sources({"web.agent.yaml": web, "tenants.slice.yaml": b"resources: {tasks_max: 9}\n"}))
    assert set(library.units) == {"web", "tenants.slice", "tenants-acme.slice", "default.target"}
    assert str(library.units["tenants.slice"].resources.tasks_max) == "9"
    assert library.has("tenants-acme.slice")
    assert library.get("any-one.slice") is None, "nothing is in it: whoever asks for names makes no units"
    assert library.get("any-one.slice", implied=True) is not None
    assert library.get("any-.slice", implied=True) is None
    masked = load_all(sources({"web.agent.yaml": web, "tenants.slice.yaml": b"resources: {tasks: 9}\n"}))
    assert "tenants.slice" not in masked.units, (
        "a slice that does not load is not taken for one without limits"
    )
