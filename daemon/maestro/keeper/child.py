"""Between fork and exec: what a new process does to itself, step by step, each step named.

The process has one thread and shares nothing but descriptors with the keeper. A step that fails is reported
through `report`, a close-on-exec pipe, in words that complete "cannot ...".
"""

from __future__ import annotations

import errno
import os
import resource

from maestro.keeper import cgroup, kernel, signals, streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import Any, NoReturn

    from maestro.keeper.spare import Spare

    Step = tuple[str, Callable[["Birth"], None]]
else:
    import _signal as signal

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OPEN_FILES = 1024  # select() and old programs break above it; a unit may ask for more
_NOT_INTO_A_GROUP = (errno.ENOSYS, errno.EINVAL, errno.E2BIG, errno.EPERM, errno.EOPNOTSUPP, errno.EBADF)
_LONGEST_REPORT = 4000  # less than PIPE_BUF: arrives whole

STAGES = {
    "session": "start a session of its own",
    "guard": "tie its life to the keeper's",
    "cgroup": "enter its control group {cgroup}",
    "oom": "set its OOM score to {oom}",
    "nice": "set its nice level to {scheduling}",
    "io_priority": "set its I/O priority to {scheduling}",
    "cpu_scheduling": "set its CPU scheduling to {scheduling}",
    "cpu_affinity": "keep it to CPUs {scheduling}",
    "numa": "set its NUMA policy to {scheduling}",
    "timer_slack": "set its timer slack to {scheduling}",
    "personality": "set its personality to {scheduling}",
    "coredump_filter": "set what its core files contain to {scheduling}",
    "signals": "reset its signals",
    "umask": "set its umask",
    "stdin": "open its input {stdin}",
    "stdout": "open its output {stdout}",
    "stderr": "open its error output {stderr}",
    "pass": "hand it its descriptors",
    "directories": "make {place}",
    "apart": "give it a view of the file system of its own",
    "credentials": "hand it {place}",
    "groups": "set its groups {groups}",
    "gid": "become group {gid}",
    "limits": "set its limit {limit}",
    "uid": "become user {uid}",
    "keyring": "give it a {scheduling} session keyring",
    "root": "change its root to {root}",
    "cwd": "change directory to {cwd}",
    "release": "untie its life from the keeper's",
    "alarm": "set its alarm",
    "exec": "execute {program}",
}
SCHEDULING = (  # steps named as the fields of the recipe that they take
    "nice", "io_priority", "cpu_scheduling", "cpu_affinity", "numa", "timer_slack", "personality", "coredump_filter",
)  # fmt: skip


class Nest:
    """What every child needs to know of the keeper."""

    __slots__ = ("keeper", "not_default", "oom", "spare")

    def __init__(self, spare: Spare, not_default: set[int]) -> None:
        self.keeper = os.getpid()  # seen from the child: its parent
        self.spare = spare
        self.not_default = not_default  # signals whose disposition the keeper changed, or was started with
        self.oom: int | None = None  # OOM score to go back to; None: the keeper's is as it was


class Birth:
    """One child: what it is to become, and how it tells that it cannot."""

    __slots__ = (
        "given",
        "inside",
        "limit",
        "listening",
        "nest",
        "output",
        "passed",
        "place",
        "recipe",
        "report",
    )

    def __init__(self, recipe: dict[str, Any], nest: Nest, output: int = -1, report: int = -1) -> None:
        self.recipe = recipe
        self.nest = nest
        self.output = output  # the stream's descriptor; -1: /dev/null
        self.report = report  # where a failed step is reported; -1: on stderr
        self.given: dict[tuple[str, str], int] = {}  # (kind, name) of a standard stream -> our descriptor
        self.passed: dict[int, int] = {}  # number that the child is to have it at -> our descriptor
        self.listening: tuple[str, ...] = ()  # the names of those from 3 on, of earlier processes of the unit
        self.inside = False  # it was born in its control group
        self.place = "its directories"  # what is being made, in words
        self.limit = (0, 0, 0)  # the one that is being set: (RLIMIT_x, soft, hard)


def fork(birth: Birth, steps: tuple[Step, ...]) -> int:
    """A new process that takes the steps. No signal reaches it before it is itself."""
    with signals.Held():
        pid = _fork(birth)
        if pid == 0:
            become(birth, steps)
    return pid


def _fork(birth: Birth) -> int:
    """A child in its control group, where the kernel can; elsewhere the child has to enter it."""
    group = birth.recipe.get("cgroup", "")
    if not group or _is_v1(birth.recipe):
        return os.fork()
    fd = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        birth.inside = True
        return kernel.fork_into(fd)
    except OSError as error:
        if error.errno not in _NOT_INTO_A_GROUP:
            raise
        birth.inside = False
        return os.fork()
    finally:
        os.close(fd)


def become(birth: Birth, steps: tuple[Step, ...]) -> NoReturn:
    """Take the steps; the last one is an exec. Never returns."""
    stage = ""
    try:
        for step in steps:
            stage, act = step
            act(birth)
    except BaseException as error:
        _report(birth, stage, _errno(error))
    finally:
        os._exit(127)


def describe(stage: str, birth: Birth) -> str:
    recipe = birth.recipe
    return STAGES[stage].format(
        stdin=streams.describe(birth, 0),
        stdout=streams.describe(birth, 1),
        stderr=streams.describe(birth, 2),
        root=recipe.get("root"),
        groups=" ".join(map(str, recipe.get("groups", ()))),
        gid=recipe.get("gid"),
        uid=recipe.get("uid"),
        cwd=recipe.get("cwd"),
        cgroup=recipe.get("cgroup"),
        program=next(iter(recipe.get("argv", ())), ""),
        limit=_limit_words(*birth.limit),
        oom=_oom_score(birth),
        scheduling=_scheduling_words(stage, recipe.get(stage)),
        place=birth.place,
    )


def _scheduling_words(stage: str, value: Any) -> str:
    if value is None or "{scheduling}" not in STAGES[stage]:
        return ""
    from maestro.keeper import scheduling

    return scheduling.words(stage, value)


def _report(birth: Birth, stage: str, number: int) -> None:
    words = describe(stage, birth)
    if birth.report < 0:
        os.write(2, f"maestrod: cannot {words}: {os.strerror(number)}\n".encode(errors="replace"))
    else:
        os.write(birth.report, f"{number} {words}".encode(errors="replace")[:_LONGEST_REPORT])


def _errno(error: BaseException) -> int:
    if isinstance(error, OSError):
        return error.errno or errno.EIO
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    if isinstance(error, ValueError) and "not allowed" in str(error):
        return errno.EPERM  # resource.setrlimit has its own way to say so
    return errno.EINVAL


# ------------------------------------------------------------------------------------------------ the steps


def _session(_: Birth) -> None:
    os.setsid()


def _guard(birth: Birth) -> None:
    """A keeper that is killed now must not leave a process behind that is nobody's yet."""
    kernel.die_with_parent(signal.SIGKILL)
    if os.getppid() != birth.nest.keeper:
        os._exit(127)


def _cgroup(birth: Birth) -> None:
    recipe = birth.recipe
    if recipe.get("cgroup") and not birth.inside and not _is_v1(recipe):
        cgroup.enter((f"{recipe['cgroup']}/cgroup.procs",))
    cgroup.enter(recipe.get("tasks", ()))


def _is_v1(recipe: dict[str, Any]) -> bool:
    """Whether its group is in a hierarchy of cgroup v1, which is entered as those of the limits are."""
    return f"{recipe.get('cgroup')}/tasks" in recipe.get("tasks", ())


def _oom(birth: Birth) -> None:
    score = _oom_score(birth)
    if score is not None:
        kernel.set_oom_score(score)


def _oom_score(birth: Birth) -> int | None:
    wanted: int | None = birth.recipe.get("oom_score_adjust")
    return birth.nest.oom if wanted is None else wanted


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


def _apart(birth: Birth) -> None:
    recipe = birth.recipe
    if recipe.get("credentials") or recipe.get("directories"):
        from maestro.keeper import credentials

        if credentials.is_wanted(recipe):
            credentials.be_apart(birth)


def _credentials(birth: Birth) -> None:
    if birth.recipe.get("credentials"):
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
        min(_OPEN_FILES, hard := resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        hard,
    )
    limits = birth.recipe.get("rlimits", ())
    for number, soft, most in limits if any(n == files[0] for n, *_ in limits) else (files, *limits):
        birth.limit = (number, soft, most)
        resource.setrlimit(number, (soft, most))


def _limit_words(number: int, soft: int, most: int) -> str:
    names = [
        name for name in dir(resource) if name.startswith("RLIMIT_") and getattr(resource, name) == number
    ]
    return f"{names[0][7:] if names else number} to {soft}:{most}"


def _root(birth: Birth) -> None:
    root = birth.recipe.get("root")
    if root:
        os.chroot(root)
        os.chdir("/")


def _cwd(birth: Birth) -> None:
    try:
        os.chdir(birth.recipe.get("cwd", "/"))
    except OSError:
        if not birth.recipe.get("cwd_may_fail"):
            raise
        os.chdir("/")


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


def _exec(birth: Birth) -> None:
    argv, environment = birth.recipe["argv"], birth.recipe["env"]
    if "/" in argv[0]:
        os.execve(argv[0], argv, environment)
    refused: OSError | None = None
    path = birth.recipe.get("search_path") or environment.get("PATH", _DEFAULT_PATH)
    for directory in path.split(":"):
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
    ("apart", _apart),
    ("credentials", _credentials),
    ("groups", _groups),
    ("gid", _gid),
    ("limits", _limits),
    ("root", _root),
    ("uid", _uid),
    _scheduling("keyring"),  # which belongs to the user who makes it
    ("cwd", _cwd),  # as the agent's user: what it may not enter, it is not put into
    ("release", _release),
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
