"""Enable, disable, mask, unmask, preset: which links are changed for a request. Nothing is started or stopped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from maestro.control import protocol as p
from maestro.control.finder import Finder, is_glob
from maestro.control.service import refused
from maestro.engine.world import World
from maestro.manager.catalogue import Catalogue
from maestro.model import install, names, preset
from maestro.model.plain import Mistake
from maestro.model.unit import Unit
from maestro.ports import UnitFiles

# What `--now` adds.
THEN: dict[type[p.Request], str] = {p.Enable: "start", p.Disable: "stop", p.Mask: "stop"}


class Linked(Struct):
    """What a request came to."""

    names: list[str]
    errors: dict[str, p.ErrorView]
    changes: list[str] = []


class Linker:
    """May raise OSError, where links cannot be changed."""

    def __init__(self, files: UnitFiles, catalogue: Catalogue, world: World, find: Finder) -> None:
        self._files, self._catalogue, self._world, self._find = files, catalogue, world, find

    def carry_out(self, request: p.Linking) -> Linked:
        match request:
            case p.Enable():
                return self._enable(request)
            case p.Disable():
                linked = Linked(*self._find.with_templates(request.units))
                for name in self._with_also(linked.names):
                    linked.changes += self._files.disable(name, runtime=request.runtime)
            case p.Mask():
                linked = self._any_name(request.units)
                for name in linked.names:
                    linked.changes += self._files.mask(name, runtime=request.runtime)
            case p.Unmask():
                linked = self._any_name(request.units)
                for name in linked.names:
                    linked.changes += self._files.unmask(name, runtime=request.runtime)
            case p.Preset():
                return self._preset(request)
        return linked

    def concerned(self, linked: Linked, then: str) -> list[str]:
        """The units to start or to stop now. Of a template that is disabled, its instances."""
        good = [name for name in linked.names if name not in linked.errors]
        if then == "start":
            return good
        return [
            name
            for name in self._world.units
            if name in good or ((unit := names.split(name)).template and unit.template.full in good)
        ]

    def enablement(self, name: str) -> p.EnablementView:
        try:
            state = self._catalogue.enablement(name)
        except Mistake:
            state = "not-found"
        return p.EnablementView(name=name, state=state, enabled=install.STATES[state])

    # ------------------------------------------------------------------------------ enable

    def _enable(self, request: p.Enable) -> Linked:
        linked = Linked(*self._find.to_enable(request.units))
        for name in list(linked.names):
            error = self._not_enabled(name)
            if error is not None:
                linked.errors[name] = error
        for name in self._with_also(name for name in linked.names if name not in linked.errors):
            unit = self._world.know(name)
            if unit is not None:
                linked.changes += self._files.enable(name, install.links(unit), runtime=request.runtime)
        return linked

    def _not_enabled(self, name: str) -> p.ErrorView | None:
        if mask := self._world.mask(name):
            return p.ErrorView(code=mask.code, message=f"cannot enable {name}: {mask.words}", hint=mask.hint)
        unit = self._world.know(name)
        if unit is not None and (install.asks_for_links(unit.install) or unit.install.also):
            return None
        hint = "add: install: {wanted_by: [default.target]}"
        message = f"cannot enable {name}: its unit has no install section"
        return p.ErrorView(code="no-install", message=message, hint=hint)

    def _with_also(self, wanted: Iterable[str]) -> list[str]:
        """These, and what their install sections name beside them, at any distance."""
        found: dict[str, None] = {}
        todo = list(wanted)
        while todo:
            name = todo.pop(0)
            unit = self._declared(name)
            if name not in found:
                found[name] = None
                todo += [self._catalogue.library.real(other) for other in unit.install.also] if unit else []
        return list(found)

    def _declared(self, name: str) -> Unit | None:
        """A unit, or a template with its sample instance."""
        template = self._catalogue.library.templates.get(name)
        return template.unit if template is not None else self._world.know(name)

    # ------------------------------------------------------------------------------ mask

    def _any_name(self, patterns: Sequence[str]) -> Linked:
        """What is masked need not be there, so that it cannot come."""
        linked = Linked([], {})
        for pattern in patterns:
            if is_glob(pattern):
                found, errors = self._find.match([pattern])
                linked.names += found
                linked.errors |= errors
                continue
            try:
                linked.names.append(names.split(pattern).full)
            except Mistake as mistake:
                message = f"no unit can have this name: {mistake}"
                linked.errors[pattern] = p.ErrorView(code="no-such-unit", message=message)
        return linked

    # ------------------------------------------------------------------------------ preset

    def _preset(self, request: p.Preset) -> Linked:
        rules = self._rules()
        everything = [name for name in self._catalogue.library.declared if self._may_be_preset(name)]
        linked = Linked(*(self._find.with_templates(request.units) if request.units else (everything, {})))
        for name in linked.names:
            rule = preset.decide(rules, names.split(name))
            for instance in self._instances(name, rule) if rule.enable else ():
                unit = self._world.know(instance)
                if unit is not None:
                    linked.changes += self._files.enable(instance, install.links(unit))
            if not rule.enable:
                linked.changes += self._files.disable(name)
        return linked

    def _rules(self) -> tuple[preset.Rule, ...]:
        files = self._files.presets()
        for piece in files:
            if piece.refused:
                raise refused("bad-preset", f"cannot take presets: {piece.path} {piece.refused}")
        found = preset.parse((piece.path, piece.text.decode("utf-8", "replace")) for piece in files)
        for problem in found.problems:
            raise refused("bad-preset", f"cannot take presets: {problem}")
        return found.rules

    def _may_be_preset(self, name: str) -> bool:
        unit = self._declared(name)
        return unit is not None and install.asks_for_links(unit.install)

    def _instances(self, name: str, rule: preset.Rule) -> list[str]:
        """What stands for a template: the instances that the rule names, or its default one."""
        parts, unit = names.split(name), self._declared(name)
        if not parts.is_template or unit is None:
            return [name]
        default = unit.install.default_instance
        return [parts.with_instance(one).full for one in rule.instances or ((default,) if default else ())]
