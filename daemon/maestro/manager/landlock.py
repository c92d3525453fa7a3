"""From the paths of a sandbox to the rules of Landlock that keeper/landlock.py carries out: the confinement that needs no privilege.

Landlock knows only what is allowed, with all that is below. So a place that is closed inside of one that is open is
gone around: its neighbours are opened one by one, as they are at the start. What comes to be beside it later stays closed,
and a directory with something closed in it cannot be listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from msgspec import Struct

Rule = tuple[str, str | int]
Entries = Callable[[str], Iterable[str]]  # names in a directory; none where it cannot be read

_READ, _WRITE, _EXECUTE = 1, 2, 4
_WORDS = {_READ: "read", _WRITE: "write", _EXECUTE: "execute"}
_ALL = _READ | _WRITE | _EXECUTE
_RUN = _READ | _EXECUTE

_PROGRAMS = "/usr /bin /sbin /lib /lib32 /lib64 /libx32 /opt /nix/store /snap"
# What libraries look at. /etc as a whole has keys and passwords of others in it, which root may read.
_SETTINGS = """
    alternatives ca-certificates ca-certificates.conf crypto-policies debian_version fonts gai.conf gitconfig group host.conf
    hostname hosts inputrc java java-17-openjdk java-21-openjdk ld.so.cache ld.so.conf ld.so.conf.d ld.so.preload
    locale.alias locale.conf localtime machine-id magic mime.types mailcap nodejs npmrc nsswitch.conf openssl os-release
    papersize passwd perl pip.conf pki profile profile.d protocols python3 resolv.conf rpc services shells ssl terminfo
    timezone vimrc xattr.conf xdg
"""
_KERNEL = """
    /proc /sys/devices/system /sys/fs/cgroup /sys/kernel/mm/transparent_hugepage
    /run/systemd/resolve /run/resolvconf
"""
_DEVICES = "null zero full random urandom tty ptmx pts"

# Level -> what is open before the unit's own words: path -> rights.
_OPEN: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "none": {"/": _ALL},
        "baseline": {"/": _ALL, "/boot": _RUN, "/sys": _RUN},
        "strict": {
            "/": 0,
            **dict.fromkeys(_PROGRAMS.split(), _RUN),
            **dict.fromkeys((f"/etc/{name}" for name in _SETTINGS.split()), _READ),
            **dict.fromkeys(_KERNEL.split(), _READ),
            **dict.fromkeys((f"/dev/{name}" for name in _DEVICES.split()), _READ | _WRITE),
        },
    }
)


class Ports(Struct, frozen=True):
    """TCP ports that it may use. None: any."""

    bind: tuple[int, ...] | None = None
    connect: tuple[int, ...] | None = None


def rules(  # noqa: PLR0913 -- the options of a section, by their names
    *,
    level: str,
    read_only: Iterable[str] = (),
    read_write: Iterable[str] = (),
    inaccessible: Iterable[str] = (),
    execute: Iterable[str] = (),
    no_execute: Iterable[str] = (),
    ports: Ports = Ports(),  # noqa: B008 -- frozen
    entries: Entries = lambda _: (),
) -> tuple[Rule, ...]:
    """The rules; empty: nothing is given up. Of two paths that hold another, the longer counts; a level's count only
    where none is given.

    A path with `-` in front may be missing. `entries` is asked for what is beside a closed place.
    """
    given = {
        **dict.fromkeys(read_write, _ALL),
        **dict.fromkeys(read_only, _RUN),
        **dict.fromkeys(inaccessible, 0),
    }
    runs = {**dict.fromkeys(execute, True), **dict.fromkeys(no_execute, False)}
    tree = _Tree(_OPEN[level], given, runs)
    files = list(tree.rules(entries))
    found: list[Rule] = [] if ("read write execute", "/") in files else [("handle", "files"), *files]
    for what, numbers in (("bind", ports.bind), ("connect", ports.connect)):
        if numbers is not None:
            found += [("handle", what), *((what, number) for number in numbers)]
    if level == "strict":
        found += [("scope", "signals"), ("scope", "abstract-sockets")]
    return tuple(found)


class _Tree:
    """Rights by path, as they are meant: the longest path that holds another says what it may be used for."""

    def __init__(self, level: Mapping[str, int], given: Mapping[str, int], runs: Mapping[str, bool]) -> None:
        self._must = {_bare(path) for path in (*given, *runs) if not path.startswith("-")}
        named = {_bare(path): words for path, words in given.items()}
        rest = {path: words for path, words in level.items() if not named.keys() & set(_upwards(path))}
        rights = {"/": 0, **rest, **named}
        executed = {_bare(path): may for path, may in runs.items()}
        self._named = {path: _meant(path, rights, executed) for path in {*rights, *executed}}

    def rules(self, entries: Entries) -> Iterator[Rule]:
        yield from self._below(
            "/", [path for path in self._named if path != "/"], self._named["/"], 0, entries
        )

    def _below(
        self, path: str, inside: list[str], above: int, granted: int, entries: Entries
    ) -> Iterator[Rule]:
        """`inside`: what is named below; `above`: the rights of what holds it; `granted`: what a rule gave to that."""
        wanted = shared = self._named.get(path, above)
        steps: dict[str, list[str]] = {}
        for name in inside:
            shared &= self._named[name]
            steps.setdefault(_step(path, name), []).append(name)
        if shared & ~granted:
            yield self._rule(path, shared)
        granted |= shared
        if wanted & ~granted:  # not all of it may have that: what is inside gets it piece by piece
            steps = {f"{path.rstrip('/')}/{name}": [] for name in entries(path)} | steps
        for step, names in sorted(steps.items()):
            yield from self._below(step, [name for name in names if name != step], wanted, granted, entries)

    def _rule(self, path: str, rights: int) -> Rule:
        """What is only a neighbour is not followed where it is a link: it might lead to what is to be closed."""
        words = _words(rights)
        if path not in self._named:
            words += " nofollow"
        return words, path if path in self._must or path == "/" else f"-{path}"


def _words(rights: int) -> str:
    return " ".join(word for bit, word in _WORDS.items() if rights & bit)


def _bare(path: str) -> str:
    return path.removeprefix("-").rstrip("/") or "/"


def _step(path: str, inside: str) -> str:
    """The next directory on the way from one path to another inside it."""
    start = len(path.rstrip("/")) + 1
    return inside[:start] + inside[start:].partition("/")[0]


def _meant(path: str, rights: Mapping[str, int], executed: Mapping[str, bool]) -> int:
    meant = next((rights[one] for one in _upwards(path) if one in rights), 0)
    may = next((executed[one] for one in _upwards(path) if one in executed), None)
    if may is None or not meant:
        return meant
    return meant | _EXECUTE if may else meant & ~_EXECUTE


def _upwards(path: str) -> Iterator[str]:
    """A path, and whatever holds it."""
    while path != "/":
        yield path
        path = path.rpartition("/")[0] or "/"
    yield path
