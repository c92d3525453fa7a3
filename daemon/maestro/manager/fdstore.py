"""FDSTORE=1: descriptors that an agent leaves with the keeper for the next process of its unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from maestro.model.streams import is_descriptor_name
from maestro.model.unit import Unit
from maestro.ports import Keeper

_NAMELESS = "stored"  # as sd_listen_fds_with_names(3) calls it


def take(keeper: Keeper, unit: Unit, fields: Mapping[str, str], fds: Iterable[int]) -> None:
    """Hand over what an agent said and sent along. At once, and not with the next commit: the descriptors are only here."""
    assert unit.agent is not None
    name, most = fields.get("FDNAME", ""), unit.agent.file_descriptor_store_max
    if fields.get("FDSTOREREMOVE") == "1" and is_descriptor_name(name):
        keeper.unstore(unit.name, name)
    if fields.get("FDSTORE") == "1" and most:
        for fd in fds:
            polled = fields.get("FDPOLL") != "0"
            keeper.store(
                unit.name, name if is_descriptor_name(name) else _NAMELESS, fd, polled=polled, most=most
            )
