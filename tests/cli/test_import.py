"""maestroctl import."""

from __future__ import annotations

import json
from pathlib import Path

from maestro.cli import command, exits
from maestro.imports.formats import FORMATS
from tests.cli.conftest import Ctl
from tests.control.fake import Served

SERVICE = "[Service]\nExecStart=/bin/a\nSlice=system.slice\nRestart=always\n"


def test_units_are_written_to_the_directory_of_units(served: Served, ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "a.service").write_text(SERVICE)
    (tmp_path / "a.service.d").mkdir()
    (tmp_path / "a.service.d/x.conf").write_text("[Service]\nType=idle\n")
    said = ctl("import", str(tmp_path / "a.service"))
    path = served.root / "etc/maestro/units/a.agent.yaml"
    assert "policy: always" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o644
    assert said.code == exits.INCOMPLETE
    lines = said.out.splitlines()
    assert lines[0] == f"written {path}: 4 exact, 1 approximated, 1 dropped"
    assert lines[1].startswith(f"{tmp_path}/a.service:3: dropped: Slice: system.slice is systemd's")
    assert lines[2].startswith(f"{tmp_path}/a.service.d/x.conf:2: approximated: Type: agent.type: ")
    assert lines[3] == "1 unit written: 4 exact, 1 approximated, 1 dropped"
    assert len(lines) == 4
    assert ctl("verify", str(path)).code == exits.OK


def test_what_is_there_is_left_as_it_is_without_force(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: run\n")
    to = tmp_path / "units"
    dry = ctl("import", "--dry-run", "--to", str(to), str(tmp_path / "Procfile"))
    assert (dry.code, to.exists()) == (exits.OK, False)
    assert dry.out.startswith(f"would be written {to}/web.agent.yaml: 0 exact, 1 approximated, 0 dropped\n")
    assert ctl("import", "--to", str(to), str(tmp_path / "Procfile")).code == exits.OK
    (to / "web.agent.yaml").write_text("mine")
    again = ctl("import", "--to", str(to), str(tmp_path / "Procfile"))
    assert (again.code, (to / "web.agent.yaml").read_text()) == (exits.FAILED, "mine")
    assert "is there already: it is left as it is without --force" in again.err
    assert ctl("import", "--force", "--to", str(to), str(tmp_path / "Procfile")).code == exits.OK
    assert (to / "web.agent.yaml").read_text() != "mine"


def test_a_directory_with_what_is_not_imported(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "a.service").write_text(SERVICE.replace("Slice=system.slice\n", ""))
    (tmp_path / "README.txt").write_text("Hello.\n")
    (tmp_path / "b.service").symlink_to("a.service")
    said = ctl("import", "--verbose", "--to", str(tmp_path / "units"), str(tmp_path))
    assert said.code == exits.INCOMPLETE
    assert "README.txt:0: dropped: README.txt: no format that can be imported" in said.out
    assert "b.service:0: dropped: b.service: a link to a.service: write it under install.alias" in said.out
    assert f"{tmp_path}/a.service:2: exact: ExecStart: agent.exec" in said.out


def test_for_programs(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("0 4 * * * backup\n")
    said = ctl("import", "-o", "json", "--format", "crontab", "--to", str(tmp_path), str(tmp_path / "mine"))
    [unit] = json.loads(said.out)["units"]
    assert (unit["unit"], unit["state"]) == ("cron-backup.agent.yaml", "written")
    assert [(one["line"], one["grade"]) for one in unit["remarks"]] == [(1, "approximated")]


def test_a_file_that_is_not_there(ctl: Ctl) -> None:
    said = ctl("import", "/nowhere.service")
    assert (said.code, said.err) == (
        exits.FAILED,
        "maestroctl: /nowhere.service: no such file or directory\n",
    )


def test_the_formats_are_those_that_there_are() -> None:
    [option] = [one for one in command.find("import").options if one.name == "format"]
    assert option.choices == FORMATS
