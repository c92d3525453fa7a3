"""Other names for units: links from one unit file to another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from maestro.model import names
from maestro.model.names import UnitName
from maestro.model.option import describe, item_type
from maestro.model.plain import Mistake
from maestro.model.reading import once

Aliases = Mapping[str, UnitName]  # file of the alias -> what it means
S = TypeVar("S", bound=Struct)


def sort(links: Mapping[str, str]) -> tuple[dict[str, UnitName], dict[str, str]]:
    """Those that are aliases; and those that cannot be, with why. A link from an instance to its template is neither."""
    good: dict[str, UnitName] = {}
    bad: dict[str, str] = {}
    for file, target in links.items():
        try:
            link = names.split_file(file)
        except Mistake:
            continue  # said of the file itself
        try:
            meant = _meant(link, names.split_file(target))
        except Mistake as mistake:
            bad[file] = f"is a link to {target}: {mistake}"
        else:
            good |= {file: meant} if meant != link else {}
    return good, bad


def _meant(link: UnitName, target: UnitName) -> UnitName:
    if link.kind != target.kind:
        raise Mistake(f"an alias is of the kind of what it means: {target.kind}")
    if target.is_template and link.instance is None:
        raise Mistake("an alias of a template is a template, or an instance")
    if link.is_template and not target.is_template:
        raise Mistake("a template can be an alias of a template only")
    return target.with_instance(link.instance or "") if target.is_template else target


def real(name: UnitName, aliases: Aliases) -> UnitName:
    """What a name means."""
    if name.file in aliases:
        return aliases[name.file]
    template = aliases.get(name.template.file) if name.template is not None else None
    return name if template is None else template.with_instance(name.instance or "")


def others(name: UnitName, aliases: Aliases) -> list[UnitName]:
    """The other names of a unit, and of its template."""
    found = [names.split_file(file) for file, meant in aliases.items() if meant in (name, name.template)]
    instances = (one.with_instance(name.instance) for one in found if one.is_template and name.instance)
    return [*found, *instances]


def resolved(section: S, real: Callable[[str], str]) -> S:
    """The section with names in place of aliases, wherever it refers to units."""
    lists = [option.name for option in describe(type(section)) if hasattr(item_type(option.type), "renamed")]
    return replace(
        section, **{name: once(one.renamed(real) for one in getattr(section, name)) for name in lists}
    )
