"""Unit -> Recipe: everything that has to be looked up is looked up here, before the keeper is asked."""

from __future__ import annotations

import hashlib
import os
import pwd
from collections.abc import Callable
from functools import cache
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from maestro.engine.events import Errand
from maestro.engine.state import Trigger
from maestro.manager import directories, environment_file, sandbox, scheduling
from maestro.manager.cannot import CannotPrepare as CannotPrepare
from maestro.manager.drafts import Drafts
from maestro.manager.dynamic_users import DynamicUsers
from maestro.manager.no_groups import NoGroups
from maestro.model.checks import NOTIFIES
from maestro.model.command import Command, expand
from maestro.model.sandbox import confines
from maestro.model.specifiers import Specifiers
from maestro.model.status import signal_name
from maestro.model.streams import openings, without_stored
from maestro.model.unit import AgentSection, Unit
from maestro.ports import Abilities, CannotConfine, Groups, Place, Recipe, Seccomp

_USUAL_STREAMS = (("null", ""), ("log", ""), ("inherit", ""))
_LOG = ("log", "")
_OF_THE_MAIN = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "FDSTORE")  # variables for the main process alone
_NOT_BEFORE = ("WATCHDOG_USEC",)  # of those, what a command before it does not get that may leave descriptors
_PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class House(Struct, frozen=True, kw_only=True):
    """What is the same for every agent of this daemon."""

    notify: str  # path of the notify socket
    control: str
    identity: str  # boot id and root: makes invocation ids differ between daemons and boots
    environ: dict[str, str]
    uid: int
    groups: Groups = NoGroups()
    places: Specifiers = Specifiers()  # the base directories, and where credentials are
    credstore: str = (
        "/etc/maestro/credentials"  # where those are read from that are named without a directory
    )
    may_mount: bool = False  # whether an agent can be given file systems of its own
    in_memory: bool = False  # whether the directory of credentials is
    users: DynamicUsers = field(default_factory=DynamicUsers)
    premises: sandbox.Premises = sandbox.Premises()
    abilities: Callable[[], Abilities] = Abilities
    filters: Seccomp | None = None
    interpreter: Callable[[str], str] = lambda path: ""  # of a script; raises OSError, ValueError
    drafts: Drafts = field(default_factory=Drafts)


def invocation(house: House, agent: str) -> str:
    """The 128-bit id of one started process, as systemd's INVOCATION_ID; the same whenever it is asked for."""
    return hashlib.sha256(f"{house.identity}\n{agent}".encode()).hexdigest()[:32]


def make(
    unit: Unit,
    agent_id: str,
    house: House,
    trigger: Trigger | None = None,
    line: int = 0,
    note: Callable[[str], None] = lambda text: None,
) -> Recipe:
    """The recipe for the next process of a unit, and what it is told of the one whose end started it. Raises `CannotPrepare`.

    `line` says which of several commands it is. What was left out of its environment is told to `note`.
    """
    agent = unit.agent
    assert agent is not None
    if line > len(agent.exec_more):
        raise CannotPrepare(f"its unit was changed meanwhile and has no agent.exec_more[{line - 1}] any more")
    draft = house.drafts.of(unit)
    if draft is None:
        draft = _draft(unit, agent, house, note)
        if _is_settled(agent):
            house.drafts.keep(unit, draft)
    env = {**draft.env, "MAESTRO_UNIT": unit.name}
    env |= _monitored(trigger, house) if trigger is not None else {}
    env["INVOCATION_ID"] = invocation(house, agent_id)
    place = _place(unit, agent_id, house)
    recipe = replace(
        draft,
        store=unit.name if agent.file_descriptor_store_max else "",
        stream=unit.name if not draft.stdio or _LOG in draft.stdio else None,
        title=unit.name,
        cgroup=place.cgroup,
        tasks=place.tasks,
        make=place.make,
        sandbox=_sandbox(unit, house),
    )
    return _with(recipe, agent.lines[line], env)


def _is_settled(agent: AgentSection) -> bool:
    """Whether its draft is the same each time: nothing outside of its definition, no account and no file, has a say in it."""
    somebody = agent.user or agent.group or agent.supplementary_groups or agent.dynamic_user
    return not (somebody or agent.environment_file)


def _draft(unit: Unit, agent: AgentSection, house: House, note: Callable[[str], None]) -> Recipe:
    """What is the same for all its processes as long as its definition is, without its name."""
    uid, gid, groups, home = who(unit, house)
    env = environment(unit, agent, house, home, note)
    env |= directories.environment(unit, house)
    env |= _own_words(agent, house)
    cwd = agent.working_directory.removeprefix("-")
    streams = openings(agent.stdin, agent.stdout, agent.stderr)
    draft = Recipe(
        argv=(),
        env=env,
        cwd=home or "/" if cwd == "~" else cwd,
        cwd_may_fail=agent.working_directory.startswith("-"),
        root=agent.root_directory,
        stdio=() if streams == _USUAL_STREAMS else streams,
        notify_fd=agent.notify_fd,
        uid=uid,
        gid=gid,
        groups=groups,
        umask=int(agent.umask, 8),
        gateways=agent.gateway_ports,
        directories=directories.prepare(unit, house, uid, gid),
    )
    return scheduling.applied(draft, agent)


def _place(unit: Unit, agent_id: str, house: House) -> Place:
    try:
        return house.groups.place(unit, agent_id)
    except CannotConfine as why:
        raise CannotPrepare(str(why)) from None


def _own_words(agent: AgentSection, house: House) -> dict[str, str]:
    """What Maestro itself tells it: who it is, and where it may speak."""
    env = {"MAESTRO_CONTROL": house.control}
    if is_heard(agent):
        env["NOTIFY_SOCKET"] = house.notify
    if agent.file_descriptor_store_max:
        env["FDSTORE"] = str(agent.file_descriptor_store_max)
    if agent.watchdog:
        env["WATCHDOG_USEC"] = str(int(agent.watchdog * 1e6))
    return env


def _sandbox(unit: Unit, house: House, *, main: bool = True) -> dict[str, Any]:
    if not confines(unit.sandbox):
        return {}
    premises = replace(
        house.premises,
        own=directories.writable(unit, house),
        private=directories.private_places(house),
    )
    confined = sandbox.confine(unit, house.abilities, premises, house.filters, main=main)
    if why_not := confined.refusal():
        raise CannotPrepare(why_not)
    return confined.data


def _with(recipe: Recipe, command: Command, env: dict[str, str]) -> Recipe:
    """The same for this command, as the marks before its program have it."""
    argv = command.words if command.is_verbatim else expand(command.words, env)
    recipe = replace(recipe, argv=argv, env=env)
    if command.is_privileged:
        return replace(
            recipe, uid=None, gid=None, groups=(), sandbox={} if "+" in command.marks else recipe.sandbox
        )
    return recipe


def is_heard(agent: AgentSection) -> bool:
    """Whether its processes are told where to say how they are."""
    return bool(agent.type in NOTIFIES or agent.watchdog or agent.file_descriptor_store_max)


def make_errand(unit: Unit, errand: Errand, house: House) -> Recipe:
    """A recipe for a command around the main process: as that, and its output goes to the same stream."""
    recipe = make(unit, errand.agent, house)
    hidden = _NOT_BEFORE if _may_leave_descriptors(unit, errand) else _OF_THE_MAIN
    env = {name: value for name, value in recipe.env.items() if name not in hidden} | errand.variables
    stdio = without_stored(recipe.stdio)
    recipe = replace(
        recipe,
        stdio=stdio,
        stream=unit.name if not stdio or _LOG in stdio else None,
        notify_fd=0,
        store="",
        gateways=(),
        title=f"{errand.option} of {unit.name}",
        sandbox=_sandbox(unit, house, main=False),
    )
    return _with(recipe, Command(errand.line), env)


def _may_leave_descriptors(unit: Unit, errand: Errand) -> bool:
    """What a command before the process leaves, the process gets: a socket, say, as its standard input."""
    agent = unit.agent
    assert agent is not None
    wanted = errand.option == "exec_start_pre" and agent.file_descriptor_store_max > 0
    return wanted and agent.notify_access in ("exec", "all")


def make_probe(unit: Unit, agent_id: str, command: tuple[str, ...], house: House) -> Recipe:
    """A recipe for an exec probe: as the agent, but silent and on its own."""
    recipe = make(unit, agent_id, house)
    env = {name: value for name, value in recipe.env.items() if name not in _OF_THE_MAIN}
    return replace(
        recipe,
        argv=expand(command, env),
        env=env,
        stdio=(),
        notify_fd=0,
        store="",
        gateways=(),
        stream=None,
        title=f"probe of {unit.name}",
        sandbox=_sandbox(unit, house, main=False),
    )


# ------------------------------------------------------------------------------------------- who


def who(unit: Unit, house: House) -> directories.Identity:
    """uid, gid, supplementary groups and home of an agent; None where nothing changes."""
    assert unit.agent is not None
    dynamic = directories.dynamic_identity(unit, house)
    if dynamic is None:
        return identity(unit.agent, house.uid)
    uid, gid, groups, home = dynamic
    return uid, gid if unit.agent.group is None else directories.group(unit.agent.group), groups, home


def owner(unit: Unit, house: House) -> tuple[int | None, int | None]:
    """Whose its files are; None: ours, and nobody else's can be."""
    uid, gid, _, _ = who(unit, house)
    return (uid or 0, gid or 0) if house.uid == 0 else (None, None)


def identity(agent: AgentSection, own_uid: int) -> tuple[int | None, int | None, tuple[int, ...], str]:
    """uid, gid, supplementary groups and home; None where nothing changes."""
    more = directories.further_groups(agent)
    if agent.user is None and agent.group is None:
        return None, None, more, _home(own_uid)
    if own_uid != 0:
        return _as_ordinary_user(agent, own_uid, more)
    user = _user(agent.user, agent.group) if agent.user is not None else pwd.getpwuid(0)
    gid = directories.group(agent.group) if agent.group is not None else user.pw_gid
    groups = dict.fromkeys((*os.getgrouplist(user.pw_name, gid), *more))
    return user.pw_uid, gid, tuple(groups), user.pw_dir


def _as_ordinary_user(
    agent: AgentSection, own_uid: int, groups: tuple[int, ...]
) -> tuple[None, None, tuple[int, ...], str]:
    if agent.user is not None and _user(agent.user).pw_uid != own_uid:
        raise CannotPrepare(
            f"cannot run as user {agent.user}: this daemon runs as uid {own_uid}, and only root may change users"
        )
    if agent.group is not None and directories.group(agent.group) != os.getegid():
        raise CannotPrepare(
            f"cannot run as group {agent.group}: this daemon runs as gid {os.getegid()}, and only root may change groups"
        )
    return None, None, groups, _home(own_uid)


def _user(name: str, group: str | None = None) -> pwd.struct_passwd:
    """The account of a user. A number needs none where the group is named as well."""
    try:
        return pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        if name.isdigit() and group is not None:
            return pwd.struct_passwd((name, "x", int(name), 0, "", "/", ""))
        if name.isdigit():
            raise CannotPrepare(
                f"cannot run as user {name}: no account has this number; name its group, too"
            ) from None
        raise CannotPrepare(f"cannot run as user {name}: no such user") from None


@cache
def _home(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return "/"


# ------------------------------------------------------------------------------------------- environment


def environment(
    unit: Unit, agent: AgentSection, house: House, home: str, note: Callable[[str], None]
) -> dict[str, str]:
    """The agent's variables: little from the daemon's own, then the unit's lines, then its files: as in systemd, the last wins."""
    env = {name: house.environ[name] for name in _PASSED_ON if name in house.environ}
    env["PATH"] = ":".join(agent.exec_search_path) or house.environ.get("PATH") or DEFAULT_PATH
    if user := directories.user_name(unit):
        env |= {"HOME": home, "USER": user, "LOGNAME": user}
    elif "HOME" in house.environ:
        env["HOME"] = house.environ["HOME"]
    # by plain texts: only those pass through marshal to the keeper
    env |= {str(name): house.environ[name] for name in agent.pass_environment if name in house.environ}
    env |= dict(agent.environment)
    for path in agent.environment_file:
        env |= _from_file(path, note)
    for unset in agent.unset_environment:
        if unset.value is None or env.get(unset.name) == unset.value:
            env.pop(unset.name, None)
    return env


def _from_file(path: str, note: Callable[[str], None]) -> dict[str, str]:
    try:
        found, told = environment_file.load(path)
    except OSError as error:
        why = error.strerror or str(error)
        raise CannotPrepare(
            f"cannot read environment file {error.filename}: {why[0].lower()}{why[1:]}"
        ) from None
    for text in told:
        note(text)
    return found


def _monitored(trigger: Trigger, house: House) -> dict[str, str]:
    """systemd.exec(5)'s $MONITOR_…: what became of the unit that was watched."""
    found = {"MONITOR_UNIT": trigger.unit, "MONITOR_SERVICE_RESULT": str(trigger.result)}
    if trigger.agent:
        found["MONITOR_INVOCATION_ID"] = invocation(house, trigger.agent)
    ended = trigger.ended
    if ended is not None and ended.signal is not None:
        found |= {"MONITOR_EXIT_CODE": "killed", "MONITOR_EXIT_STATUS": signal_name(ended.signal)}
    elif ended is not None and ended.code is not None:
        found |= {"MONITOR_EXIT_CODE": "exited", "MONITOR_EXIT_STATUS": str(ended.code)}
    return found
