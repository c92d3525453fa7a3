from __future__ import annotations

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maestro.control.bounds import MAX_REQUEST, MAX_UNITS
from maestro.control.frames import FrameError, encode, pack, requests

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
messages = st.lists(st.dictionaries(st.text(), values, max_size=5), max_size=5)


@unhurried
@given(messages, st.data())
def test_frames_survive_any_cutting(sent: list[dict[str, object]], data: st.DataObject) -> None:
    stream = b"".join(encode(message) for message in sent)
    frames, got = requests(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        got += list(frames.feed(stream[:size]))
        stream = stream[size:]
    assert got == sent
    assert not frames.partial


@unhurried
@given(st.binary(max_size=200))
def test_any_body_is_a_map_or_an_error(body: bytes) -> None:
    assert all(isinstance(message, dict | str) for message in _fed(pack(body)))


@unhurried
@given(st.binary(max_size=300))
def test_any_stream_is_messages_waiting_or_an_error(stream: bytes) -> None:
    assert all(message for message in _fed(stream) if isinstance(message, str))


def _fed(stream: bytes) -> list[dict[str, object] | str]:
    """The messages in a stream, and last the error if it has one."""
    got: list[dict[str, object] | str] = []
    try:
        for message in requests().feed(stream):
            got.append(message)
    except FrameError as error:
        got.append(str(error))
    return got


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        msgpack.packb([1, 2]),
        msgpack.packb({1: 2}),
        msgpack.packb({"a": msgpack.ExtType(5, b"x")}),
        msgpack.packb({"a": msgpack.Timestamp(1)}),
        msgpack.packb({"a": [0] * (MAX_UNITS + 1)}),
        msgpack.packb({"a": 1}) + b"\0",
        b"\x81\xa1a\xa1\xff",  # not UTF-8
        b"\x81\xa1a" + b"\x91" * 100_000 + b"\xc0",  # too deep
        b"\x81\xa1a\xdd\xff\xff\xff\xff",  # an array of 4,294,967,295
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
    ],
)
def test_bad_bodies_are_one_kind_of_error(body: bytes) -> None:
    with pytest.raises(FrameError):
        list(requests().feed(pack(body)))


def test_a_frame_that_announces_too_much_is_refused_before_it_comes() -> None:
    with pytest.raises(FrameError, match=f"may have {MAX_REQUEST} bytes; this one announces 4294967295"):
        list(requests().feed(b"\xff\xff\xff\xff"))


def test_what_came_before_the_bad_frame_is_served() -> None:
    got = _fed(encode({"a": 1}) + pack(b"\xc1"))
    assert got[0] == {"a": 1}
    assert str(got[1]).startswith("this frame is not valid msgpack")
