"""Whatever a file says: nothing is raised, each line that says something ends in exactly one remark, and what comes out loads."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maestro.imports import compose, pm2, systemd_table
from maestro.imports.formats import FORMATS, Source, converted
from maestro.imports.record import Imported
from maestro.imports.supervisord import PROGRAM
from tests.imports.looks import problems

NAMES = {
    "systemd": "a@.service", "supervisord": "supervisord.conf", "compose": "compose.yml",
    "procfile": "Procfile", "pm2": "ecosystem.json", "crontab": "crontab",
}  # fmt: skip
_KEYS = [key.partition("/")[2] for key in systemd_table.SERVICE]
_VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from([
        "yes", "no", "5", "5s", "infinity", "512M", "10%", "/bin/a", "-/bin/a $X ; +/bin/b", "a.service b.target", "%i %n %c %%",
        "'open", "A=1 'B=2 3'", "SIGTERM", "0-3", "~CAP_KILL", "/a:/b", "always", "oneshot", "notify", "journal", "\\x41 \\q", "!x",
    ]),
)  # fmt: skip
_PADDING = st.sampled_from(["", " ", "\t"])


def _checked(found: list[Imported]) -> list[Imported]:
    assert all(
        one.words and one.grade in ("exact", "approximated", "dropped")
        for made in found
        for one in made.remarks
    )
    for one in found:
        if one.text:
            assert problems(one) == []
    return found


def _lines(found: list[Imported]) -> Counter[int]:
    return Counter(one.line for made in found for one in made.remarks if one.line)


# ------------------------------------------------------------------------------------------- any text at all


@pytest.mark.parametrize("format", FORMATS)
def test_no_text_raises_anything(format: str) -> None:
    @settings(max_examples=150, deadline=None)
    @given(
        st.one_of(
            st.binary(max_size=200),
            st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
        )
    )
    @example(b"[Service]\nExecStart=\\")
    @example(b"[" * 500)
    @example(b'{"apps": [{"name": "\\ud800", "script": "\\u0000"}]}')
    @example(b"services: {a: {command: [x, [y]], environment: [1, {}], depends_on: [b]}}")
    @example(b"\xff\xfe\x00")
    def check(content: bytes) -> None:
        found = _checked(converted([Source(NAMES[format], content)], format))
        assert found or not content.strip() or format not in ("pm2", "compose")

    check()


# ------------------------------------------------------------------------------------------- line by line

_SETTING = st.builds(
    lambda before, key, value: f"{before}{key}={value}".replace("\n", " ").replace("\r", " "),
    _PADDING, st.one_of(st.sampled_from(_KEYS), st.text(max_size=10)), _VALUES,
)  # fmt: skip
_UNIT_LINE = st.one_of(
    st.sampled_from(
        [
            "[Unit]",
            "[Service]",
            "[Install]",
            "[Other]",
            "# note",
            "; note",
            "",
            "nonsense",
            "ExecStart=/bin/a",
        ]
    ),
    _SETTING,
)


def _said(lines: list[str]) -> Counter[int]:
    """Lines that begin something, by a reading of their own: neither comments nor the rest of one that goes on."""
    found: Counter[int] = Counter()
    begun, text = 0, ""
    blank = " \t\r\f\v"
    for number, line in enumerate("\n".join(lines).split("\n"), 1):
        if line.strip(blank)[:1] in ("#", ";") and line.strip(blank):
            continue
        begun = begun or number
        text += line.rstrip("\r").removesuffix("\\")
        if not line.rstrip("\r").endswith("\\"):
            found[begun] += 1 if text.strip(blank) else 0
            begun, text = 0, ""
    if begun and text.strip(blank):
        found[begun] += 1
    return +found


@settings(max_examples=400, deadline=None)
@given(st.lists(_UNIT_LINE, max_size=12))
@example(["[Service]", "ExecStart=/bin/a \\", "# note", " b", "Nice=\\"])
def test_each_line_of_a_unit_of_systemd_has_one_remark(lines: list[str]) -> None:
    content = "\n".join(lines).encode("utf-8", "replace")
    found = _checked(converted([Source("a.service", content)]))
    assert _lines(found) == _said(content.decode().removeprefix("\ufeff").split("\n"))


_PROGRAM_LINE = st.one_of(
    st.sampled_from(["[program:a]", "[program:b]", "[group:c]", "[other]", "", "command=/bin/a", "programs=a,b", "numprocs=2", "x"]),
    st.builds(lambda key, value: f"{key}={value}", st.sampled_from(sorted(PROGRAM)), st.sampled_from([
        "a %(ENV_X)s", "%(here)s", "%(nothing)s", "1", "true", "QUIT", "A=1,B='2'", "/tmp/x", "50%%", "AUTO", "'open"])),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(_PROGRAM_LINE, max_size=12))
def test_each_line_of_supervisord_has_one_remark(lines: list[str]) -> None:
    found = _checked(converted([Source("supervisord.conf", "\n".join(lines).encode())]))
    assert _lines(found) == Counter(number for number, line in enumerate(lines, 1) if line.strip())


_WORDS = "abc-/*019 @:=%#"


@pytest.mark.parametrize("format", ["procfile", "crontab"])
def test_each_line_of_a_list_of_commands_has_one_remark(format: str) -> None:
    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.one_of(
        st.text(_WORDS, max_size=20), st.just("web: a b"), st.just("* * * * * root run %x"), st.just("@daily a"),
        st.just("A='b'"), st.just("# note")), max_size=8))  # fmt: skip
    def check(lines: list[str]) -> None:
        found = _checked(converted([Source(NAMES[format], "\n".join(lines).encode())], format))
        said = [
            number
            for number, line in enumerate(lines, 1)
            if line.strip() and not line.strip().startswith("#")
        ]
        told = [one.line for made in found for one in made.remarks if one.line]
        assert sorted(told) == said

    check()


# ------------------------------------------------------------------------------------------- trees

_LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5000), st.sampled_from(["a b", "512m", "1m30s", "SIGINT", "$X", "${X:-1}", "on-failure", ""]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8),
)  # fmt: skip
_TREE = st.recursive(
    _LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=5,
)


def _nested(table: dict[str, object]) -> st.SearchStrategy[dict[str, object]]:
    """Settings of a service: known ones, with any value."""
    keys = sorted({key.partition(".")[0] for key in table})
    below = {key.split(".")[1] for key in table if key.count(".")} - {"*"} | {"inside"}
    value = st.one_of(_TREE, st.dictionaries(st.sampled_from(sorted(below)), _TREE, max_size=3))
    return st.dictionaries(st.sampled_from([*keys, "x-own", "nothing"]), value, max_size=6)


def _leaves(data: object, at: str) -> Iterator[str]:
    """Paths of all that is no mapping and no list, or an empty one."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    if not inner or not data:
        yield at
        return
    for key, value in inner:
        yield from _leaves(value, f"{at}.{key}" if at else str(key))


def _covered_once(told: list[str], leaves: list[str]) -> None:
    """Each leaf belongs to exactly one setting that has a remark."""
    for leaf in leaves:
        covering = [key for key in told if leaf == key or leaf.startswith(f"{key}.")]
        assert len(covering) == 1, (leaf, told)


@settings(max_examples=300, deadline=None)
@given(_nested(dict(compose.TABLE)))
def test_each_setting_of_a_service_has_one_remark(service: dict[str, object]) -> None:
    content = yaml.safe_dump({"services": {"a": {**service, "command": "run"}}}, allow_unicode=True).encode()
    found = _checked(converted([Source("compose.yml", content)]))
    told = [one.key for made in found for one in made.remarks if one.line]
    if not any(made.file for made in found):
        return  # refused as a whole: told of the file
    _covered_once(told, list(_leaves({**service, "command": "run"}, "")))


@settings(max_examples=300, deadline=None)
@given(_nested(dict(pm2.TABLE)))
def test_each_setting_of_an_app_has_one_remark(app: dict[str, object]) -> None:
    content = json.dumps({"apps": [{**app, "script": "a.py"}]}, ensure_ascii=False).encode()
    found = _checked(converted([Source("ecosystem.json", content)]))
    told = [one.key for made in found for one in made.remarks if one.line]
    if not any(made.file for made in found):
        return
    _covered_once(told, list(_leaves({**app, "script": "a.py"}, "")))


def test_a_remark_is_a_sentence_that_hides_nothing() -> None:
    tables = (systemd_table.SERVICE, systemd_table.SLICE, PROGRAM, compose.TABLE, pm2.TABLE)
    for table in tables:
        for key, rule in table.items():
            assert rule.option or re.match(r"\S+ \S+", rule.words), key
