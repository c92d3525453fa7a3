"""What the tests of importers look at: the unit that comes out, and the remark on a line."""

from __future__ import annotations

import yaml

from maestro.imports.formats import Source, converted
from maestro.imports.record import Imported, Remark
from maestro.model import names
from maestro.model.load import Settings, load_text
from maestro.model.plain import Plain
from maestro.model.specifiers import Specifiers

_HOST = Settings(Specifiers(machine_id="0" * 32, boot_id="0" * 32, kernel="6.1.0"))


def brought(text: str, path: str, *more: tuple[str, str], around: tuple[str, ...] = ()) -> list[Imported]:
    """All that comes of a file, and of others beside it."""
    sources = [Source(path, text.encode()), *(Source(name, one.encode()) for name, one in more)]
    return converted(sources, around=around)


def unit(found: list[Imported], file: str) -> dict[str, Plain]:
    """What the unit file says; it has to load."""
    [one] = [one for one in found if one.file == file and one.text]
    assert problems(one) == []
    data: dict[str, Plain] = yaml.safe_load(one.text)
    return data


def problems(one: Imported) -> list[str]:
    """What the daemon's loader says of a file that came out, as an instance where it is a template."""
    name = names.split_file(one.file)
    file = name.with_instance("x").file if name.is_template else one.file
    return [str(problem) for problem in load_text(file, one.text.encode(), one.file, _HOST).problems]


def remark(found: list[Imported], line: int, key: str = "") -> Remark:
    """The only remark on a line, or on a key in it."""
    [only] = [
        one for unit in found for one in unit.remarks if one.line == line and (not key or one.key == key)
    ]
    return only
