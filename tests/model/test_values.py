"""The remaining value types."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro.model.plain import Given, Mark, Mistake, Path
from maestro.model.values import (
    EnvironmentMap,
    Pattern,
    Percentage,
    Seconds,
    Size,
    StartLimit,
    StopStep,
    UnitRef,
    Url,
    UserName,
    Value,
)


@pytest.mark.parametrize(
    ("text", "size", "shown"),
    [
        ("0", 0, "0"),
        ("1000", 1000, "1000"),
        ("4096", 4096, "4K"),
        ("16M", 16 << 20, "16M"),
        ("1.5G", 3 << 29, "1536M"),
        ("1G 512M", 3 << 29, "1536M"),
        ("1G512M", 3 << 29, "1536M"),
        ("10.M", 10 << 20, "10M"),
        ("7B", 7, "7"),
        ("1 T", 1 << 40, "1T"),
        ("2P", 2 << 50, "2P"),
        ("15E", 15 << 60, "15E"),
        ("infinity", Size.infinite, "infinity"),
    ],
)
def test_sizes(text: str, size: int, shown: str) -> None:
    assert Size(text) == size
    assert str(Size(size)) == shown
    assert Size(shown) == size


@pytest.mark.parametrize(
    "value", ["", "M", "-1", "5MB", "5m", "1M 1G", "1M 1M", "16E", "1e3", 1.5, True, None, [], -1, 1 << 70]
)
def test_no_sizes(value: object) -> None:
    with pytest.raises(Mistake):
        Size.read(Given(value))


@pytest.mark.parametrize(("text", "meant"), [("5MB", "5M"), ("5MiB", "5M"), ("5m", "5M"), ("1.5gb", "1.5G")])
def test_a_size_that_is_nearly_right(text: str, meant: str) -> None:
    with pytest.raises(Mistake) as caught:
        Size(text)
    assert caught.value.faults[0].hint == f"did you mean {meant}?"


@given(st.integers(0, Size.infinite))
def test_sizes_come_back(size: int) -> None:
    assert Size(str(Size(size))) == size


@pytest.mark.parametrize(
    ("text", "shown"),
    [("20%", "20%"), ("12.5 %", "12.5%"), ("0%", "0%"), ("150%", "150%"), ("100.0%", "100%")],
)
def test_percentages(text: str, shown: str) -> None:
    assert str(Percentage(text)) == shown
    assert Percentage(shown) == Percentage(text)
    assert Percentage("20%").fraction == 0.2


@pytest.mark.parametrize("value", [20, 0.2, "20", "%", "-5%", "x%", None, True, []])
def test_no_percentages(value: object) -> None:
    with pytest.raises(Mistake):
        Percentage.read(Given(value))


@pytest.mark.parametrize(
    ("text", "shown", "number", "wait"),
    [
        ("TERM 30s", "TERM 30s", 15, 30),
        ("KILL", "KILL 10s", 9, 10),
        ("SIGINT 1min 30s", "INT 1min 30s", 2, 90),
        ("15 5", "TERM 5s", 15, 5),
        (" RTMIN+3   500ms ", "RTMIN+3 500ms", 37, 0.5),
    ],
)
def test_stop_steps(text: str, shown: str, number: int, wait: float) -> None:
    step = StopStep(text)
    assert (step, step.signal.number, step.wait) == (shown, number, wait)
    assert StopStep(step) == step


@pytest.mark.parametrize("text", ["", " ", "30s", "TERM 30 parsecs", "TERM30s", "TERM, 30s"])
def test_no_stop_steps(text: str) -> None:
    with pytest.raises(Mistake):
        StopStep(text)


def test_start_limits() -> None:
    limit = StartLimit(" 20 / 1h ")
    assert (limit, limit.count, limit.window) == ("20/1h", 20, Seconds(3600))


@pytest.mark.parametrize(
    "text", ["", "5", "/", "5/", "x/10s", "0/10s", "5/0", "5/infinity", "-1/10s", "1.5/10s"]
)
def test_no_start_limits(text: str) -> None:
    with pytest.raises(Mistake):
        StartLimit(text)


def test_references_have_full_names() -> None:
    assert UnitRef("db.agent") == "db"
    assert UnitRef("default.target") == "default.target"
    with pytest.raises(Mistake, match="template"):
        UnitRef("worker@")


def test_variables_are_passed_as_written() -> None:
    marks: dict[Path, Mark] = {("PORT",): Mark(1, 1, 1, 1, "08080"), ("V",): Mark(1, 1, 1, 1, "1.10")}
    found = EnvironmentMap.read(Given({"PORT": 8080, "V": 1.1, "ON": True, "T": "x"}, marks=marks))
    assert dict(found) == {"PORT": "08080", "V": "1.10", "ON": "true", "T": "x"}
    assert found == EnvironmentMap(dict(found))
    assert hash(found) == hash(EnvironmentMap(dict(found)))


def test_all_wrong_variables_are_named() -> None:
    with pytest.raises(Mistake) as caught:
        EnvironmentMap.read(
            Given({"1A": "x", "A-B": "y", "N": None, "L": [1], "Z": "a\0b", "OK": "1", "": "x", "É": ""})
        )
    assert [fault.at for fault in caught.value.faults] == [
        ("1A",),
        ("A-B",),
        ("N",),
        ("L",),
        ("Z",),
        ("",),
        ("É",),
    ]


@pytest.mark.parametrize(
    "text", ["(", "[", "a{1,99999999999}", "(?P<x", "*", "x" * 1001, "(" * 900 + ")" * 900, "[[a]"]
)
def test_no_patterns(text: str) -> None:
    with pytest.raises(Mistake):
        Pattern(text)


@given(st.text(max_size=50))
def test_any_text_is_a_pattern_or_a_mistake(text: str) -> None:
    said = "fine"
    try:
        Pattern(text)
    except Mistake as mistake:
        said = str(mistake)
    assert said
    assert said.isprintable()


def test_urls() -> None:
    url = Url("http://[::1]:8080/ready?x=1")
    assert (url.host, url.port, url.target) == ("::1", 8080, "/ready?x=1")
    assert (Url("http://a").port, Url("http://a").target, Url("http://a?b").target) == (80, "/", "/?b")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "ftp://a",
        "http://",
        "http:///x",
        "http://a:0/",
        "http://a:99999/",
        "http://u:p@a/",
        "http://a/ b",
        "http://a/\r\nX: y",
        "http://a/#x",
    ],
)
def test_no_urls(text: str) -> None:
    with pytest.raises(Mistake, match="URL"):
        Url(text)


def test_https_is_for_later() -> None:
    with pytest.raises(Mistake, match="not supported yet"):
        Url("https://a/")


@pytest.mark.parametrize("text", ["researcher", "_x", "a-b.c", "1000", "0", "machine$", "user@domain"])
def test_users(text: str) -> None:
    assert UserName(text) == text


@pytest.mark.parametrize(
    "text", ["", "-x", "a b", "a:b", "a/b", "..", "65535", "4294967295", "99999999999", "a\0", "a\n"]
)
def test_no_users(text: str) -> None:
    with pytest.raises(Mistake):
        UserName(text)


@pytest.mark.parametrize(
    "kind", [Size, Percentage, StopStep, StartLimit, UnitRef, EnvironmentMap, Pattern, Url, UserName, Seconds]
)
@given(
    plain=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5
    )
)
def test_anything_is_read_or_refused(kind: type[Value], plain: object) -> None:
    try:
        value = kind.read(Given(plain))
    except Mistake as mistake:
        said = str(mistake)
    else:
        said = "fine"
        assert kind.read(Given(value.show())) == value
    assert said
    assert said.isprintable()


def test_names_of_variables_may_have_specifiers_as_in_systemd() -> None:
    given = Given({"FOR_%i": "%i", "N": 1}, lambda text: text.replace("%i", "eu"))
    assert EnvironmentMap.read(given).show() == {"FOR_eu": "eu", "N": "1"}
    with pytest.raises(Mistake, match="'1' cannot be the name of a variable") as why:
        EnvironmentMap.read(Given({"%i": "x"}, lambda text: text.replace("%i", "1")))
    assert why.value.faults[0].at == ("%i",)
