"""The text of a unit file as it may be shown: the same, without the secrets that stand in it."""

from __future__ import annotations

from typing import Any

import yaml

from maestro.model.credentials import REDACTED, SECRET

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
    for start, end, anchor in reversed(places):
        kept = "\n" if text[start:end].endswith("\n") else ""  # the last line break of a block
        text = f'{text[:start]}{anchor}"{REDACTED}"{kept}{text[end:]}'
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


Place = tuple[
    int, int, str
]  # from where to where a value stands in the text, and its anchor as it is written


def _places(text: str) -> list[Place]:
    found: list[Place] = []
    stack: list[_Level] = []
    anchored: dict[str, Place] = {}
    # libyaml counts in characters, and leaves a mark of the byte order out.
    shift = 1 if text.startswith("\ufeff") else 0
    loader = _Loader(text[shift:])
    try:
        while (event := loader.get_event()) is not None:
            _take(event, stack, found, anchored)
    finally:
        loader.dispose()
    return sorted({(start + shift, end + shift, anchor) for start, end, anchor in found})


def _take(event: Any, stack: list[_Level], found: list[Place], anchored: dict[str, Place]) -> None:
    if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
        stack.pop()
        return
    if not isinstance(event, yaml.NodeEvent):
        return
    top = stack[-1] if stack else None
    awaits_key = top is not None and top.is_mapping and top.key is None
    if awaits_key and top is not None and isinstance(event, yaml.ScalarEvent):
        top.key = event.value
        return
    secret = top is not None and (top.secret or top.key == SECRET)
    found += _hidden(event, anchored) if secret else []
    if isinstance(event, yaml.ScalarEvent) and event.anchor:
        anchored[event.anchor] = _place(event)
    if top is not None and not awaits_key:
        top.key = None
    if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
        stack.append(_Level(isinstance(event, yaml.MappingStartEvent), secret))


def _hidden(event: Any, anchored: dict[str, Place]) -> list[Place]:
    """What is to be hidden where this stands as a secret. An alias of nothing may be a secret that was not quoted."""
    if isinstance(event, yaml.ScalarEvent):
        return [_place(event)]
    if isinstance(event, yaml.AliasEvent):
        return [anchored[event.anchor] if event.anchor in anchored else (*_place(event)[:2], "")]
    return []


def _place(event: Any) -> Place:
    return event.start_mark.index, event.end_mark.index, f"&{event.anchor} " if event.anchor else ""
