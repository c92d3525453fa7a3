"""Commands that look at unit files and need no daemon: delta, edit, explain."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Ctl
from tests.control.fake import Served

AGENT = "agent: {exec: /bin/true}\n"


class Files:
    """Unit files below the root of the served daemon."""

    def __init__(self, root: Path) -> None:
        self.etc, self.lib = root / "etc/maestro/units", root / "usr/lib/maestro/units"

    def write(self, file: Path, text: str) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self.etc, self.lib, file.parent):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
        file.write_text(text)
        file.chmod(0o644)
        return file


@pytest.fixture
def files(served: Served) -> Files:
    return Files(served.root)


# ------------------------------------------------------------------------------------------- delta


def test_delta_tells_what_overrides_what(files: Files, ctl: Ctl) -> None:
    files.write(files.lib / "web.agent.yaml", AGENT)
    files.write(files.etc / "web.agent.yaml", AGENT.replace("true", "false"))
    files.write(files.etc / "web.agent.yaml.d/x.yaml", "")
    said = ctl("delta")
    assert f"[OVERRIDDEN] {files.etc}/web.agent.yaml → {files.lib}/web.agent.yaml" in said.out
    assert "+agent: {exec: /bin/false}" in said.out
    assert f"[EXTENDED]   {files.etc}/web.agent.yaml → {files.etc}/web.agent.yaml.d/x.yaml" in said.out
    assert said.out.endswith("2 differences found\n")
    assert ctl("delta", "--type", "masked").out == "0 differences found\n"
    assert ctl("delta", "--no-diff", "web").out.count("\n") == 3
    assert ctl("delta", "db").out == "0 differences found\n"
    assert [one["kind"] for one in json.loads(ctl("delta", "-o", "json").out)["differences"]] == [
        "overridden", "extended",
    ]  # fmt: skip


def test_delta_tells_of_a_link_that_leads_elsewhere(files: Files, ctl: Ctl) -> None:
    files.write(files.lib / "web.agent.yaml", AGENT)
    (files.etc / "web.agent.yaml").symlink_to(files.write(files.etc.parent / "elsewhere.yaml", AGENT))
    said = ctl("delta", "--type", "redirected")
    assert said.out.startswith(
        f"[REDIRECTED] {files.etc}/web.agent.yaml → {files.lib}/web.agent.yaml\n1 diff"
    )


# ------------------------------------------------------------------------------------------- edit


def from_stdin(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_a_drop_in_from_standard_input(files: Files, ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(files.lib / "web.agent.yaml", AGENT)
    from_stdin(monkeypatch, "unit: {description: mine}\n")
    said = ctl("edit", "--stdin", "web")
    path = files.etc / "web.agent.yaml.d/override.yaml"
    assert (said.code, path.read_text()) == (0, "unit: {description: mine}\n")
    assert said.out.startswith(f"wrote {path}\n1 unit loaded")
    assert path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in path.parent.iterdir()] == ["override.yaml"]


def test_what_would_not_load_is_not_written(files: Files, ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(files.lib / "w@.agent.yaml", AGENT)
    from_stdin(monkeypatch, "unit: {descriptoin: mine}\n")
    said = ctl("edit", "--stdin", "w@")
    path = files.etc / "w@.agent.yaml.d/override.yaml"
    assert said.code == 1
    assert said.err.startswith(f"{path}:1:8: unit.descriptoin: no such option (did you mean description?)\n")
    assert f"{path} is left as it was" in said.err
    assert not path.exists()
    from_stdin(monkeypatch, "unit: {descriptoin: mine}\n")
    view = json.loads(ctl("edit", "--stdin", "w@", "-o", "json").out)
    assert (view["written"], len(view["problems"])) == (False, 1)


def test_the_whole_file(files: Files, ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(files.lib / "web.agent.yaml", AGENT)
    from_stdin(monkeypatch, AGENT.replace("true", "false"))
    assert ctl("edit", "--full", "--stdin", "web").code == 0
    assert (files.etc / "web.agent.yaml").read_text() == "agent: {exec: /bin/false}\n"


def test_the_editor_sees_what_there_is_and_its_comments_are_left_out(
    files: Files, ctl: Ctl, tmp_path: Path
) -> None:
    files.write(files.lib / "web.agent.yaml", AGENT)
    editor = tmp_path / "editor"
    editor.write_text(f"#!/bin/sh\ncp $2 {tmp_path}/seen\nsed -i '2s/.*/unit: {{description: mine}}/' $2\n")
    editor.chmod(0o755)
    assert ctl("edit", "web", EDITOR=f"{editor} -x").code == 0
    path = files.etc / "web.agent.yaml.d/override.yaml"
    assert path.read_text() == "unit: {description: mine}\n"
    assert f"# {files.lib}/web.agent.yaml\n# agent: {{exec: /bin/true}}" in (tmp_path / "seen").read_text()
    said = ctl("edit", "web", EDITOR="true")
    assert (said.code, said.err) == (0, "nothing was changed\n")
    said = ctl("edit", "web", EDITOR="false")
    assert "false ended with 1: nothing was changed" in said.err
    assert path.read_text() == "unit: {description: mine}\n"


@pytest.mark.parametrize("empty", ["", "\n", "  \n\n"])
def test_an_empty_text_makes_no_drop_in_and_takes_one_away(
    files: Files, ctl: Ctl, monkeypatch: pytest.MonkeyPatch, empty: str
) -> None:
    files.write(files.lib / "web.agent.yaml", AGENT)
    path = files.etc / "web.agent.yaml.d/override.yaml"
    for option in ((), ("--full",)):
        from_stdin(monkeypatch, empty)
        said = ctl("edit", "--stdin", *option, "web")
        assert (said.code, said.err) == (0, "nothing was changed\n")
        assert not path.parent.exists()
        assert not (files.etc / "web.agent.yaml").exists()
    files.write(path, "unit: {description: mine}\n")
    from_stdin(monkeypatch, empty)
    said = ctl("edit", "--stdin", "web")
    assert (said.code, path.parent.exists()) == (0, False)
    assert said.out.startswith(f"removed {path}\n")


def test_a_drop_in_that_its_unit_needs_is_not_taken_away(
    files: Files, ctl: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write(files.lib / "web.agent.yaml", "unit: {description: no command}\n")
    path = files.write(files.etc / "web.agent.yaml.d/override.yaml", AGENT)
    from_stdin(monkeypatch, "")
    said = ctl("edit", "--stdin", "web")
    assert (said.code, path.read_text()) == (1, AGENT)
    assert f"{path} is left as it was" in said.err


def test_what_is_masked_is_unmasked_first(files: Files, ctl: Ctl) -> None:
    files.write(files.lib / "web.agent.yaml", AGENT)
    (files.etc / "web.agent.yaml").symlink_to("/dev/null")
    said = ctl("edit", "web")
    assert said.code == 6
    assert said.err == (
        f"maestroctl: web is masked by {files.etc}/web.agent.yaml\n  first: maestroctl unmask web\n"
    )


def test_there_must_be_one_unit_to_edit(ctl: Ctl) -> None:
    assert ctl("edit", "none").code == 4
    assert ctl("edit", "a/b").code == 4
    assert ctl("edit", "a", "b").code == 2


# ------------------------------------------------------------------------------------------- explain


def test_explain_names_the_units_that_set_an_option(files: Files, ctl: Ctl) -> None:
    files.write(files.etc / "web.agent.yaml", f"{AGENT}unit: {{wants: [db, cache]}}\n")
    files.write(files.etc / "w@.agent.yaml", AGENT)
    said = ctl("explain", "wants", "agent.exec")
    assert said.code == 0
    assert "unit.wants\n  Units started with this one, whose failure" in said.out
    assert f'  web sets ["db", "cache"]  # {files.etc}/web.agent.yaml:2' in said.out
    assert f'  w@ sets ["/bin/true"]  # {files.etc}/w@.agent.yaml:1' in said.out
    assert "A change holds from the next start.  Since 0.1." in said.out


def test_explain_guesses_what_was_meant(ctl: Ctl) -> None:
    said = ctl("explain", "RestartSec")
    assert (said.code, said.err) == (
        2, "maestroctl: there is no option RestartSec\n  did you mean agent.restart.delay?\n",
    )  # fmt: skip
    assert (
        json.loads(ctl("explain", "delay", "-o", "json").out)["options"][0]["explained"]["change"] == "live"
    )
