"""What a new process does to itself between fork and exec, step by step: tables of what each kind of child does."""

from __future__ import annotations

import errno
import os
import resource

from maestro.keeper import cgroup, kernel, streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import Any

    from maestro.keeper.child import Birth, Step
else:
    import _signal as signal

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OPEN_FILES = 1024  # select() and old programs break above it; a unit may ask for more
SCHEDULING = (  # steps named as the fields of the recipe that they take
    "nice", "io_priority", "cpu_scheduling", "cpu_affinity", "numa", "timer_slack", "personality", "coredump_filter",
)  # fmt: skip


def learn(recipe: dict[str, Any]) -> None:
    """In the keeper, before the fork: what the steps of such a child need is read once, and not by each child for itself.

    That would be 2 ms of each start in a sandbox. A keeper whose agents have none stays as small as it was.
    """
    try:  # noqa: SIM105 (contextlib costs the keeper memory)
        _read(recipe)
    except (ImportError, SyntaxError, OSError):
        pass  # code that was replaced or cannot be read: the child tries again, and says so


def _read(recipe: dict[str, Any]) -> None:
    sandbox = recipe.get("sandbox")
    if sandbox:
        import maestro.keeper.sandbox
    if sandbox and sandbox.get("seccomp"):
        import maestro.keeper.seccomp
    if recipe.get("credentials") or recipe.get("directories"):
        import maestro.keeper.credentials  # noqa: F401


def _modules(birth: Birth) -> None:
    """What later steps need, before it may be hidden from us: what the keeper could not read, and what few ask for."""
    recipe = birth.recipe
    _read(recipe)
    if recipe.get("sandbox", {}).get("landlock"):
        import maestro.keeper.landlock
    if recipe.get("keyring"):
        import maestro.keeper.scheduling
    if birth.slate >= 0 and recipe.get("sandbox", {}).get("seccomp"):
        import maestro.keeper.seccomp

        birth.writing = maestro.keeper.seccomp.seen(birth.slate)


def _session(_: Birth) -> None:
    os.setsid()


def _guard(birth: Birth) -> None:
    """A keeper that is killed now must not leave a process behind that is nobody's yet."""
    kernel.die_with_parent(signal.SIGKILL)
    if (os.getppid() or kernel.parent_outside()) != birth.nest.keeper:
        os._exit(127)


def _cgroup(birth: Birth) -> None:
    recipe = birth.recipe
    if recipe.get("cgroup") and not birth.inside and not birth.is_in_v1:
        cgroup.enter((f"{recipe['cgroup']}/cgroup.procs",))
    cgroup.enter(recipe.get("tasks", ()))


def _oom(birth: Birth) -> None:
    score = birth.oom_score
    if score is not None:
        kernel.set_oom_score(score)


def _scheduling(stage: str) -> Step:
    """A step of few agents, named as the field that it takes: how to take it is read only where it is asked for."""

    def act(birth: Birth) -> None:
        value = birth.recipe.get(stage)
        if value is not None and value != ():
            from maestro.keeper import scheduling

            scheduling.STEPS[stage](value)

    return stage, act


def _stdin(birth: Birth) -> None:
    streams.place(birth, 0)


def _stdout(birth: Birth) -> None:
    streams.place(birth, 1)


def _stderr(birth: Birth) -> None:
    streams.place(birth, 2)


def _umask(birth: Birth) -> None:
    os.umask(birth.recipe.get("umask", 0o022))


def _directories(birth: Birth) -> None:
    if birth.recipe.get("directories"):
        from maestro.keeper import directories

        directories.make(birth)
    if birth.recipe.get("credentials"):
        from maestro.keeper import credentials

        credentials.make_place(birth)
        if not birth.recipe["credentials"]["mount"]:  # files like others, where nothing can be written later
            credentials.hand_over(birth)


def _apart(birth: Birth) -> None:
    recipe = birth.recipe
    if recipe.get("credentials") or recipe.get("directories"):
        from maestro.keeper import credentials

        if credentials.is_wanted(recipe):
            credentials.be_apart(birth)


def _credentials(birth: Birth) -> None:
    if birth.recipe.get("credentials", {}).get("mount"):
        from maestro.keeper import credentials

        credentials.hand_over(birth)


def _groups(birth: Birth) -> None:
    recipe = birth.recipe
    if _changes_identity(recipe):
        kernel.set_ids(tuple(recipe.get("groups", ())), None, None)


def _gid(birth: Birth) -> None:
    kernel.set_ids(None, birth.recipe.get("gid"), None)


def _uid(birth: Birth) -> None:
    kernel.set_ids(None, None, birth.recipe.get("uid"))


def _changes_identity(recipe: dict[str, Any]) -> bool:
    """Whether groups are to be set. Who runs Maestro for himself may name himself, and may not set groups."""
    uid = recipe.get("uid")
    if os.geteuid() != 0 and uid == os.getuid() and not recipe.get("groups"):
        return False
    return uid is not None or recipe.get("gid") is not None or bool(recipe.get("groups"))


def _limits(birth: Birth) -> None:
    """Resource limits; late, for an agent's limit on memory or descriptors binds this very code too."""
    files = (
        resource.RLIMIT_NOFILE,
        min(OPEN_FILES, hard := resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        hard,
    )
    limits = birth.recipe.get("rlimits", ())
    for number, soft, most in limits if any(n == files[0] for n, *_ in limits) else (files, *limits):
        birth.limit = (number, soft, most)
        resource.setrlimit(number, (soft, most))


def _root(birth: Birth) -> None:
    root = birth.recipe.get("root")
    if root and birth.recipe.get("sandbox", {}).get("namespaces", {}).get("alone"):
        birth.root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    elif root:
        os.chroot(root)
        os.chdir("/")


def _cwd(birth: Birth) -> None:
    try:
        os.chdir(birth.recipe.get("cwd", "/"))
    except OSError:
        if not birth.recipe.get("cwd_may_fail"):
            raise
        os.chdir("/")


def _confining(name: str) -> Callable[[Birth], None]:
    """A step for agents with a sandbox only: the keeper's memory does not grow for those without."""

    def act(birth: Birth) -> None:
        if birth.recipe.get("sandbox"):
            from maestro.keeper import sandbox

            getattr(sandbox, name)(birth)

    return act


def _signals(birth: Birth) -> None:
    """Let go of the keeper's handlers first: what was held back then comes to the agent and not into the keeper's pipe."""
    for number in birth.nest.not_default:
        signal.signal(number, signal.SIG_DFL)
    if birth.recipe.get("ignore_sigpipe"):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _manager_signals(birth: Birth) -> None:
    """The keeper hears the terminal and tells the manager; hearing it twice would be once too many."""
    for number in birth.nest.not_default:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _release(_: Birth) -> None:
    kernel.die_with_parent(0)


def _alarm(_: Birth) -> None:
    signal.alarm(10)  # outlives the exec: whatever hangs is ended by it


def searched(recipe: dict[str, Any]) -> list[str]:
    """Directories for a program that is named without one."""
    path: str = recipe.get("search_path") or recipe["env"].get("PATH", _DEFAULT_PATH)
    return path.split(":")


def _exec(birth: Birth) -> None:
    argv, environment = birth.recipe["argv"], birth.recipe["env"]
    if "/" in argv[0]:
        os.execve(argv[0], argv, environment)
    refused: OSError | None = None
    for directory in searched(birth.recipe):
        if not directory.startswith("/"):
            continue  # it would mean the agent's working directory
        try:
            os.execve(f"{directory}/{argv[0]}", argv, environment)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            refused = error  # a later directory may have it all the same
    raise refused or FileNotFoundError(errno.ENOENT, argv[0])


AGENT: tuple[Step, ...] = (
    ("modules", _modules),
    ("users", _confining("users")),
    ("session", _session),
    ("guard", _guard),
    ("cgroup", _cgroup),  # whatever it does from here on is its own account's
    ("oom", _oom),
    *map(_scheduling, SCHEDULING),
    ("signals", _signals),  # before what may take long: a fifo, a file system of the network
    ("umask", _umask),
    ("stdin", _stdin),
    ("stdout", _stdout),
    ("stderr", _stderr),
    (
        "pass",
        streams.pass_on,
    ),  # nothing is opened by number afterwards, and the limit on descriptors is not there yet
    ("directories", _directories),
    ("namespaces", _confining("namespaces")),
    ("listeners", _confining("listeners")),
    ("mounts", _confining("mounts")),
    ("apart", _apart),
    ("credentials", _credentials),  # over what the mounts have hidden
    ("groups", _groups),
    ("gid", _gid),
    ("limits", _limits),
    ("root", _root),
    ("bounding", _confining("bounding")),
    ("uid", _uid),
    _scheduling("keyring"),  # which belongs to the user who makes it
    ("ambient", _confining("ambient")),
    ("cwd", _cwd),  # as the agent's user: what it may not enter, it is not put into
    ("no new privileges", _confining("no_new_privileges")),
    ("landlock", _confining("landlock")),
    ("release", _release),
    ("seccomp", _confining("seccomp")),  # the last: it refuses what the steps above have done
    ("exec", _exec),
)

MANAGER: tuple[Step, ...] = (
    ("session", _session),  # what is sent to our whole group (Ctrl-C, timeout, kill -PGID) is for the keeper
    ("guard", _guard),  # never released: a manager without its keeper is of no use
    ("oom", _oom),
    ("signals", _manager_signals),
    ("exec", _exec),
)

SUCCESSOR_ON_TRIAL: tuple[Step, ...] = (
    ("session", _session),
    ("guard", _guard),
    ("oom", _oom),
    ("alarm", _alarm),
    ("signals", _signals),
    ("exec", _exec),
)
