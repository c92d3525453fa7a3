"""FDSTORE=1: descriptors that an agent leaves with the keeper for the next process of its unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from maestro.model.unit import Unit
from maestro.ports import Keeper

_NAMELESS = "stored"  # as sd_listen_fds_with_names(3) calls it
_LONGEST_NAME = 255


def take(keeper: Keeper, unit: Unit, fields: Mapping[str, str], fds: Iterable[int]) -> None:
    """Hand over what an agent said and sent along. At once, and not with the next commit: the descriptors are only here."""
    assert unit.agent is not None
    name, most = fields.get("FDNAME", ""), unit.agent.file_descriptor_store_max
    if fields.get("FDSTOREREMOVE") == "1" and _is_name(name):
        keeper.unstore(unit.name, name)
    if fields.get("FDSTORE") == "1" and most:
        for fd in fds:
            polled = fields.get("FDPOLL") != "0"
            keeper.store(unit.name, name if _is_name(name) else _NAMELESS, fd, polled=polled, most=most)


def _is_name(text: str) -> bool:
    """What LISTEN_FDNAMES can carry, as systemd sees it."""
    return 0 < len(text) <= _LONGEST_NAME and all(" " <= letter <= "~" and letter != ":" for letter in text)
