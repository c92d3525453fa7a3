"""The messages: what goes in comes out, and garbage is refused in words."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro.keeper import wire

_OF = {
    str: st.text(),
    int: st.integers(-(2**40), 2**40),
    bool: st.booleans(),
    float: st.floats(allow_nan=False),
    tuple: st.lists(st.text()).map(tuple),
    dict: st.dictionaries(st.text(), st.text()),
    type(None): st.none(),
}


def messages(table: dict[str, Any]) -> st.SearchStrategy[wire.Message]:
    def of(kind: str) -> st.SearchStrategy[wire.Message]:
        fields = [
            st.one_of([_OF[one] for one in kinds]) if isinstance(kinds, tuple) else _OF[kinds]
            for _, kinds in table[kind]
        ]
        return st.tuples(st.just(kind), *fields)

    return st.sampled_from(sorted(table)).flatmap(of)


@given(messages(wire.ORDERS))
def test_an_order_comes_out_as_it_went_in(message: wire.Message) -> None:
    assert wire.decode(wire.encode(message), wire.ORDERS) == message


@given(messages(wire.NEWS))
def test_news_come_out_as_they_went_in(message: wire.Message) -> None:
    assert wire.decode(wire.encode(message), wire.NEWS) == message


@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(wire.Malformed):
        wire.decode(data, wire.ORDERS)


@given(messages(wire.ORDERS), st.data())
def test_a_part_of_a_message_is_refused(message: wire.Message, data: st.DataObject) -> None:
    whole = wire.encode(message)
    begin, end = sorted((data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, len(whole)))))
    if (begin, end) != (0, len(whole)):
        with pytest.raises(wire.Malformed):
            wire.decode(whole[begin:end], wire.ORDERS)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ((), "no kind"),
        (("dance",), "no such message: dance"),
        (("send", "a#1", 15), "send: 4 fields expected, 2 found"),
        (("send", "a#1", "TERM", True, 0), "send: signal is a str"),
    ],
)
def test_a_wrong_message_is_refused_in_words(message: wire.Message, words: str) -> None:
    with pytest.raises(wire.Malformed, match=words):
        wire.decode(wire.encode(message), wire.ORDERS)


def test_a_message_that_cannot_be_sent_is_refused_by_the_sender() -> None:
    with pytest.raises(wire.TooLong, match="a message of 200 KiB is too long for the keeper's link"):
        wire.encode(("acknowledge", "x" * 200 * 1024))


def test_the_longest_message_and_a_descriptor_pass_the_link() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.setblocking(False)
        read, write = os.pipe()
        data = wire.encode(("hold", "x" * (wire.LIMIT - 100)))
        wire.send(ours, data, read)
        with pytest.raises(BlockingIOError):
            _send_for_ever(ours, data)
        received, fd, lost = wire.receive(theirs)
        assert (received, lost) == (data, False)
        assert not os.get_inheritable(fd)
        os.write(write, b"!")
        assert os.read(fd, 1) == b"!"
        ours.close()
        while (again := wire.receive(theirs))[0]:
            assert again == (data, -1, False)
        assert again == (b"", -1, False)
        for one in (read, write, fd):
            os.close(one)


def _send_for_ever(link: socket.socket, data: bytes) -> None:
    while True:
        wire.send(link, data)


def test_more_descriptors_than_one_are_not_leaked() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, open(os.devnull) as null:
        before = set(os.listdir("/proc/self/fd"))
        socket.send_fds(ours, [b"()"], [null.fileno()] * 3)
        _, fd, lost = wire.receive(theirs)
        assert not lost
        os.close(fd)
        assert set(os.listdir("/proc/self/fd")) == before
