"""What a unit file may say: one Struct per section, one typed field per option. All else follows from it.

An option is declared once: its type says how it is read and shown (values.py), `option` carries its
description, the version that brought it, and what a changed value asks of a running agent. Loader, schema,
manual page, `show` and completion are derived from the declarations.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from maestro.model.agent import INFINITY as INFINITY
from maestro.model.agent import AgentSection as AgentSection
from maestro.model.agent import NotifyAccess as NotifyAccess
from maestro.model.agent import type_names as type_names
from maestro.model.budget import BudgetSection as BudgetSection
from maestro.model.conditions import CheckSection
from maestro.model.ends import RestartSection as RestartSection
from maestro.model.ends import StopSection as StopSection
from maestro.model.resources import LimitsSection as LimitsSection
from maestro.model.resources import ResourcesSection as ResourcesSection
from maestro.model.sandbox import SandboxSection as SandboxSection
from maestro.model.sections import HealthSection as HealthSection
from maestro.model.sections import InstallSection as InstallSection
from maestro.model.sections import LogsSection as LogsSection
from maestro.model.sections import ReadinessSection as ReadinessSection
from maestro.model.sections import UnitSection as UnitSection
from maestro.model.slices import SliceSection as SliceSection


class AgentFile(Struct, frozen=True, kw_only=True):
    """NAME.agent.yaml, and NAME@.agent.yaml for a template."""

    unit: UnitSection = UnitSection()
    condition: CheckSection = CheckSection()
    assert_: CheckSection = field(default=CheckSection(), name="assert")
    agent: AgentSection
    resources: ResourcesSection = ResourcesSection()
    sandbox: SandboxSection = SandboxSection()
    health: HealthSection = HealthSection()
    logs: LogsSection = LogsSection()
    budget: BudgetSection = BudgetSection()
    install: InstallSection = InstallSection()


class TargetFile(Struct, frozen=True, kw_only=True):
    """NAME.target.yaml: a name for a set of units."""

    unit: UnitSection = UnitSection()
    condition: CheckSection = CheckSection()
    assert_: CheckSection = field(default=CheckSection(), name="assert")
    install: InstallSection = InstallSection()


class SliceFile(Struct, frozen=True, kw_only=True):
    """NAME.slice.yaml: limits that hold for all agents in it together, and whose it is."""

    unit: UnitSection = UnitSection()
    condition: CheckSection = CheckSection()
    assert_: CheckSection = field(default=CheckSection(), name="assert")
    slice: SliceSection = SliceSection()
    resources: LimitsSection = LimitsSection()
    budget: BudgetSection = BudgetSection()
    install: InstallSection = InstallSection()


class Origin(Struct, frozen=True, kw_only=True, gc=False):
    """Where an option was set."""

    path: str
    line: int
    column: int
    also: tuple[Origin, ...] = ()  # other pieces that added to the same list or mapping


class Unit(Struct, frozen=True, kw_only=True):
    """One unit, loaded: options with specifiers resolved, references by full name, and where each was set."""

    name: str  # "researcher", "worker@eu", "default.target"
    kind: Literal["agent", "target", "slice"]
    unit: UnitSection
    condition: CheckSection = CheckSection()
    assert_: CheckSection = field(default=CheckSection(), name="assert")
    agent: AgentSection | None = None
    slice: SliceSection = SliceSection()
    resources: LimitsSection = ResourcesSection()
    sandbox: SandboxSection = SandboxSection()
    health: HealthSection = HealthSection()
    logs: LogsSection = LogsSection()
    budget: BudgetSection = BudgetSection()
    install: InstallSection = InstallSection()
    plugins: dict[str, Struct] = {}  # sections that plugins declared
    origins: dict[str, Origin] = {}  # "agent.restart.delay" -> where
    path: str = ""
