from __future__ import annotations

import inspect
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maestro.control.desk import Desk
from maestro.control.protocol import AnyRequest, ErrorView, Status
from maestro.control.routes import BY_NAME, ROUTES, Route, Shape, read, read_id
from maestro.control.service import Refused, Service
from tests.control.fake import FakeService


def test_every_request_has_one_route() -> None:
    assert [route.request for route in ROUTES] == list(get_args(AnyRequest))
    assert len(BY_NAME) == len(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.do)
@pytest.mark.parametrize("kind", [Service, Desk, FakeService])
def test_every_route_has_its_method(route: Route, kind: type) -> None:
    method = getattr(kind, route.method)
    assert list(inspect.signature(method).parameters) == ["self", "caller", "request"]
    iterates = route.shape in (Shape.VERB, Shape.STREAM)
    if kind is Service:
        assert inspect.iscoroutinefunction(method) is not iterates
    else:
        assert inspect.isasyncgenfunction(method) is iterates


@pytest.mark.parametrize(
    ("message", "words", "hint"),
    [
        ({"do": "status"}, "a request needs `v`, the version of the protocol: 1", ""),
        ({"v": True, "do": "status"}, "a request needs `v`, the version of the protocol: 1", ""),
        (
            {"v": 7, "do": "status"},
            "this daemon speaks version 1 of the protocol, not 7",
            "use the maestroctl that was installed together with this daemon",
        ),
        ({"v": 1}, "a request needs `do`: what is asked", ""),
        ({"v": 1, "do": "statsu"}, "there is no request 'statsu'", "did you mean status?"),
        ({"v": 1, "do": ["status"]}, "there is no request ['status']", ""),
        ({"v": 1, "do": "status", "unit": []}, "status: there is no field 'unit'", "did you mean units?"),
        ({"v": 1, "do": "hello", "zzz": 1}, "hello: there is no field 'zzz'", "it has no fields"),
        ({"v": 1, "do": "start"}, "start: it lacks the field units", ""),
        ({"v": 1, "do": "start", "units": []}, "start: units: expected array of length >= 1", ""),
        ({"v": 1, "do": "start", "units": "a"}, "start: units: expected array, got str", ""),
        ({"v": 1, "do": "start", "units": [1]}, "start: units[0]: expected str, got int", ""),
        (
            {"v": 1, "do": "start", "units": ["a", ""]},
            "start: no unit can have this name: it is empty",
            "write the name of a unit",
        ),
        (
            {"v": 1, "do": "logs", "units": ["x" * 256]},
            "logs: no unit can have this name: it has more than 255 characters",
            "",
        ),
        ({"v": 1, "do": "status", "lines": "5"}, "status: lines: expected int, got str", ""),
        ({"v": 1, "do": "status", "lines": -1}, "status: lines: expected int >= 0", ""),
        ({"v": 1, "do": "logs", "units": ["a"], "since": float("nan")}, "logs: since is not a time", ""),
    ],
)
def test_mistakes_are_told(message: dict[str, Any], words: str, hint: str) -> None:
    with pytest.raises(Refused) as caught:
        read(message)
    assert (caught.value.error.message, caught.value.error.hint) == (words, hint)
    assert caught.value.error.code in ("bad-request", "bad-version")


def test_an_agent_that_names_no_unit_means_its_own() -> None:
    route, request = read({"v": 1, "do": "status"}, "researcher")
    assert request == Status(units=("researcher",))
    assert route.method == "status"


anything: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
field_names = st.sampled_from(sorted({f for r in ROUTES for f in r.request.__struct_fields__})) | st.text()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([*BY_NAME]) | anything,
    st.dictionaries(field_names, anything, max_size=4),
    st.just(1) | anything,
)
def test_any_map_is_a_request_or_refused(do: Any, fields: dict[str, Any], version: Any) -> None:
    error = _refusal({**fields, "v": version, "do": do})
    if error is not None:
        assert error.code in ("bad-request", "bad-version")
        assert len(error.message) < 400


def _refusal(message: dict[str, Any]) -> ErrorView | None:
    try:
        read_id(message)
        route, request = read(message)
        assert type(request) is route.request
    except Refused as refusal:
        return refusal.error
    return None
