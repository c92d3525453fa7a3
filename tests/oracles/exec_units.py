"""systemd's own self-checking units, `exec-*.service` of its test-execute, as units of ours.

Each says by how it ends whether its options did what they are for. They come from the Debian package systemd-tests,
which `bin/real` fetches; nothing of them is kept here but which of their keys is which of our options.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from maestro.model.command import split_words

Values = list[str]  # what a key was assigned, one after the other, since it was last set to nothing
Convert = Callable[[Values], Any]
_TOKEN = re.compile(r"""(?:[^\s"']|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')+""")
_NO_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\(?=[^abfnrtvs;xuU0-7\\\"'\s])")
_TRUE, _FALSE = ("yes", "true", "on", "1"), ("no", "false", "off", "0")
_NO_CALLS = ("DONOTEXIST", "fexecve")  # that units name as system calls all the same
_NO_NAMESPACE = "usr"
_PLACES = (
    ("%t/credentials/", "%t/maestro/credentials/"),
)  # a directory of systemd's own, and what is that with us: where it lies says nothing of what a specifier is
INPUT = "/run/input"  # where what a unit is given as data is kept as a file


class Translated(Struct, frozen=True):
    """A unit file of ours, by name, and files that it needs."""

    name: str
    text: str
    files: dict[str, bytes] = {}


class NotTranslatable(Exception):
    """Says which key has no counterpart."""


# ------------------------------------------------------------------------------------------------ reading


def assignments(text: str) -> Iterator[tuple[str, str, str]]:
    """Section, key and value; a backslash at the end of a line is a blank, and the next line goes on."""
    section, pending = "", ""
    for line in text.splitlines():
        if line.lstrip().startswith(("#", ";")):
            continue
        line = pending + line
        pending = ""
        if line.endswith("\\"):
            pending = line[:-1] + " "
        elif line.startswith("["):
            section = line.strip("[] ")
        elif "=" in line:
            key, _, value = line.partition("=")
            yield section, key.strip(), value.strip()


def gathered(text: str) -> dict[str, Values]:
    """Values by key: of lists, an empty one forgets those before it, and is a value itself where it is the last."""
    found: dict[str, Values] = {}
    for section, key, value in assignments(text):
        if section not in ("Unit", "Service"):
            continue
        if key in DATA:
            found.setdefault("StandardInputData", []).append(DATA[key](value))
        elif value:
            found.setdefault(key, []).append(value)
        else:
            found[key] = []
    return found


def _text(value: str) -> str:
    return base64.b64encode(value.encode().decode("unicode_escape").encode() + b"\n").decode()


DATA: dict[str, Callable[[str], str]] = {
    "StandardInputText": _text,
    "StandardInputData": lambda value: "".join(value.split()),
}


# ------------------------------------------------------------------------------------------------ values


def last(values: Values) -> str:
    return values[-1]


def truth(values: Values) -> bool:
    if last(values) not in (*_TRUE, *_FALSE):
        raise ValueError(f"{last(values)} is neither yes nor no")
    return last(values) in _TRUE


def words(values: Values) -> list[str]:
    return [word for value in values for word in value.split()]


def quoted(values: Values) -> list[str]:
    return [word for value in values for word in split_words(value)]


def number(values: Values) -> int:
    return int(last(values))


def yes_no_or(values: Values) -> str:
    """A word, where yes and no have two spellings."""
    word = last(values)
    return "yes" if word in _TRUE else "no" if word in _FALSE else word


def lines(values: Values) -> list[str]:
    """As they are, but for what systemd itself warns of and leaves out: an unknown call, or a line with an unknown namespace."""
    known = [value.split() for value in values if _NO_NAMESPACE not in value.split()]
    kept = [" ".join(word for word in line if word not in _NO_CALLS) for line in known]
    return ["true" if value in _TRUE else "false" if value in _FALSE else value for value in kept] or [""]


def variables(values: Values) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in quoted(values))


def path_list(values: Values) -> list[str]:
    return [path for value in values for path in value.split(":")]


def versions(values: Values) -> list[str]:
    return [" ".join(word.replace(" ", "") for word in split_words(value)) for value in values]


def credentials(values: Values) -> dict[str, str]:
    return {name: path or name for name, _, path in (value.partition(":") for value in values)}


def network(values: Values) -> str:
    return "none" if truth(values) else "host"


KEYS: dict[str, tuple[str, Convert]] = {
    "Description": ("unit.description", last),
    "ConditionKernelVersion": ("condition.kernel_version", versions),
    "Type": ("agent.type", last),
    "ExecCondition": ("agent.exec_condition", list),
    "ExecSearchPath": ("agent.exec_search_path", path_list),
    "WorkingDirectory": ("agent.working_directory", last),
    "RootDirectory": ("agent.root_directory", last),
    "User": ("agent.user", last),
    "Group": ("agent.group", last),
    "SupplementaryGroups": ("agent.supplementary_groups", words),
    "DynamicUser": ("agent.dynamic_user", truth),
    "UMask": ("agent.umask", last),
    "Environment": ("agent.environment", variables),
    "EnvironmentFile": ("agent.environment_file", list),
    "PassEnvironment": ("agent.pass_environment", words),
    "UnsetEnvironment": ("agent.unset_environment", words),
    "StandardInput": ("agent.stdin", last),
    "StandardOutput": ("agent.stdout", last),
    "StandardError": ("agent.stderr", last),
    "IgnoreSIGPIPE": ("agent.ignore_sigpipe", truth),
    "CPUAffinity": ("agent.cpu_affinity", list),
    "IOSchedulingClass": ("agent.io_scheduling_class", last),
    "OOMScoreAdjust": ("agent.oom_score_adjust", number),
    "Personality": ("agent.personality", last),
    "LimitCORE": ("agent.limits.core", last),
    "StateDirectory": ("agent.state_directory", words),
    "CacheDirectory": ("agent.cache_directory", words),
    "LogsDirectory": ("agent.logs_directory", words),
    "ConfigurationDirectory": ("agent.configuration_directory", words),
    "RuntimeDirectory": ("agent.runtime_directory", words),
    "RuntimeDirectoryMode": ("agent.runtime_directory_mode", last),
    "RuntimeDirectoryPreserve": ("agent.runtime_directory_preserve", yes_no_or),
    "LoadCredential": ("agent.load_credential", credentials),
    "SetCredential": ("agent.set_credential", credentials),
    "NoNewPrivileges": ("sandbox.no_new_privileges", truth),
    "CapabilityBoundingSet": ("sandbox.capability_bounding_set", words),
    "AmbientCapabilities": ("sandbox.ambient_capabilities", words),
    "PrivateTmp": ("sandbox.private_tmp", truth),
    "PrivateDevices": ("sandbox.private_devices", truth),
    "PrivateNetwork": ("sandbox.network", network),
    "PrivateUsers": ("sandbox.private_users", truth),
    "PrivateIPC": ("sandbox.private_ipc", truth),
    "PrivatePIDs": ("sandbox.private_pids", truth),
    "ProtectHome": ("sandbox.protect_home", yes_no_or),
    "ProtectSystem": ("sandbox.protect_system", yes_no_or),
    "ProtectKernelLogs": ("sandbox.protect_kernel_logs", truth),
    "ProtectKernelModules": ("sandbox.protect_kernel_modules", truth),
    "ProtectKernelTunables": ("sandbox.protect_kernel_tunables", truth),
    "ProtectControlGroups": ("sandbox.protect_control_groups", truth),
    "ReadOnlyPaths": ("sandbox.read_only_paths", words),
    "ReadWritePaths": ("sandbox.read_write_paths", words),
    "InaccessiblePaths": ("sandbox.inaccessible_paths", words),
    "ExecPaths": ("sandbox.exec_paths", words),
    "NoExecPaths": ("sandbox.no_exec_paths", words),
    "BindPaths": ("sandbox.bind_paths", words),
    "BindReadOnlyPaths": ("sandbox.bind_read_only_paths", words),
    "TemporaryFileSystem": ("sandbox.temporary_file_system", words),
    "SystemCallFilter": ("sandbox.system_call_filter", lines),
    "SystemCallErrorNumber": ("sandbox.system_call_error_number", last),
    "SystemCallArchitectures": ("sandbox.system_call_architectures", words),
    "RestrictNamespaces": ("sandbox.restrict_namespaces", lines),
    "RestrictAddressFamilies": ("sandbox.restrict_address_families", lines),
}
_RESETS_TO_NOTHING = (
    "CapabilityBoundingSet",
    "SystemCallFilter",
)  # set to nothing is not the same as not set


# ------------------------------------------------------------------------------------------------ commands


def commands(values: Values) -> list[str]:
    """One command a line: a `;` that stands alone divides them."""
    found = []
    for value in values:
        command: list[str] = []
        for token in [*_TOKEN.findall(value), ";"]:
            if token != ";":
                command.append(token)
            elif command:
                found.append(_marked(" ".join(command)))
                command = []
    return found


def _marked(command: str) -> str:
    """`!!` is `!` on kernels older than ambient capabilities, and nothing on all others.

    Of an escape that there is not systemd warns, and takes the backslash as it is; with us it has to be written twice.
    """
    return _NO_ESCAPE.sub(r"\\\g<0>", command.removeprefix("!!"))


def _executed(agent: dict[str, Any], values: dict[str, Values]) -> None:
    """The first command has no marks with us: where it has one, a command that does nothing goes before it."""
    found = commands(values.pop("ExecStart", []))
    if not found:
        raise NotTranslatable("it has no ExecStart=")
    if found[0][0] in "@-:+!":
        found.insert(0, "/bin/true")
    agent["exec"] = found[0]
    if found[1:]:
        agent["exec_more"] = found[1:]
    for key, option in (("ExecStartPre", "exec_start_pre"), ("ExecStartPost", "exec_start_post")):
        if key in values:
            agent[option] = commands(values.pop(key))


# ------------------------------------------------------------------------------------------------ a unit


def translated(path: Path, instance: str = "") -> Translated:
    """One of the files as a unit of ours. Raises `NotTranslatable`."""
    name = path.name.removesuffix(".service")
    shown = name + instance
    # to us an agent's name has no suffix, and that is what %n stands for
    text = path.read_text(encoding="utf-8").replace(f"{shown}.service", shown)
    for theirs, ours in _PLACES:
        text = text.replace(theirs, ours)
    values = gathered(text)
    agent: dict[str, Any] = {"restart": {"policy": "no"}, "start_timeout": "20s"}
    sections: dict[str, Any] = {"unit": {}, "agent": agent}
    files: dict[str, bytes] = {}
    _executed(agent, values)
    if "StandardInputData" in values:
        file = f"{INPUT}/{name}"
        files[file] = b"".join(_decoded(data) for data in values.pop("StandardInputData"))
        values["StandardInput"] = [f"file:{file}"]
    for key, given in values.items():
        if key not in KEYS:
            raise NotTranslatable(f"{key}= has no counterpart")
        option, convert = KEYS[key]
        if given or key in _RESETS_TO_NOTHING:
            _put(sections, option, convert(given))
    if "sandbox" in sections:
        sections["sandbox"].setdefault("mount_flags", "shared")  # systemd's default; ours is slave
    return Translated(name, yaml.safe_dump(sections, sort_keys=False), files)


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data)
    except binascii.Error as error:
        raise NotTranslatable(f"StandardInputData= is not base64: {error}") from None


def _put(sections: dict[str, Any], option: str, value: Any) -> None:
    *above, name = option.split(".")
    inside = sections
    for section in above:
        inside = inside.setdefault(section, {})
    inside[name] = value
