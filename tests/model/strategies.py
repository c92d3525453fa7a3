"""Values for every type of option."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from maestro.model import values as v
from maestro.model.option import Option, choices, item_type, without_none
from maestro.model.status import SIGNALS

NAMES = st.sampled_from(["db", "worker@eu", "a.b", "default.target", "x:y_z-1", r"w@a\x20b"])
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
WORD = st.text(st.sampled_from("abz09_ é%$\"'\\;"), min_size=1, max_size=12)
SECONDS = st.integers(0, 10**12).map(lambda length: v.Seconds(length / 1e6)) | st.just(v.Seconds("infinity"))
SIGNAL = st.sampled_from(sorted(SIGNALS)).map(v.SignalName)
BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(1, 1 << 40),
    float: st.floats(1, 1e9),
    bool: st.booleans(),
    v.Seconds: SECONDS,
    v.Size: st.integers(4096, v.Size.infinite).map(v.Size),
    v.Percentage: st.integers(0, 10**9).map(lambda parts: v.Percentage(parts / 1e4)),
    v.SignalName: SIGNAL,
    v.ExitStatusSet: st.lists(st.integers(0, 255) | st.sampled_from(["SIGKILL", "TEMPFAIL", "1-9"])).map(
        v.ExitStatusSet
    ),
    v.StopStep: st.tuples(SIGNAL, SECONDS).map(lambda pair: v.StopStep(f"{pair[0]} {pair[1]}")),
    v.StartLimit: st.tuples(st.integers(1, 999), st.integers(1, 10**9)).map(
        lambda p: v.StartLimit(f"{p[0]}/{p[1]}ms")
    ),
    v.UnitRef: NAMES.map(v.UnitRef),
    v.CommandLine: st.lists(WORD, max_size=4).map(lambda words: v.CommandLine(["/bin/x", *words])),
    v.EnvironmentMap: st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), TEXT).map(
        v.EnvironmentMap
    ),
    v.Pattern: st.sampled_from(["ready", r"port \d+", "^a|b$", "100%"]).map(v.Pattern),
    v.Url: st.sampled_from(["http://127.0.0.1:80/a?b=%20", "http://[::1]/"]).map(v.Url),
    v.UserName: st.sampled_from(["root", "1000", "a-b"]).map(v.UserName),
}


def of(option: Option) -> st.SearchStrategy[Any]:
    """Values that this option may have, its own checks aside."""
    pattern = option.bounds[2]
    if pattern is not None:
        return st.from_regex(pattern, fullmatch=True).filter(str.isascii)
    return _of(option.type)


def _of(hint: Any) -> st.SearchStrategy[Any]:
    bare = without_none(hint)
    if bare is not hint:
        return st.none() | _of(bare)
    if (item := item_type(hint)) is not None:
        return st.lists(_of(item), max_size=4, unique=True).map(tuple)
    if words := choices(hint):
        return st.sampled_from(words)
    return BY_TYPE[hint]
