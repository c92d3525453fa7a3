"""What enabling a unit comes to: the links that it asks for, and the state that `is-enabled` tells."""

from __future__ import annotations

from collections.abc import Iterator

from maestro.model import names
from maestro.model.library import Library, Sources
from maestro.model.names import UnitName
from maestro.model.unit import InstallSection, Unit

# state -> whether `is-enabled` says yes, as systemctl does
STATES = {
    "enabled": True,
    "enabled-runtime": True,
    "static": True,
    "alias": True,
    "indirect": True,
    "disabled": False,
    "masked": False,
    "masked-runtime": False,
    "bad": False,
    "not-found": False,
}


def links(unit: Unit) -> Iterator[str]:
    """The links that enable it, below the directory of units."""
    file = names.split(unit.name).file
    for kind, targets in (("wants", unit.install.wanted_by), ("requires", unit.install.required_by)):
        for target in targets:
            yield f"{names.split(target).full}.{kind}/{file}"
    for alias in unit.install.alias:
        yield names.split(alias).file


def asks_for_links(install: InstallSection) -> bool:
    return bool(install.wanted_by or install.required_by or install.alias)


def state(name: str, library: Library, sources: Sources) -> str:
    """One word of `STATES`."""
    unit = names.split(name)
    if unit.file in sources.aliases:
        return "alias"
    loaded = library.templates.get(unit.full) if unit.is_template else library.get(unit.full)
    if loaded is None:
        return "not-found"
    if loaded.masked:
        passing = sources.runtime and loaded.path.startswith(sources.runtime)
        return "masked-runtime" if passing else "masked"
    if loaded.unit is None:
        return "bad"
    install = loaded.unit.install
    if found := _linked(unit, install, sources):
        return found
    if asks_for_links(install):
        return "disabled"
    return "indirect" if install.also else "static"


def _linked(unit: UnitName, install: InstallSection, sources: Sources) -> str:
    """Of a template, the default instance counts as itself, and any other as something indirect."""
    if not unit.is_template:
        return sources.enabled.get(unit.full, "")
    default = unit.with_instance(install.default_instance).full if install.default_instance else ""
    instances = [name for name in sources.enabled if names.split(name).template == unit]
    return sources.enabled[default] if default in instances else "indirect" if instances else ""
