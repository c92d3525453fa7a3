"""What an agent is handed as credentials: read before it starts, put into its recipe, and renewed when it reloads.

The secrets are in no message, no log and no store: a sentence about one says its name and nothing more.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from maestro.manager import directories, recipe, tasks
from maestro.manager.cannot import CannotPrepare
from maestro.manager.recipe import House
from maestro.model.redaction import is_redacted
from maestro.model.unit import AgentSection, Unit
from maestro.ports import Recipe

MOST = 128 << 10  # bytes of all credentials of an agent: they travel in its recipe
Secrets = Mapping[str, bytes]
Renew = Callable[[int, dict[str, Any]], None]  # for the agent with this pid; may take long


def load(agent: AgentSection, house: House) -> dict[str, bytes]:
    """The contents of all of an agent's credentials. Reads files, which may take long. Raises `CannotPrepare`."""
    found = {}
    for name, text in agent.set_credential.items():
        if is_redacted(text) and name not in agent.load_credential:
            raise CannotPrepare(
                f"cannot set credential {name}: its unit's file is gone, and no secret of it is kept; put the file back"
            )
        found[name] = text.encode("utf-8", "surrogateescape")
    for name, path in agent.load_credential.items():
        try:
            found[name] = _read(os.path.join(house.credstore, path))
        except FileNotFoundError:
            if name in found and not is_redacted(agent.set_credential[name]):
                continue  # what is set is for this
            if not path.startswith("/") and name not in found:
                continue  # as in systemd; who cannot do without it will say so
            raise CannotPrepare(f"cannot load credential {name}: no such file: {path}") from None
        except OSError as error:
            why = error.strerror or str(error)
            raise CannotPrepare(
                f"cannot load credential {name} from {path}: {why[0].lower()}{why[1:]}"
            ) from None
    size = sum(len(name) + len(data) for name, data in found.items())
    if size > MOST:
        raise CannotPrepare(
            f"cannot hand over its credentials: they have more than {MOST >> 10} KiB in all; "
            "put what is no secret into a file that it reads itself"
        )
    return found


async def read(agent: AgentSection, house: House) -> Secrets:
    """The same, without holding up the loop."""
    return await tasks.aside(partial(load, agent, house), "credentials") if agent.has_credentials else {}


def _read(path: str) -> bytes:
    """A regular file, and no more of it than could be handed over, and one byte."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(0, "It is not a regular file")
        return os.read(fd, MOST + 1)
    finally:
        os.close(fd)


def furnish(prepared: Recipe, unit: Unit, house: House, secrets: Secrets) -> Recipe:
    """The same recipe with the credentials in it. After its command was expanded: none of them gets into its arguments."""
    agent = unit.agent
    if agent is None or not agent.has_credentials:
        return prepared
    variables = {
        variable: secrets[name].decode("utf-8", "surrogateescape")
        for name, variable in agent.credentials_in_environment.items()
        if name in secrets
    }
    if any("\0" in value for value in variables.values()):
        raise CannotPrepare(
            "cannot tell it a credential in a variable: it has a NUL character, so read the file"
        )
    return replace(prepared, env=prepared.env | variables, credentials=_credentials(unit, house, secrets))


def _credentials(unit: Unit, house: House, secrets: Secrets) -> dict[str, Any]:
    assert unit.agent is not None
    if not (house.may_mount or house.in_memory or unit.agent.credentials_on_disk):
        raise CannotPrepare(
            f"cannot hand over its credentials: nothing may be mounted here, and {house.places.credentials} is on a "
            "disk; have the daemon's runtime directory in memory (tmpfs), or write agent.credentials_on_disk: true"
        )
    uid, gid = recipe.owner(unit, house)
    return {
        "path": directories.credentials_of(unit.name, house),
        "uid": uid,
        "gid": gid,
        "mount": house.may_mount,
        "files": {
            **dict.fromkeys(unit.agent.load_credential),
            **secrets,
        },  # None: it has what it had, if anything
    }


def are_reloaded_by(unit: Unit, signal: str) -> bool:
    """Whether this signal makes an agent with credentials read its configuration again."""
    agent = unit.agent
    return agent is not None and agent.has_credentials and signal == str(agent.reload_signal or "HUP")


class Vault:
    """Reads credentials off the loop, and then goes on."""

    def __init__(self, house: House, note: Callable[[str, str], None]) -> None:
        self._house = house
        self._note = note  # into a unit's log
        self.renew: Renew = lambda pid, credentials: None

    def open(self, unit: Unit, then: Callable[[Secrets | CannotPrepare], None]) -> None:
        """What is read goes to `then`: at once where there is nothing to read."""
        agent = unit.agent
        if agent is None or not agent.has_credentials:
            then({})
            return
        tasks.spawn(self._open(unit, agent, then), f"credentials of {unit.name}")

    async def _open(
        self, unit: Unit, agent: AgentSection, then: Callable[[Secrets | CannotPrepare], None]
    ) -> None:
        secrets: Secrets | CannotPrepare
        try:
            secrets = await read(agent, self._house)
            self._tell_missing(unit, agent, secrets, "it gets no credential {}")
        except CannotPrepare as why:
            secrets = why
        then(secrets)

    def refresh(self, unit: Unit, pid: int, then: Callable[[], None]) -> None:
        """Before it reads its configuration again: give it what its credentials are now. What fails is told in its log."""
        agent = unit.agent
        if agent is None or not agent.has_credentials or not pid:
            then()
            return
        tasks.spawn(self._refresh(unit, agent, pid, then), f"credentials of {unit.name}")

    async def _refresh(self, unit: Unit, agent: AgentSection, pid: int, then: Callable[[], None]) -> None:
        def work() -> None:
            secrets = load(agent, self._house)
            self.renew(pid, _credentials(unit, self._house, secrets))
            given.append(secrets)

        given: list[Secrets] = []
        await self._tried(unit, tasks.aside(work, "credentials"))
        for secrets in given:
            self._tell_missing(unit, agent, secrets, "its credential {} is as it was")
        then()

    def _tell_missing(self, unit: Unit, agent: AgentSection, secrets: Secrets, words: str) -> None:
        for name, path in agent.load_credential.items():
            if name not in secrets:
                where = os.path.join(self._house.credstore, path)
                self._note(unit.name, f"{words.format(name)}: no such file: {where}")

    async def _tried(self, unit: Unit, work: Awaitable[None]) -> None:
        try:
            await work
        except CannotPrepare as why:
            self._note(unit.name, f"its credentials are as they were: {why}")
        except OSError as error:
            self._note(
                unit.name, f"its credentials are as they were: {(error.strerror or str(error)).lower()}"
            )
