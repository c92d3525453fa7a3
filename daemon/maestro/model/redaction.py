"""The text of a unit file as it may be shown: the same, without the secrets that stand in it."""

from __future__ import annotations

from typing import Any

import yaml

from maestro.model.credentials import REDACTED

SECRET = "set_credential"  # whatever stands below a key of this name
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNREADABLE = f"{REDACTED} (the rest of the file: it is not readable as YAML)\n"


def redacted(text: str) -> str:
    """Each value below `set_credential` replaced. Of a file that is no YAML, all that follows the word."""
    if SECRET not in text:
        return text
    try:
        places = _places(text)
    except yaml.YAMLError:
        return text[: text.index(SECRET) + len(SECRET)] + f": {_UNREADABLE}"
    for start, end in reversed(places):
        kept = "\n" if text[start:end].endswith("\n") else ""  # the last line break of a block
        text = f'{text[:start]}"{REDACTED}"{kept}{text[end:]}'
    return text


def redacted_bytes(text: bytes) -> bytes:
    if SECRET.encode() not in text:
        return text
    return redacted(text.decode("utf-8", "replace")).encode()


def is_redacted(value: str) -> bool:
    """Whether this was read from a text that `redacted` has been through."""
    return value == REDACTED


class _Level:
    """One list or mapping that is open."""

    __slots__ = ("is_mapping", "key", "secret")

    def __init__(self, is_mapping: bool, secret: bool) -> None:
        self.is_mapping, self.secret = is_mapping, secret
        self.key: str | None = None


def _places(text: str) -> list[tuple[int, int]]:
    """Where the values stand, as places in the text."""
    found: list[tuple[int, int]] = []
    stack: list[_Level] = []
    anchored: dict[str, tuple[int, int]] = {}
    # libyaml counts in characters, and leaves a mark of the byte order out.
    shift = 1 if text.startswith("\ufeff") else 0
    loader = _Loader(text[shift:])
    try:
        while (event := loader.get_event()) is not None:
            _take(event, stack, found, anchored)
    finally:
        loader.dispose()
    return sorted({(start + shift, end + shift) for start, end in found})


def _take(
    event: Any, stack: list[_Level], found: list[tuple[int, int]], anchored: dict[str, tuple[int, int]]
) -> None:
    if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
        stack.pop()
        return
    if not isinstance(event, yaml.NodeEvent):
        return
    top = stack[-1] if stack else None
    awaits_key = top is not None and top.is_mapping and top.key is None
    secret = top is not None and (top.secret or top.key == SECRET)
    if isinstance(event, yaml.ScalarEvent) and event.start_mark is not None and event.end_mark is not None:
        if awaits_key and top is not None:
            top.key = event.value
            return
        place = (event.start_mark.index, event.end_mark.index)
        if event.anchor:
            anchored[event.anchor] = place
        found += [place] if secret else []
    if isinstance(event, yaml.AliasEvent) and secret and event.anchor in anchored:
        found.append(anchored[event.anchor])
    if top is not None and not awaits_key:
        top.key = None
    if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
        stack.append(_Level(isinstance(event, yaml.MappingStartEvent), secret))
