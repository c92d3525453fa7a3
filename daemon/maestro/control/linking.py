"""Requests that change links between unit files, or tell of them."""

from __future__ import annotations

from msgspec import Struct

from maestro.control.request import Names, OneOrMore, Request


class Enable(Request, frozen=True, tag_field="do", tag="enable"):
    units: OneOrMore
    now: bool = False  # and start
    runtime: bool = False  # until the next boot


class Disable(Request, frozen=True, tag_field="do", tag="disable"):
    units: OneOrMore
    now: bool = False  # and stop
    runtime: bool = False


class Mask(Request, frozen=True, tag_field="do", tag="mask"):
    """Make it impossible to start them, by hand or for another unit."""

    units: OneOrMore
    now: bool = False  # and stop
    runtime: bool = False


class Unmask(Request, frozen=True, tag_field="do", tag="unmask"):
    units: OneOrMore
    runtime: bool = False


class Preset(Request, frozen=True, tag_field="do", tag="preset"):
    """Enable or disable as the preset files say."""

    units: Names = ()  # none: all that have an install section


class IsEnabled(Request, frozen=True, tag_field="do", tag="is-enabled"):
    units: OneOrMore


Linking = Enable | Disable | Mask | Unmask | Preset  # they change links


class EnablementView(Struct, frozen=True, kw_only=True):
    name: str
    state: str  # enabled, disabled, static, masked …: a key of model.install.STATES
    enabled: bool  # whether that counts as a yes
