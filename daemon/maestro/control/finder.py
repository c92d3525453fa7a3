"""Which units names and globs mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from maestro.control.protocol import ErrorView
from maestro.control.roles import Caller
from maestro.control.service import Refused, refused
from maestro.control.tenants import Reach, reach
from maestro.engine.world import World
from maestro.manager.catalogue import Catalogue
from maestro.model import names as unit_names
from maestro.model.load import Loaded
from maestro.model.plain import Mistake

Found = tuple[list[str], dict[str, ErrorView]]  # units, and what is wrong with the other names


class Finder:
    """Globs take in what is declared, running or not."""

    def __init__(
        self,
        world: World,
        catalogue: Catalogue,
        reach: Reach | None = None,
        *,
        acting: bool = False,
        gone: Callable[[str], str] = lambda name: "",
    ) -> None:
        """`acting`: only what the caller may do something to, and not all that it sees. `gone`: in which slice one was that is gone."""
        self._world, self._catalogue, self._gone = world, catalogue, gone
        self.reach = reach or Reach(world.units, None, None)
        self._acting = acting

    def of(self, caller: Caller, *, acting: bool = False) -> Finder:
        """The same as far as this caller gets."""
        found = reach(caller, self._world.units, self._gone)
        return Finder(self._world, self._catalogue, found, acting=acting, gone=self._gone)

    def everything(self) -> list[str]:
        return list(filter(self.reach.acts if self._acting else self.reach.sees, self._known()))

    def _known(self) -> list[str]:
        return sorted({*self._world.units, *self._catalogue.library.loaded})

    def match(self, patterns: Iterable[str]) -> Found:
        """Each unit once, in the order of the patterns; and an error for each pattern that means nothing."""
        found: dict[str, None] = {}
        errors: dict[str, ErrorView] = {}
        for pattern in patterns:
            seen = list(filter(self.reach.sees, self._meant(pattern.removesuffix(".agent"))))
            matching = list(filter(self.reach.acts, seen)) if self._acting else seen
            found |= dict.fromkeys(matching)
            if not matching:
                errors[pattern] = self._not_yours(pattern) if seen else self._no_such(pattern)
        return list(found), errors

    def in_force(self, patterns: Iterable[str]) -> Found:
        """The same, without units whose files do not load: a verb can do nothing for them."""
        names, errors = self.match(patterns)
        for name in names:
            loaded = self._catalogue.loaded(name)
            if name not in self._world.units and loaded is not None and loaded.problems:
                hint = f"maestroctl status {name} shows every problem; mend the file, then: maestroctl daemon-reload"
                errors[name] = _bad(loaded, hint)
        return [name for name in names if name not in errors], errors

    def to_enable(self, patterns: Iterable[str]) -> Found:
        """The same; a template means its default instance, as in systemd."""
        meant: list[str] = []
        errors: dict[str, ErrorView] = {}
        for pattern in patterns:
            try:
                meant.append(self._default_instance(pattern))
            except Refused as refusal:
                errors[pattern] = refusal.error
        names, wrong = self.in_force(meant)
        return names, errors | wrong

    def with_templates(self, patterns: Iterable[str]) -> Found:
        """The same as `match`, where a template stands for itself."""
        templates = self._catalogue.library.templates
        given = [self.real(pattern.removesuffix(".agent")) for pattern in patterns]
        names, errors = self.match(name for name in given if name not in templates)
        return [*(name for name in given if name in templates), *names], errors

    def _default_instance(self, pattern: str) -> str:
        """What stands for a template; anything else stands for itself."""
        template = self._catalogue.library.templates.get(self.real(pattern.removesuffix(".agent")))
        if template is None:
            return pattern
        if template.unit is None:
            raise Refused(_bad(template, "mend the file, then: maestroctl daemon-reload"))
        instance = template.unit.install.default_instance
        if instance is None:
            raise refused(
                "no-default-instance",
                f"cannot enable {template.name}: it is a template, and names no default instance",
                f"name an instance, such as {template.name}1, or add: install: {{default_instance: main}}",
            )
        return unit_names.split(template.name).with_instance(instance).full

    def all(self, patterns: Iterable[str]) -> list[str]:
        """The same, where a pattern that means nothing ends the request."""
        names, errors = self.match(patterns)
        for error in errors.values():
            raise refused(error.code, error.message, error.hint)
        return names

    def real(self, name: str) -> str:
        """The name of the unit that an alias means; a glob as it is."""
        try:
            return name if is_glob(name) else self._catalogue.library.real(name)
        except Mistake:
            return name

    def _meant(self, pattern: str) -> list[str]:
        if is_glob(pattern):
            aliases = self._catalogue.library.aliases.items()
            found = [name for name in self._known() if fnmatchcase(name, pattern)]
            return [*found, *(name for alias, name in aliases if fnmatchcase(alias, pattern))]
        name = self.real(pattern)
        known = self._world.know(name) is not None or self._catalogue.loaded(name) is not None
        return [name] if known else []

    def _not_yours(self, name: str) -> ErrorView:
        owns = ", ".join(self.reach.acts_in or ())
        message = f"not allowed: you may look at {name}, and act only on what is in {owns}"
        hint = "maestroctl list shows the units; a slice itself is for those who administer"
        return ErrorView(code="not-allowed", message=message, hint=hint)

    def _no_such(self, name: str) -> ErrorView:
        try:
            if not is_glob(name):
                unit_names.split(name)
        except Mistake as mistake:
            message = f"no unit can have this name: {mistake}"
            return ErrorView(code="no-such-unit", message=message, hint=mistake.faults[0].hint)
        hint = "maestroctl list shows the units; maestroctl daemon-reload looks for new files"
        template = self._catalogue.library.templates.get(name if name.endswith("@") else f"{name}@")
        if self.reach.sees_in is not None:
            hint = "maestroctl list shows the units in your slices"
        elif template is not None:
            hint = f"{template.name} is a template: name an instance, such as {template.name}1"
        return ErrorView(code="no-such-unit", message=f"no unit {name}", hint=hint)


def is_glob(pattern: str) -> bool:
    return any(mark in pattern for mark in "*?[")


def is_name(text: str) -> bool:
    """Whether a unit could be called so."""
    try:
        return not unit_names.split(text).is_template
    except Mistake:
        return False


def _bad(loaded: Loaded, hint: str) -> ErrorView:
    if loaded.masked:
        message = f"{loaded.name} is masked by {loaded.path}"
        return ErrorView(code="masked", message=message, hint=f"rm {loaded.path}")
    message = f"{loaded.name} does not load: {loaded.problems[0]}"
    return ErrorView(code="bad-unit", message=message, hint=hint)
