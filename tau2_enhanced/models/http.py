"""What the clients of OpenAI's and Anthropic's formats both do over HTTP.

Their SDKs give connections, headers, authentication and errors. Requests and answers pass through them as bytes.
"""

from __future__ import annotations

import json
import ssl
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import orjson

from tau2_enhanced.logging.redaction import scrub
from tau2_enhanced.models.client import whole
from tau2_enhanced.models.deadlines import deadline, held
from tau2_enhanced.models.failures import UNREACHABLE, DeadlinePassed, ModelCallError, TransientFailure
from tau2_enhanced.models.resolve import on_this_machine

CHECK_TIMEOUT_S = 15.0
_CONNECT_TIMEOUT_S = 10.0
_TOO_LATE = "no answer within the call's time limit"


@dataclass(frozen=True, slots=True)
class Received:
    """An answer's body, and when it came."""

    body: bytes
    arrivals: Sequence[tuple[int, float]]
    """For each read how many bytes there were after it, and how many milliseconds after the request was sent."""

    def arrived_ms(self, size: int) -> float:
        """When the first `size` bytes had come, in milliseconds since the request was sent."""
        return self.arrivals[bisect_left(self.arrivals, size, key=lambda arrival: arrival[0])][1]


def make_http_client(
    make: Callable[..., httpx2.Client],
    base_url: str | None,
    max_connections: int,
    verify: ssl.SSLContext | bool = True,
) -> httpx2.Client:
    """The SDK's own kind of client, so wide and kept to the deadlines of its calls.

    Of several clients each would read the certificates, unless they share what they `verify` by.
    """
    limits = httpx2.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
    if base_url is not None and on_this_machine(base_url):
        # a proxy of the environment, which the SDKs' clients would use, can't reach this machine's own servers
        return held(httpx2.Client(limits=limits, follow_redirects=True, trust_env=False, verify=verify))
    return held(make(limits=limits, verify=verify))


def receive(send: Callable[[httpx2.Timeout], httpx2.Response], timeout_s: float) -> Received:
    """The answer that `send` begins, read to its end; all of it within the time limit."""
    body = bytearray()
    arrivals = []
    with deadline(timeout_s):
        began = time.perf_counter()
        # each is what a single step may take; together they end by the deadline
        limits = httpx2.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S))
        with closing(send(limits)) as answer:
            for piece in answer.iter_bytes():
                body += piece
                arrivals.append((len(body), (time.perf_counter() - began) * 1000))
    return Received(bytes(body), arrivals)


@contextmanager
def reading(where: str, what: str) -> Iterator[None]:
    """Failures while `what` is read from the server, which are no exceptions of its SDK, as ours."""
    try:
        yield
    except httpx2.HTTPError as error:
        raise connection_failure(error) from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise TransientFailure(f"{where} answered no {what}: {error!r}", error_type="bad_response") from None


def connection_failure(error: Exception) -> ModelCallError:
    """What broke or delayed a connection, given as httpx2's exception or as an SDK's that it caused."""
    cause = error if isinstance(error, httpx2.HTTPError) else error.__cause__ or error
    if isinstance(cause, httpx2.ConnectTimeout):
        return TransientFailure("the connection could not be made in time", error_type=UNREACHABLE)
    if isinstance(cause, httpx2.ConnectError):
        return TransientFailure(f"no connection: {cause_text(error)}", error_type=UNREACHABLE)
    if isinstance(cause, httpx2.TimeoutException):
        return DeadlinePassed(_TOO_LATE)
    return TransientFailure(f"connection lost: {cause_text(error)}", error_type="connection")


def cause_text(error: Exception) -> str:
    """The first line of what an SDK's exception came from."""
    return first_line(str(error.__cause__ or error))


def first_line(said: str) -> str:
    """What a server said, without secrets, short enough for a line."""
    return scrub(said.strip()).partition("\n")[0][:300]


def encoded(body: Any) -> bytes:
    """The JSON of a request, in UTF-8."""
    try:
        return orjson.dumps(body)
    except TypeError:
        # half characters, and whole numbers of more than 64 bits
        return json.dumps(whole(body), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def decoded(body: bytes) -> Any:
    """The JSON of an answer. Raises ValueError where it is none."""
    parsed = json.loads(body)
    return whole(parsed) if b"\\ud" in body.lower() else parsed
