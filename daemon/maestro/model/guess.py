"""What someone meant who wrote a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# Names that people bring along from systemd and from compose files.
_ELSEWHERE = {
    "execstart": "exec",
    "command": "exec",
    "cmd": "exec",
    "restartsec": "delay",
    "restartmaxdelaysec": "max_delay",
    "timeoutstartsec": "start_timeout",
    "timeoutstopsec": "sequence",
    "killsignal": "sequence",
    "watchdogsec": "watchdog",
    "startlimitburst": "start_limits",
    "startlimitintervalsec": "start_limits",
    "env": "environment",
    "cwd": "working_directory",
    "dependson": "requires",
    "service": "agent",
}


def elsewhere(key: str) -> str:
    """What an option of systemd's or of a compose file is called here; empty for any other."""
    return _ELSEWHERE.get(_squeezed(key), "")


def _squeezed(key: str) -> str:
    return key.lower().replace("-", "").replace("_", "")


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known word that looks most like this one; empty when none does."""
    return _closest(word.lower().replace("-", "_"), known, cutoff)


def nearest_exactly(word: str, known: Iterable[str]) -> str:
    """The known word that looks most like this one, where case and hyphens are part of a name."""
    return _closest(word, sorted(known), 0.7)


def _closest(word: str, known: Iterable[str], cutoff: float) -> str:
    import difflib  # only for who is mistaken

    near = difflib.get_close_matches(word[:80], list(known), 1, cutoff)
    return near[0] if near else ""


def meant(key: str, here: tuple[str, ...], homes: Mapping[str, Iterable[str]], section: str) -> str:
    """A hint for an unknown key of a section. `homes` says which sections have an option."""
    if key == "<<":
        return "merge keys are not supported: write the options out"
    if not section and key in ("sandbox", "budget", "llm"):
        return "not supported yet by this version"
    squeezed = _squeezed(key)
    name = elsewhere(key) or next((n for n in homes if n.replace("_", "") == squeezed), "")
    if name in here:
        return f"did you mean {name}?"
    if name in homes:
        where = " or ".join(f"under {home}" if home else "at the top level" for home in homes[name])
        return f"belongs {where}" + (f", as {name}" if name != key else "")
    if near := nearest(key, here):
        return f"did you mean {near}?"
    if far := nearest(key, homes, 0.8):
        return f"did you mean {next(iter(homes[far]))}.{far}?".replace("mean .", "mean ")
    return "" if section else f"there are {', '.join(here)}"
