"""The names of the steps between fork and exec, in words that complete "cannot ..."."""

from __future__ import annotations

import resource

from maestro.keeper import streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.keeper.child import Birth

STAGES = {
    "modules": "read the rest of Maestro's own code",
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
    "directories": "make {doing}",
    "apart": "give it a view of the file system of its own",
    "credentials": "hand it {doing}",
    "users": "be the only user of its namespace",
    "namespaces": "make namespaces of its own",
    "listeners": "listen for its gateways",
    "mounts": "{doing}",
    "bounding": "bound its capabilities",
    "ambient": "{doing}",
    "no new privileges": "renounce further privileges",
    "landlock": "be bound by Landlock: {doing}",
    "seccomp": "load its filter of system calls",
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
_DOING = {  # where a step did not come as far as to say what it was about
    "directories": "its directories",
    "credentials": "its credentials",
    "mounts": "lay its mounts",
    "ambient": "have its capabilities as its user",
}


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
        oom=birth.oom_score,
        scheduling=_scheduling_words(stage, recipe.get(stage)),
        doing=birth.doing or _DOING.get(stage, ""),
    )


def _scheduling_words(stage: str, value: Any) -> str:
    if value is None or "{scheduling}" not in STAGES[stage]:
        return ""
    from maestro.keeper import scheduling

    return scheduling.words(stage, value)


def _limit_words(number: int, soft: int, most: int) -> str:
    names = [
        name for name in dir(resource) if name.startswith("RLIMIT_") and getattr(resource, name) == number
    ]
    return f"{names[0][7:] if names else number} to {soft}:{most}"
