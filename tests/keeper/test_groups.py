"""Groups that the keeper makes on its way to a process: by plain directories, which take the same calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.keeper import cgroup


def test_one_that_is_there_keeps_what_it_has(folder: Path) -> None:
    old = folder / "old"
    old.mkdir()
    (old / "pids.max").write_text("7")
    cgroup.make_all(((str(old), (("pids.max", "512"),)), (str(old / "1"), ())))
    assert ((old / "pids.max").read_text(), (old / "1").is_dir()) == ("7", True)


def test_one_without_its_limits_is_not_left_behind(folder: Path) -> None:
    """The next start would find it, and take it for one that has them."""
    group = folder / "web"
    with pytest.raises(FileNotFoundError) as raised:
        cgroup.make_all(((str(group), (("pids.max", "512"),)),))
    assert (raised.value.filename, group.exists()) == (f"{group}/pids.max", False)
