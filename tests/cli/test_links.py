"""Commands that change links between unit files, and that tell of them."""

from __future__ import annotations

import pytest

from maestro.control import protocol as p
from tests.cli.conftest import Ctl
from tests.control.fake import Served


@pytest.mark.parametrize("name", ["disable", "mask", "unmask", "preset"])
def test_links_are_changed_by_units(name: str, served: Served, ctl: Ctl) -> None:
    assert ctl(name, "researcher").out == f"{name}: linked researcher\n"
    assert served.service.asked[-1][1].units == ("researcher",)  # type: ignore[attr-defined]


def test_preset_all_names_no_units(served: Served, ctl: Ctl) -> None:
    assert ctl("preset-all").out == "preset: linked researcher\n"
    assert served.service.asked[-1][1] == p.Preset()


def test_mask_until_the_next_boot(served: Served, ctl: Ctl) -> None:
    ctl("mask", "--runtime", "--now", "researcher")
    assert served.service.asked[-1][1] == p.Mask(units=("researcher",), now=True, runtime=True)


def test_is_enabled_is_content_with_one(ctl: Ctl) -> None:
    said = ctl("is-enabled", "researcher", "nope")
    assert (said.out, said.code) == ("enabled\nnot-found\n", 0)
    assert ctl("is-enabled", "nope").code == 4
    assert ctl("-q", "is-enabled", "researcher").out == ""
