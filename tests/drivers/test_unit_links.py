"""Links between unit files: enabling, other names, masks; and presets beside them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from maestro.drivers.unit_files import UnitDirectories
from maestro.model import names
from maestro.model.library import load_all, pieces
from tests.drivers.unit_disk import Disk


def test_enable_and_disable(disk: Disk) -> None:
    disk.write("lib/w@.agent.yaml")
    disk.write("etc/db.agent.yaml")
    os.umask(0o000)
    link = disk.etc / "default.target.wants/w@eu.agent.yaml"
    assert disk.units.enable("w@eu", ["default.target.wants/w@eu.agent.yaml"]) == [
        f"created {link} -> {disk.lib}/w@.agent.yaml"
    ]
    assert disk.units.enable("w@eu", ["default.target.wants/w@eu.agent.yaml"]) == []
    assert os.readlink(link) == f"{disk.lib}/w@.agent.yaml"
    assert stat.S_IMODE(link.parent.stat().st_mode) == 0o755
    other = disk.etc / "x.target.requires/db.agent.yaml"
    assert disk.units.enable("db.agent", ["x.target.requires/db.agent.yaml"]) == [
        f"created {other} -> {disk.etc}/db.agent.yaml"
    ]
    library = load_all(disk.units.read())
    assert library.units["default.target"].unit.wants == ("w@eu",)
    made = library.get("w@eu")
    assert made is not None
    assert made.unit is not None
    assert disk.units.disable("w@eu") == [f"removed {link}"]
    assert disk.units.disable("w@eu") == []
    assert not link.parent.exists()
    assert other.is_symlink()


def test_disabling_a_template_disables_its_instances(disk: Disk) -> None:
    disk.write("lib/w@.agent.yaml")
    for name in ("w@eu", "w@us"):
        disk.units.enable(name, [f"default.target.wants/{name}.agent.yaml"])
    assert len(disk.units.disable("w@")) == 2
    assert disk.units.read().links == {}


def test_aliases(disk: Disk) -> None:
    disk.write("lib/postgres.agent.yaml")
    (disk.lib / "old.agent.yaml").symlink_to("postgres.agent.yaml")
    link = disk.etc / "pg.agent.yaml"
    assert disk.units.enable("postgres", ["pg.agent.yaml"]) == [
        f"created {link} -> {disk.lib}/postgres.agent.yaml"
    ]
    sources = disk.units.read()
    assert sources.aliases == {
        "pg.agent.yaml": "postgres.agent.yaml",
        "old.agent.yaml": "postgres.agent.yaml",
    }
    assert sources.enabled == {"postgres": "enabled"}
    assert disk.units.disable("postgres") == [f"removed {link}"]
    assert disk.units.read().enabled == {}
    disk.write("etc/mine.agent.yaml")
    with pytest.raises(FileExistsError, match="it is no link"):
        disk.units.enable("postgres", ["mine.agent.yaml"])


def test_masks_are_made_and_taken_away(disk: Disk) -> None:
    disk.write("lib/db.agent.yaml")
    link = disk.etc / "db.agent.yaml"
    assert disk.units.mask("db") == [f"created {link} -> /dev/null"]
    assert disk.units.mask("db") == []
    assert disk.units.read().files["db.agent.yaml"].masked
    assert disk.units.unmask("db") == [f"removed {link}"]
    assert disk.units.unmask("db") == []
    disk.write("etc/db.agent.yaml")
    with pytest.raises(FileExistsError, match="it is no link"):
        disk.units.mask("db")


def test_what_lasts_until_the_next_boot(disk: Disk) -> None:
    run = disk.etc.parent / "run"
    units = UnitDirectories([str(disk.etc), str(run), str(disk.lib)], os.geteuid())
    disk.write("lib/db.agent.yaml")
    units.enable("db", ["x.target.wants/db.agent.yaml"], runtime=True)
    assert units.read().enabled == {"db": "enabled-runtime"}
    assert units.disable("db") == []
    assert units.disable("db", runtime=True) == [f"removed {run}/x.target.wants/db.agent.yaml"]
    assert units.mask("db", runtime=True) == [f"created {run}/db.agent.yaml -> /dev/null"]
    assert units.read().runtime == str(run)
    assert units.unmask("db") == [f"removed {run}/db.agent.yaml"]


def test_presets_lie_beside_the_units(tmp_path: Path) -> None:
    for place in ("etc", "lib"):
        (tmp_path / place / "units").mkdir(parents=True)
        (tmp_path / place / "preset").mkdir(mode=0o755)
    for path, text in {
        "lib/preset/90-all": "lib",
        "etc/preset/90-all": "etc",
        "lib/preset/10-x": "x",
    }.items():
        (tmp_path / f"{path}.preset").write_text(text)
        (tmp_path / f"{path}.preset").chmod(0o644)
    units = UnitDirectories([str(tmp_path / "etc/units"), str(tmp_path / "lib/units")], os.geteuid())
    assert [piece.text for piece in units.presets()] == [b"x", b"etc"]


def test_a_link_that_points_elsewhere_is_replaced(disk: Disk) -> None:
    disk.write("etc/db.agent.yaml")
    link = disk.etc / "default.target.wants/db.agent.yaml"
    link.parent.mkdir()
    link.symlink_to("/nowhere")
    assert len(disk.units.enable("db", ["default.target.wants/db.agent.yaml"])) == 1
    assert os.readlink(link) == f"{disk.etc}/db.agent.yaml"
    assert [entry.name for entry in link.parent.iterdir()] == ["db.agent.yaml"]
    link.unlink()
    link.write_text("a file of the operator's")
    with pytest.raises(FileExistsError):
        disk.units.enable("db", ["default.target.wants/db.agent.yaml"])


def test_nothing_to_enable(disk: Disk) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file for w@1: w@1.agent.yaml or w@.agent.yaml"):
        disk.units.enable("w@1", ["default.target.wants/w@1.agent.yaml"])
    assert list(disk.etc.iterdir()) == []


def test_a_transient_unit_is_below_the_runtime_directory_and_told_from_others_there(disk: Disk) -> None:
    disk.write("run/mine.agent.yaml")
    run = disk.etc.parent / "run"
    units = UnitDirectories([str(disk.etc), str(run), str(disk.lib)], os.geteuid())
    assert units.transients() == ()
    umask = os.umask(0)
    try:
        units.put("job", "agent: {exec: a}\n")
    finally:
        os.umask(umask)
    path = run / "transient/job.agent.yaml"
    assert units.place_of("job") == str(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["job.agent.yaml"]
    assert units.transients() == ("job",)
    assert units.read().files["job.agent.yaml"].path == str(path)
    assert units.look("job", {}).files["job.agent.yaml"].text == b"agent: {exec: a}\n"
    left = path.with_name(".job.agent.yaml.new123")
    left.touch()  # by a manager that was killed as it wrote
    assert units.transients() == ("job",)
    assert not left.exists()
    units.take_away("job")
    units.take_away("job")
    assert units.transients() == ()
    assert set(units.read().files) == {"mine.agent.yaml"}


def test_nobody_else_reads_a_transient_unit(disk: Disk) -> None:
    """Its variables may be secrets."""
    run = disk.etc.parent / "run"
    units = UnitDirectories([str(disk.etc), str(run), str(disk.lib)], os.geteuid())
    umask = os.umask(0)
    try:
        units.put("job", "agent: {exec: a, environment: {KEY: secret}}\n")
    finally:
        os.umask(umask)
    assert Path(units.place_of("job")).stat().st_mode & 0o777 == 0o600


def test_drop_ins_of_another_name_are_the_units_own(disk: Disk) -> None:
    """As in systemd: all of them by the names of their files; of two with one name the unit's own counts."""
    for file in ("a.agent.yaml", "w@.agent.yaml"):
        disk.write(f"lib/{file}")
    for link, target in (("b", "a"), ("v@", "w@"), ("x@2", "w@")):
        (disk.etc / f"{link}.agent.yaml").symlink_to(disk.lib / f"{target}.agent.yaml")
    mine = [
        disk.write(f"{place}.agent.yaml.d/{file}.yaml", "unit: {wants: [x]}\n")
        for place, file in (("lib/a", "2"), ("etc/b", "1"), ("etc/b", "2"), ("lib/b", "3"))
    ]
    for place in ("v@", "v@eu", "x@2"):
        disk.write(f"etc/{place}.agent.yaml.d/9.yaml", "unit: {}\n")
    sources = disk.units.read()

    def over(name: str) -> list[str]:
        unit = names.split(name)
        every = pieces(unit, sources.files, sources.overlays, sources.dropins)
        seen = disk.units.look(name, sources.aliases)
        assert pieces(unit, seen.files, seen.overlays, seen.dropins) == every, "one look sees the same"
        return [piece.path for piece in every[1:]]

    assert over("a") == [str(mine[1]), str(mine[0]), str(mine[3])]
    assert over("w@us") == [f"{disk.etc}/v@.agent.yaml.d/9.yaml"]
    assert over("w@eu") == [f"{disk.etc}/{place}.agent.yaml.d/9.yaml" for place in ("v@", "v@eu")]
    assert over("w@2") == [f"{disk.etc}/{place}.agent.yaml.d/9.yaml" for place in ("v@", "x@2")]
    assert load_all(sources).warnings == ()
