"""Users and groups by name, or by a number that need not have an account."""

from __future__ import annotations

import grp
import pwd


def uid_of(name: str) -> int | None:
    """None: there is no such user."""
    try:
        return int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def gid_of(name: str) -> int | None:
    """None: there is no such group."""
    try:
        return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        return None
