"""What a new version of a unit changes, and what that asks of an agent that runs."""

from __future__ import annotations

from collections.abc import Mapping

from maestro.model.load import FILES, shown
from maestro.model.option import Change, describe
from maestro.model.plain import Plain
from maestro.model.reading import show
from maestro.model.reference import options
from maestro.model.unit import Unit

_HIDDEN = "agent.set_credential"


def compare(old: Unit, new: Unit) -> dict[str, Change]:
    """The options whose values differ, in the order of their declaration. What is in neither is at its default."""
    before, after = _values(old), _values(new)
    return {
        name: change
        for name, (change, default) in _declared(old, new).items()
        if before.get(name, default) != after.get(name, default)
        or (name == _HIDDEN and _secrets(old) != _secrets(new))
    }


def _secrets(unit: Unit) -> Mapping[str, str]:
    """What looks the same, whatever it is, when it is shown."""
    return unit.agent.set_credential if unit.agent is not None else {}


def _values(unit: Unit) -> Mapping[str, Plain]:
    return {one.option: one.value for one in shown(unit)}


def _declared(*units: Unit) -> dict[str, tuple[Change, Plain]]:
    """What may stand in these units."""
    found = {name: option for kind in FILES for name, option in options(kind)}
    for unit in units:
        for section, value in unit.plugins.items():
            found |= {f"{section}.{option.name}": option for option in describe(type(value))}
    return {
        name: (option.change, None if option.required else show(option.default))
        for name, option in found.items()
    }
