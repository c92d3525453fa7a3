"""The requests about budgets: what is left, and what an operator adds or has forgotten."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from maestro.control.request import ErrorView, Names, OneOrMore, Request

Word = Annotated[str, Meta(min_length=1, max_length=64)]


class Budget(Request, frozen=True, tag_field="do", tag="budget"):
    """What units have used of their budgets."""

    units: Names = ()  # none: all that have a budget


class Grant(Request, frozen=True, tag_field="do", tag="budget-grant"):
    """Add to budgets, until their windows are over."""

    units: OneOrMore
    resource: Word
    amount: Word  # as a unit file has it: 1h, 512M, 20
    window: Literal["", "hour", "day", "week", "month", "invocation"] = ""  # empty: each that has a limit


class ResetBudget(Request, frozen=True, tag_field="do", tag="budget-reset"):
    """Forget what was used of budgets in the windows that last."""

    units: OneOrMore
    resource: Annotated[str, Meta(max_length=64)] = ""  # empty: all


class LimitView(Struct, frozen=True, kw_only=True):
    """One amount of a budget: seconds, bytes or a number. Times are seconds since 1970."""

    resource: str
    unit: str  # seconds, bytes, count
    window: str
    used: float
    limit: float  # as the unit has it
    granted: float  # and what comes to it until the window is over
    left: float
    percent: int
    began: float | None  # None: with the invocation
    ends: float | None
    ends_at: str  # in the budget's time zone, in words
    exhausted: bool


class HolderView(Struct, frozen=True, kw_only=True):
    unit: str
    on_exhausted: str
    warn_at: int  # percent
    time_zone: str
    limits: tuple[LimitView, ...]
    totals: dict[str, float]  # resource -> all that was ever used


class BudgetView(Struct, frozen=True, kw_only=True):
    budgets: tuple[HolderView, ...]
    errors: dict[str, ErrorView] = {}
    now: float = 0.0
