"""What the documents say is so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import maestro
from maestro.cli import command, exits
from maestro.hooks import EndNotice, EventNotice
from maestro.manager.plugins import Plugins
from maestro.model.load import Settings, load_text
from maestro.model.option import describe
from maestro.model.reference import options
from maestro.model.unit import ReadinessSection

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
_YAML = re.compile(r"```yaml\n# (\S+)\n(.*?)```", re.DOTALL)


def _read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    lost = [to for to in _LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / to).exists()]
    assert not lost


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_units_in_documents_load(page: Path) -> None:
    for file, text in _YAML.findall(page.read_text(encoding="utf-8")):
        loaded = load_text(Path(file).name, text.encode(), file, Settings())
        assert [str(problem) for problem in loaded.problems] == []


@pytest.mark.parametrize("name", command.NAMES)
def test_a_command_is_in_the_readme_and_the_manual(name: str) -> None:
    assert re.search(rf"`(maestroctl )?{name}\b", _read("README.md"))
    assert f".SS {name.replace('-', chr(92) + '-')}" in _read("packaging/man/maestroctl.1")


@pytest.mark.parametrize(("code", "meaning"), [(code, meaning) for code, meaning, _ in exits.EXITS])
def test_an_exit_code_is_in_the_guide(code: int, meaning: str) -> None:
    assert f"| {code} | {meaning} |" in _read("docs/operating.md")


@pytest.mark.parametrize("name", [name for kind in ("agent", "target") for name, _ in options(kind)])
def test_an_option_is_in_the_manual(name: str) -> None:
    assert f".B {name.rpartition('.')[2]}\n" in _read("packaging/man/maestro.unit.5")


def test_the_readme_names_every_kind_of_readiness_probe() -> None:
    probes = {option.name for option in describe(ReadinessSection)} & {"exec", "http", "tcp", "unix", "log"}
    assert len(probes) == 5
    assert all(f"`{probe}`" in _read("README.md") for probe in probes)


def test_the_changelog_knows_this_version() -> None:
    assert f"## {maestro.__version__}" in _read("CHANGELOG.md")


# ------------------------------------------------------------------------------------------------ the example plugin


@pytest.fixture
def bell() -> ModuleType:
    """The plugin of docs/plugins.md."""
    [source] = re.findall(r"```python\n# bell.py\n(.*?)```", _read("docs/plugins.md"), re.DOTALL)
    module = ModuleType("bell")
    exec(compile(source, "docs/plugins.md", "exec", dont_inherit=True), vars(module))
    return module


@pytest.fixture
def plugins(bell: ModuleType, tmp_path: Path) -> Iterator[Plugins]:
    taken_in = Plugins(str(tmp_path))
    taken_in.add("bell", bell)
    yield taken_in
    taken_in.close()


def test_the_example_plugin_brings_its_section(plugins: Plugins) -> None:
    settings = Settings(sections=plugins.sections)
    good = load_text(
        "a.agent.yaml", b"agent: {exec: [a]}\nbell: {file: /srv/bell}\n", "a.agent.yaml", settings
    )
    assert good.unit is not None
    assert good.unit.plugins["bell"].file == "/srv/bell"  # type: ignore[attr-defined]
    bad = load_text("a.agent.yaml", b"agent: {exec: [a]}\nbell: {fil: /srv/bell}\n", "a.agent.yaml", settings)
    assert "did you mean file?" in str(bad.problems[0])


def test_the_example_plugin_rings_and_explains(bell: ModuleType, plugins: Plugins, tmp_path: Path) -> None:
    file = tmp_path / "bell"
    told = EventNotice(
        seq=1, time=0, unit="a", kind="gave-up", words="too often", state="failed", agent="a#1",
        section=plugins.sections["bell"](file=str(file)),
    )  # fmt: skip
    bell.maestro_event(told)
    assert file.read_text(encoding="utf-8") == "a too often\n"
    ends = {code: EndNotice(unit="a", command=("a",), code=code, signal=None, log=()) for code in (1, 75)}
    assert bell.maestro_explain_end(ends[75]) == "it asks to be tried later"
    assert bell.maestro_explain_end(ends[1]) is None
