"""Plain data as the text of a unit file, in YAML that means the same to every reader."""

from __future__ import annotations

from typing import Any

import yaml

from maestro.model.plain import Plain
from maestro.model.yaml_events import core_value


class _Dumper(yaml.SafeDumper):
    """Quotes whatever a reader could take for something else than text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = '"' if not text.isprintable() else None if isinstance(core_value(text), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def written(data: Plain, heading: str) -> str:
    """A unit file."""
    body = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
    return f"# {heading}\n{body}"


def is_writable(value: Plain) -> bool:
    """Whether a unit file can hold it."""
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, dict):
        return all(is_writable(key) and is_writable(inner) for key, inner in value.items())
    return all(map(is_writable, value)) if isinstance(value, list) else True
