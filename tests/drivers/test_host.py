"""Where the host's base directories are, for each kind of installation."""

from __future__ import annotations

import os

import pytest

from maestro.drivers import host

PLACES = ("runtime", "state", "cache", "logs", "configuration")


def places(environ: dict[str, str], root: str) -> list[str]:
    found = host.specifiers(environ, root, "/r/maestro")
    assert found.credentials == "/r/maestro/credentials"
    return [getattr(found, name) for name in PLACES]


def test_below_a_root_of_its_own() -> None:
    assert places({}, "/srv/m") == [f"/srv/m/{p}" for p in ("run", "var/lib", "var/cache", "var/log", "etc")]
    assert places({}, "/") == ["/run", "/var/lib", "/var/cache", "/var/log", "/etc"]


def test_of_an_ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    environ = {"HOME": "/home/me", "XDG_RUNTIME_DIR": "/run/user/me"}
    home = [
        "/run/user/me",
        *(f"/home/me/{p}" for p in (".local/state", ".cache", ".local/state/log", ".config")),
    ]
    assert places(environ, "") == home
    assert places(environ, "/srv/m")[1] == "/srv/m/var/lib"
