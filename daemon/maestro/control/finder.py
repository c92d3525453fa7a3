"""Which units names and globs mean."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from maestro.control.protocol import ErrorView
from maestro.control.service import refused
from maestro.engine.world import World
from maestro.manager.catalogue import Catalogue

Found = tuple[list[str], dict[str, ErrorView]]  # units, and what is wrong with the other names


class Finder:
    """Globs take in what is declared, running or not."""

    def __init__(self, world: World, catalogue: Catalogue) -> None:
        self._world, self._catalogue = world, catalogue

    def everything(self) -> list[str]:
        return sorted({*self._world.units, *self._catalogue.library.loaded})

    def match(self, patterns: Iterable[str]) -> Found:
        """Each unit once, in the order of the patterns; and an error for each pattern that means nothing."""
        found: dict[str, None] = {}
        errors: dict[str, ErrorView] = {}
        for pattern in patterns:
            matching = self._meant(pattern.removesuffix(".agent"))
            found |= dict.fromkeys(matching)
            if not matching:
                errors[pattern] = self._no_such(pattern)
        return list(found), errors

    def in_force(self, patterns: Iterable[str]) -> Found:
        """The same, without units whose files do not load: a verb can do nothing for them."""
        names, errors = self.match(patterns)
        for name in names:
            loaded = self._catalogue.loaded(name)
            if name not in self._world.units and loaded is not None and loaded.problems:
                errors[name] = ErrorView(
                    code="bad-unit",
                    message=f"{name} does not load: {loaded.problems[0]}",
                    hint=f"maestroctl status {name} shows every problem; mend the file, then: maestroctl daemon-reload",
                )
        return [name for name in names if name not in errors], errors

    def all(self, patterns: Iterable[str]) -> list[str]:
        """The same, where a pattern that means nothing ends the request."""
        names, errors = self.match(patterns)
        for error in errors.values():
            raise refused(error.code, error.message, error.hint)
        return names

    def _meant(self, pattern: str) -> list[str]:
        if any(mark in pattern for mark in "*?["):
            return [name for name in self.everything() if fnmatchcase(name, pattern)]
        known = self._world.know(pattern) is not None or self._catalogue.loaded(pattern) is not None
        return [pattern] if known else []

    def _no_such(self, name: str) -> ErrorView:
        hint = "maestroctl list shows the units; maestroctl daemon-reload looks for new files"
        template = self._catalogue.library.templates.get(name if name.endswith("@") else f"{name}@")
        if template is not None:
            hint = f"{template.name} is a template: name an instance, such as {template.name}1"
        return ErrorView(code="no-such-unit", message=f"no unit {name}", hint=hint)
