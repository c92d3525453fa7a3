"""Why a unit cannot be made into a recipe: raised by all that take part in making one."""

from __future__ import annotations


class CannotPrepare(Exception):
    """A sentence that says why no recipe can be made."""
