"""What is shown is read back as the same, for every option; and no noise does harm."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from maestro.model import amounts, names, slices
from maestro.model import values as v
from maestro.model.amounts import NumberSet
from maestro.model.budget import Count, Counts, Durations, Sizes, TimeZone
from maestro.model.conditions import Check
from maestro.model.confining import (
    CAPABILITIES,
    BindPath,
    CapabilitySet,
    ListenAddress,
    SandboxPath,
    TemporaryFileSystem,
)
from maestro.model.credentials import REDACTED, CredentialPaths, CredentialTexts, CredentialVariables
from maestro.model.directories import DirectoryName
from maestro.model.limits import Limit
from maestro.model.load import FILES, Loaded, Settings, dump, homes, load, load_text, shown
from maestro.model.option import Option, choices, describe, item_type, without_none
from maestro.model.order import Predecessor
from maestro.model.plain import Given, Mark
from maestro.model.reading import reader, show
from maestro.model.reference import options
from maestro.model.scheduling import Nanoseconds
from maestro.model.status import SIGNALS
from maestro.model.streams import Stream
from maestro.model.syscall_lists import ErrorNumber, FamilyList, LogList, NamespaceList, SyscallList
from maestro.model.syscalls import ARCHITECTURES, Architecture, SyscallOptions
from maestro.model.unit import Unit
from maestro.model.variables import Assignment, VariableName

GOOD = """\
# A comment.
unit:
  description: Reads papers, writes summaries
  requires: [vectordb]
  after: vectordb.agent
agent:
  exec: [/opt/researcher/bin/python, -m, researcher, --name, "%n"]
  type: notify
  user: researcher
  watchdog: 30s
  umask: 0027
  environment: {PORT: 8080, VERSION: 1.10, DEBUG: true, MODE: "0022"}
  restart: {policy: on-failure, delay: 1s, max_delay: 5min}
  stop: {sequence: [TERM 30s, KILL]}
health:
  readiness: {http: "http://127.0.0.1:8080/ready"}
logs: {max_size: 32M}
install: {wanted_by: [default.target]}
"""
EXEC = "agent:\n  exec: [a]\n"


def unit_of(text: str) -> Unit:
    loaded = load_text("researcher.agent.yaml", text.encode(), "f")
    assert loaded.unit is not None, loaded.problems
    return loaded.unit


# ------------------------------------------------------------------------------------------------ values by type

NAMES = st.sampled_from(["db", "worker@eu", "a.b", "default.target", "x:y_z-1", r"w@a\x20b"])
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
WORD = st.text(st.sampled_from("abz09_ é%$\"'\\;"), min_size=1, max_size=12)
SECONDS = st.integers(0, 10**12).map(lambda length: v.Seconds(length / 1e6)) | st.just(v.Seconds("infinity"))
SIGNAL = st.sampled_from(sorted(SIGNALS)).map(v.SignalName)


def _devices(kind: type[amounts.DeviceMap]) -> st.SearchStrategy[amounts.DeviceMap]:
    return st.dictionaries(st.sampled_from(["/dev/vda", "/srv/papers"]), st.integers(1, 10_000)).map(kind)


def _lines(*lines: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(lines), max_size=4)


CREDENTIAL = st.from_regex(r"[ !-.0-9;-~]{3,9}", fullmatch=True).filter(lambda name: name.isascii())
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
    Predecessor: st.tuples(NAMES, st.sampled_from(["", " started", " ready"])).map(
        lambda pair: Predecessor("".join(pair))
    ),
    v.CommandLine: st.lists(WORD, max_size=4).map(lambda words: v.CommandLine(["/bin/x", *words])),
    v.Command: st.tuples(st.sampled_from(["", "-", "+", "-:", "!-"]), st.lists(WORD, max_size=4)).map(
        lambda pair: v.Command([f"{pair[0]}/bin/x", *pair[1]])
    ),
    v.EnvironmentMap: st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), TEXT).map(
        v.EnvironmentMap
    ),
    CredentialPaths: st.dictionaries(CREDENTIAL, st.sampled_from(["/srv/a:b", "key"])).map(CredentialPaths),
    CredentialTexts: st.dictionaries(CREDENTIAL, st.just(REDACTED)).map(CredentialTexts),
    CredentialVariables: st.dictionaries(CREDENTIAL, st.just("API_KEY")).map(CredentialVariables),
    v.Pattern: st.sampled_from(["ready", r"port \d+", "^a|b$", "100%"]).map(v.Pattern),
    v.Url: st.sampled_from(["http://127.0.0.1:80/a?b=%20", "http://[::1]/"]).map(v.Url),
    amounts.MemoryAmount: st.sampled_from(["512M", "20%", "infinity", "0"]).map(amounts.MemoryAmount),
    amounts.TaskAmount: st.sampled_from(["512", "10%", "infinity"]).map(amounts.TaskAmount),
    amounts.Weight: st.integers(1, 10_000).map(lambda number: amounts.Weight(str(number))),
    amounts.CpuWeight: st.sampled_from(["1", "10000", "idle"]).map(amounts.CpuWeight),
    amounts.Bandwidths: _devices(amounts.Bandwidths),
    amounts.Operations: _devices(amounts.Operations),
    amounts.DeviceWeights: _devices(amounts.DeviceWeights),
    Durations: st.dictionaries(
        st.sampled_from(Durations.windows), st.integers(1, 10**12).map(lambda length: v.Seconds(length / 1e6))
    ).map(Durations),
    Sizes: st.dictionaries(st.sampled_from(Sizes.windows), st.integers(1, v.Size.infinite).map(v.Size)).map(
        Sizes
    ),
    Counts: st.dictionaries(
        st.sampled_from(Counts.windows), st.integers(1, 10**9).map(Count) | st.just(Count("infinity"))
    ).map(Counts),
    TimeZone: st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]).map(TimeZone),
    v.UserName: st.sampled_from(["root", "1000", "a-b"]).map(v.UserName),
    slices.SliceRef: st.sampled_from(["a.slice", "a-b.slice", "a@b.slice"]).map(slices.SliceRef),
    slices.UidRange: st.sampled_from(["1-1", "70000-70999"]).map(slices.UidRange),
    Architecture: st.sampled_from(ARCHITECTURES).map(Architecture),
    ErrorNumber: st.sampled_from(["EPERM", "38", "kill"]).map(ErrorNumber),
    SyscallList: _lines("@mount", "~read", "", "~@mount:EIO ptrace:kill", "  @known  write").map(SyscallList),
    LogList: _lines("@mount", "~read", "").map(LogList),
    FamilyList: _lines("AF_UNIX AF_INET", "~AF_PACKET", "none", "").map(FamilyList),
    NamespaceList: _lines("user mnt", "~net", "", "true", "false").map(NamespaceList),
    CapabilitySet: st.tuples(st.booleans(), st.lists(st.sampled_from(sorted(CAPABILITIES)))).map(
        lambda given: CapabilitySet(["~", *given[1]] if given[0] else given[1])
    ),
    SandboxPath: st.sampled_from(["/srv", "-/a b/c", "+/x%y", "-+/$z"]).map(SandboxPath),
    BindPath: st.sampled_from(["/a", "-/a:/b", "/a:/b:norbind"]).map(BindPath),
    TemporaryFileSystem: st.sampled_from(["/a", "/a:size=10%,ro", "/b:mode=0700"]).map(TemporaryFileSystem),
    ListenAddress: st.sampled_from(["127.0.0.1:1", "[::1]:4000"]).map(ListenAddress),
}


def values_of(option: Option) -> st.SearchStrategy[Any]:
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
        return st.lists(_of(item), max_size=4, unique_by=lambda one: getattr(one, "unit", one)).map(tuple)
    if words := choices(hint):
        return st.sampled_from(words)
    if issubclass(hint, Stream | VariableName | Assignment | Limit | NumberSet | Nanoseconds):
        return st.sampled_from(hint.schema()["examples"]).map(hint)
    if issubclass(hint, Stream | VariableName | Assignment | DirectoryName):
        return st.sampled_from(hint.examples).map(hint)
    if issubclass(hint, Check):
        marks = st.sampled_from(["", "!", "|", "|!"])
        return st.tuples(marks, st.sampled_from(hint.examples)).map(lambda p: hint(p[0] + p[1].lstrip("!")))
    return BY_TYPE[hint]


# ------------------------------------------------------------------------------------------------ there and back


def test_a_dump_loads_as_the_same_unit() -> None:
    unit = unit_of(GOOD)
    back = load(names.split("researcher"), dump(unit), {}, "", Settings(None)).unit
    assert back is not None
    assert replace(back, origins=unit.origins, path=unit.path) == unit
    text = yaml.safe_dump(dump(unit))
    again = load_text("researcher.agent.yaml", text.encode(), "", Settings(None))
    assert again.unit is not None, again.problems
    assert dump(again.unit) == dump(unit)


def test_shown_has_every_option_once() -> None:
    found = {row.option: row for row in shown(unit_of(GOOD))}
    assert set(found) == {name for name, _ in options("agent")}
    assert found["agent.restart.max_delay"].value == "5min"
    assert found["agent.restart.factor"].origin is None
    origin = found["agent.watchdog"].origin
    assert origin is not None
    assert origin.line == 10
    assert {row.option for row in shown(unit_of(EXEC))} >= {"health.readiness", "agent.exec"}


ALL = [(name, declared) for kind in FILES for name, declared in options(kind)]
ALL += [(declared.name, declared) for declared in describe(SyscallOptions)]


@pytest.mark.parametrize(("name", "declared"), ALL, ids=[name for name, _ in ALL])
@settings(max_examples=20, deadline=None, database=None)
@given(data=st.data())
def test_every_option_comes_back(name: str, declared: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(declared))
    assert reader(declared.type)(Given(show(value))) == value
    # And through YAML, as an operator would copy it from `show`.
    text = yaml.safe_dump({"x": show(value)}, allow_unicode=False)
    assert reader(declared.type)(Given(yaml.safe_load(text)["x"])) == value


def test_default_values_are_allowed_values() -> None:
    for _, declared in ALL:
        assert reader(declared.type)(Given(show(declared.default))) == declared.default


def test_every_doc_ends_with_a_full_stop() -> None:
    for name, declared in ALL:
        assert declared.doc.endswith("."), name
        assert declared.doc[0].isupper(), name
        assert describe(FILES["agent"]) == ()


# ------------------------------------------------------------------------------------------------ noise


def check(loaded: Loaded, text: bytes) -> None:
    lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    assert (loaded.unit is None) == bool(loaded.problems)
    for problem in loaded.problems:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert str(problem).isprintable()


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
KNOWN = st.sampled_from(list(homes(FILES["agent"])))
STRUCTURE = st.recursive(
    PLAIN, lambda inner: st.dictionaries(KNOWN | st.text(max_size=5), inner, max_size=6), max_leaves=20
)


@settings(max_examples=400, deadline=None, database=None)
@given(st.dictionaries(KNOWN, STRUCTURE, max_size=6))
def test_random_structures(data: dict[str, Any]) -> None:
    loaded = load(names.split("x"), data, {}, "f")
    assert (loaded.unit is None) == bool(loaded.problems)
    text = yaml.safe_dump(data, allow_unicode=True).encode("utf-8", "surrogatepass")
    check(load_text("x.agent.yaml", text, "f"), text)


def places(data: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [at, *(place for key, value in inner for place in places(value, (*at, key)))]


VALID = yaml.safe_load(GOOD.replace("1.10", "'1.10'"))


@settings(max_examples=400, deadline=None, database=None)
@given(st.sampled_from(places(VALID)[1:]), PLAIN | st.sampled_from(["%", "../x", "a\0b", "x" * 5000]))
def test_one_value_replaced(place: tuple[Any, ...], value: Any) -> None:
    data = copy.deepcopy(VALID)
    inside = data
    for step in place[:-1]:
        inside = inside[step]
    inside[place[-1]] = value
    loaded = load(names.split("x"), data, {place[:1]: Mark(1, 1, 1, 1)}, "f")
    assert (loaded.unit is None) == bool(loaded.problems)
    assert len(loaded.problems) <= 100


@settings(max_examples=800, deadline=None, database=None)
@given(
    st.integers(0, len(GOOD)),
    st.integers(0, 12),
    st.text(st.sampled_from("abc:-[]{}\"'%&*!#|> \n\t\0é\x85,?0123"), max_size=6),
)
def test_mutations(place: int, cut: int, new: str) -> None:
    text = (GOOD[:place] + new + GOOD[place + cut :]).encode()
    check(load_text("x.agent.yaml", text, "f"), text)
