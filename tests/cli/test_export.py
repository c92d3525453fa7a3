"""maestroctl export."""

from __future__ import annotations

import json
from pathlib import Path

from maestro.cli import exits
from tests.cli.conftest import Ctl
from tests.control.fake import Served


def _written(root: Path, name: str, text: str) -> None:
    folder = root / "etc/maestro/units"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    (folder / name).write_text(text)
    (folder / name).chmod(0o644)


def test_units_as_files_of_systemd(served: Served, ctl: Ctl, tmp_path: Path) -> None:
    _written(served.root, "a.agent.yaml", "agent: {exec: /bin/true}\nunit: {exclusive: [gpu0]}\n")
    _written(served.root, "b.agent.yaml", "agent: {exec: /bin/false}\n")
    shown = ctl("export", "systemd", "b")
    assert (shown.code, "ExecStart=/bin/false" in shown.out) == (exits.OK, True)
    said = ctl("export", "systemd", "--to", str(tmp_path), "a")
    assert (said.code, said.out) == (exits.INCOMPLETE, f"wrote {tmp_path}/a.service\n")
    assert "a.agent.yaml:2: dropped: unit.exclusive: " in said.err
    assert ctl("export", "systemd", "--to", str(tmp_path), "a").code == exits.FAILED
    assert ctl("export", "systemd", "--force", "--to", str(tmp_path), "--all").code == exits.INCOMPLETE
    assert (tmp_path / "b.service").is_file()
    assert (
        json.loads(ctl("export", "-o", "json", "systemd", "b").out)["files"][0]["file"]["file"] == "b.service"
    )


def test_a_line_that_makes_no_sense(ctl: Ctl) -> None:
    assert ctl("export", "systemd").code == exits.USAGE
    assert ctl("export", "nothing", "a").code == exits.USAGE
    assert ctl("export", "systemd", "gone").code == exits.NO_SUCH_UNIT
