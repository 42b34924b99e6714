"""What is understood of the bytes that a server answers, however they are cut into pieces."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections.abc import Iterable

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tau2_enhanced.models.answers import Answer

CHUNKED = (
    b"HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;name=value\r\nabc\r\n2\r\nde\r\n0\r\nX-Late: 1\r\n\r\n"
)
WITH_LENGTH = b"HTTP/1.1 429 Slow down\r\nRetry-After: 3\r\nContent-Length: 5\r\n\r\nabcde"
UNTIL_THE_END = b"HTTP/1.1 200 OK\r\nX-A: \xe9\r\n\r\nabcde"


def read(pieces: Iterable[bytes], method: str = "POST") -> tuple[Answer, bytes]:
    answer, body = Answer(method), b""
    for piece in pieces:
        answer.feed(piece)
        body += answer.take()
    return answer, body


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    ends = [0, *sorted({place % len(data) for place in places} - {0}), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(ends)]


@given(st.lists(st.integers(0, 1000)))
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(places: list[int]) -> None:
    answer, body = read(cut(CHUNKED, places))
    assert (answer.status, answer.reason, body) == (200, "OK", b"abcde")
    assert answer.headers == [(b"content-type", b"text/plain"), (b"transfer-encoding", b"chunked")]
    assert answer.is_whole
    assert answer.keeps_connection

    answer, body = read(cut(WITH_LENGTH, places))
    assert (answer.status, answer.reason, body) == (429, "Slow down", b"abcde")
    assert answer.headers == [(b"retry-after", b"3"), (b"content-length", b"5")]
    assert answer.is_whole
    assert answer.keeps_connection

    answer, body = read([*cut(UNTIL_THE_END, places), b""])
    assert (answer.status, body) == (200, b"abcde")
    assert answer.headers == [(b"x-a", b"\xe9")]
    assert answer.is_whole
    assert not answer.keeps_connection


@given(st.integers(0, len(CHUNKED) - 1), st.integers(0, len(WITH_LENGTH) - 1))
def test_an_answer_that_breaks_off_is_none(after: int, after_other: int) -> None:
    for data, size in ((CHUNKED, after), (WITH_LENGTH, after_other)):
        with pytest.raises(httpx2.RemoteProtocolError, match="the server closed the connection"):
            read([data[:size], b""])


@given(st.binary(max_size=60))
def test_whatever_comes_is_an_answer_or_none(data: bytes) -> None:
    for begin in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        answer = Answer("POST")
        try:
            answer.feed(begin + data)
            answer.feed(b"")
        except httpx2.RemoteProtocolError:
            continue
        assert answer.is_whole


@pytest.mark.parametrize("more", [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nX", b"\0"])
@pytest.mark.parametrize("data", [CHUNKED, WITH_LENGTH])
def test_what_stands_behind_an_answer_is_no_part_of_it_and_ends_the_connection(data: bytes, more: bytes) -> None:
    answer, body = read([data + more])
    assert body == b"abcde"
    assert answer.is_whole
    assert not answer.keeps_connection


@pytest.mark.parametrize("said", [b"HTTP/1.1 200 OK\r\nConnection: close", b"HTTP/1.0 200 OK"])
def test_a_server_may_say_that_a_connection_is_not_kept(said: bytes) -> None:
    answer, body = read([said + b"\r\nContent-Length: 2\r\n\r\nok"])
    assert body == b"ok"
    assert answer.is_whole
    assert not answer.keeps_connection


@pytest.mark.parametrize(
    ("method", "data"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n"),
        ("CONNECT", b"HTTP/1.1 200 Connected\r\n\r\n"),
        ("POST", b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
)
def test_some_answers_have_no_body(method: str, data: bytes) -> None:
    answer, body = read([data], method)
    assert answer.is_whole
    assert body == b""


def test_a_switch_to_another_protocol_is_no_answer() -> None:
    with pytest.raises(httpx2.RemoteProtocolError, match="no HTTP"):
        read([b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n"])


def test_an_answer_that_was_read_needs_no_garbage_collection() -> None:
    answer, _ = read([CHUNKED])
    gone = weakref.ref(answer)
    gc.disable()
    try:
        del answer
        assert gone() is None
    finally:
        gc.enable()
