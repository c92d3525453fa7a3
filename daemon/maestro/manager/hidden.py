"""Why a confined agent did not find what is there: which option of its sandbox hides it, and what to write."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator

from maestro.manager.mounting import HOMES, TMP
from maestro.manager.recipe import House
from maestro.model.sandbox import SandboxSection, in_force
from maestro.model.unit import AgentSection, Unit

_STAGES = ("execute ", "change directory to ")  # the keeper's words, followed by a path
_LIKE_HIDDEN = (errno.ENOENT, errno.EACCES)
_MOST = 8  # interpreters of interpreters


def failure(unit: Unit | None, stage: str, number: int, house: House) -> str:
    """The sentence for a step that failed. Programs without a path are looked for as in the daemon's own environment."""
    why = f": {os.strerror(number).lower()}" if number else ""  # else the words say it
    return f"cannot {stage}{why}{_hint(unit, stage, house) if number in _LIKE_HIDDEN else ''}"


def _hint(unit: Unit | None, stage: str, house: House) -> str:
    agent = unit.agent if unit is not None else None
    what = next((stage.removeprefix(one) for one in _STAGES if stage.startswith(one)), "")
    if unit is None or agent is None or agent.root_directory or not what:
        return ""
    what = _found(what, agent, house)
    for one in _needed(what, house.interpreter):
        if option := _hidden_by(unit.sandbox, one, _kept(agent, house)):
            needs = "" if stage.endswith(one) else f"it needs {one}, "
            return f" ({needs}hidden by {option}: write sandbox.read_only_paths: [{_folder(one)}])"
    return ""


def _found(program: str, agent: AgentSection, house: House) -> str:
    if "/" in program:
        return program
    places = ":".join(agent.exec_search_path) or agent.environment.get("PATH") or house.environ.get("PATH")
    import shutil  # only for who is mistaken

    return shutil.which(program, path=places) or ""


def _needed(path: str, interpreter: Callable[[str], str]) -> Iterator[str]:
    """A path, what it leads to, and the interpreters that the kernel executes in its place: as they are on the host."""
    for _ in range(_MOST):
        if not path.startswith("/") or not os.path.lexists(path):
            return
        real = os.path.realpath(path)
        yield from dict.fromkeys((path, real))
        try:
            path = interpreter(real)
        except (OSError, ValueError):
            return


def _kept(agent: AgentSection, house: House) -> tuple[str, ...]:
    """What shows in a /tmp of its own."""
    return tuple(one for one in (house.premises.root, agent.working_directory) if one.startswith("/"))


def _hidden_by(asked: SandboxSection, path: str, kept: tuple[str, ...]) -> str:
    """The option, in words; empty where it is to be seen. Of two paths the longer one counts."""
    section, spots = in_force(asked), {}
    if section.protect_home in ("yes", "tmpfs"):
        by_level = f", as level {asked.level} has it" if asked.protect_home is None else ""
        spots.update(dict.fromkeys(HOMES, f"sandbox.protect_home{by_level}"))
    if section.private_tmp:
        by_level = f", as level {asked.level} has it" if asked.private_tmp is None else ""
        spots.update(dict.fromkeys(TMP, f"sandbox.private_tmp{by_level}"))
        spots.update((one, "") for one in kept if one.startswith(tuple(f"{tmp}/" for tmp in TMP)))
    for seen in (*section.exec_paths, *section.read_write_paths, *section.read_only_paths):
        spots[seen.path] = ""
    spots.update((one.path, "sandbox.temporary_file_system") for one in section.temporary_file_system)
    spots.update((one.destination, "") for one in (*section.bind_paths, *section.bind_read_only_paths))
    spots.update((one.path, "sandbox.inaccessible_paths") for one in section.inaccessible_paths)
    above = [place for place in spots if path == place or path.startswith(place.rstrip("/") + "/")]
    return spots[max(above, key=len)] if above else ""


def _folder(path: str) -> str:
    """What a program needs is mostly beside the directory that it is in."""
    if os.path.isdir(path):
        return path
    folder = os.path.dirname(path)
    return os.path.dirname(folder) if os.path.basename(folder) in ("bin", "sbin") else folder
