"""`maestroctl explain`: an option in words, and the units that set it."""

from __future__ import annotations

from msgspec import Struct

from maestro.model.plain import Plain
from maestro.model.reading import show
from maestro.model.reference import Explained, explain, nearest_option
from maestro.offline import Installed, installed
from maestro.paths import Paths


class Setting(Struct, frozen=True, kw_only=True):
    """A unit, or a template, that sets an option."""

    unit: str
    value: Plain
    origin: str


class Answer(Struct, frozen=True, kw_only=True):
    explained: Explained
    settings: tuple[Setting, ...] = ()


def answer(names: list[str], paths: Paths) -> tuple[tuple[Answer, ...], dict[str, str]]:
    """What there is to say of these; and for those that there are not, what was probably meant."""
    here = installed(paths)
    found: dict[str, Explained] = {}
    unknown: dict[str, str] = {}
    for name in names:
        meant = explain(name, here.settings.sections)
        found |= {one.option: one for one in meant}
        if not meant:
            unknown[name] = nearest_option(name, here.settings.sections)
    return tuple(Answer(explained=one, settings=_set_by(one.option, here)) for one in found.values()), unknown


def _set_by(option: str, here: Installed) -> tuple[Setting, ...]:
    everything = {**here.library.loaded, **here.library.templates}
    found = []
    for name, loaded in sorted(everything.items()):
        origin = loaded.unit.origins.get(option) if loaded.unit is not None else None
        if origin is not None:
            where = f"{origin.path}:{origin.line}"
            found.append(Setting(unit=name, value=_value(loaded.unit, option), origin=where))
    return tuple(found)


def _value(unit: object, option: str) -> Plain:
    section, *rest = option.split(".")
    value = getattr(unit, section, None)
    if value is None:
        value = getattr(unit, "plugins", {}).get(section)
    for step in rest:
        value = getattr(value, step, None)
    return show(value)
