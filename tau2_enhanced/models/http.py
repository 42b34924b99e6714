"""What the clients of OpenAI's and Anthropic's formats both do over HTTP.

Their SDKs give addresses, headers, authentication and errors. Requests and answers are bytes on our connections.
"""

from __future__ import annotations

import json
import re
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import orjson

from tau2_enhanced.logging.redaction import scrub
from tau2_enhanced.models.client import whole
from tau2_enhanced.models.connections import Closed, Connections
from tau2_enhanced.models.deadlines import Deadline
from tau2_enhanced.models.failures import (
    UNREACHABLE,
    CallFailed,
    DeadlinePassed,
    ModelCallError,
    TransientFailure,
)
from tau2_enhanced.models.resolve import on_this_machine

if TYPE_CHECKING:
    from anthropic import Anthropic
    from openai import OpenAI

CHECK_TIMEOUT_S = 15.0
_HTML = re.compile(r"\s*<(!doctype html|html)\b", re.IGNORECASE)
_TITLE = re.compile(r"<title>(.*?)</title>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Received:
    """An answer's body, and when it came."""

    body: bytes
    arrivals: Sequence[tuple[int, float]]
    """For each read how many bytes there were after it, and how many milliseconds after the request was sent."""

    def arrived_ms(self, size: int) -> float:
        """When the first `size` bytes had come, in milliseconds since the request was sent."""
        return self.arrivals[bisect_left(self.arrivals, size, key=lambda arrival: arrival[0])][1]


class Endpoint:
    """One path of a server, asked again and again: by requests like the SDK's first one, on connections of ours.

    The SDK decides on address, headers and authentication, once, and what an answer's status means. A call that goes
    all the way through it takes 0.4 ms more of CPU (`benchmarks/request_layers.py`).
    """

    def __init__(self, sdk: OpenAI | Anthropic, path: str, connections: Connections) -> None:
        self._sdk = sdk
        self._path = path
        self._connections = connections
        self._redirected = httpx2.Client(transport=connections, follow_redirects=True)
        request = self._judged(httpx2.Response(200)).request
        self._url = request.url
        self._headers = dict(request.headers)

    def post(self, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Received:
        """The answer to a body of JSON, read to its end; all of it within the time limit.

        Raises the SDK's error for an answer whose status says that it is none, httpx2's where none came.
        """
        body_and_length = {"content-length": str(len(body))}
        asked = {**self._headers, **{name.lower(): value for name, value in headers.items()}, **body_and_length}
        deadline = Deadline(timeout_s)
        began = time.perf_counter()
        with closing(self._connections.send("POST", self._url, asked, body, deadline)) as exchange:
            if exchange.status == 200 and not exchange.is_encoded:
                return _received(exchange, began)
            answer = httpx2.Response(exchange.status, headers=exchange.headers, stream=exchange)
            if not answer.has_redirect_location:
                return self._read(answer, began)
        again = httpx2.Request("POST", self._url, headers=asked, content=body, extensions={"deadline": deadline})
        with closing(self._redirected.send(again, stream=True)) as answer:
            return self._read(answer, began)

    def _read(self, answer: httpx2.Response, began: float) -> Received:
        received = _received(answer.iter_bytes(), began)
        if not answer.is_success:
            headers = [(name, value) for name, value in answer.headers.multi_items() if name != "content-encoding"]
            self._judged(httpx2.Response(answer.status_code, headers=headers, content=received.body))
        return received

    def _judged(self, answer: httpx2.Response) -> httpx2.Response:
        """An answer as the SDK takes it, with the request that it would have been for. Raises the SDK's errors."""
        playing = httpx2.Client(transport=httpx2.MockTransport(lambda _: answer))
        judged: httpx2.Response = self._sdk.with_options(http_client=playing).post(self._path, cast_to=httpx2.Response)
        return judged


def _received(pieces: Iterable[bytes], began: float) -> Received:
    body = bytearray()
    arrivals = []
    for piece in pieces:
        body += piece
        arrivals.append((len(body), (time.perf_counter() - began) * 1000))
    return Received(bytes(body), arrivals)


def connections_for(base_url: str | None) -> Connections:
    """Connections to the server of this address, or to the provider's own."""
    # a proxy of the environment can't reach this machine's own servers
    return Connections(use_proxies=base_url is None or not on_this_machine(base_url))


@contextmanager
def reading(where: str, what: str) -> Iterator[None]:
    """Failures while `what` is read from the server, which are no exceptions of its SDK, as ours."""
    try:
        yield
    except httpx2.HTTPError as error:
        raise connection_failure(error) from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise TransientFailure(f"{where} sent no valid {what}: {error!r}", error_type="bad_response") from None


def connection_failure(error: Exception) -> ModelCallError:
    """What broke or delayed a connection, given as httpx2's exception or as an SDK's that it caused."""
    cause = error if isinstance(error, httpx2.HTTPError) else error.__cause__ or error
    if isinstance(cause, Closed):
        return CallFailed(str(cause))
    if isinstance(cause, httpx2.ConnectTimeout):
        return TransientFailure("the connection could not be made in time", error_type=UNREACHABLE)
    if isinstance(cause, httpx2.ConnectError):
        return TransientFailure(f"no connection: {cause_text(error)}", error_type=UNREACHABLE)
    if isinstance(cause, httpx2.TimeoutException):
        return DeadlinePassed()
    return TransientFailure(f"connection lost: {cause_text(error)}", error_type="connection")


def cause_text(error: Exception) -> str:
    """The first line of what an SDK's exception came from."""
    return first_line(str(error.__cause__ or error))


def first_line(said: str) -> str:
    """What a server said, without secrets, short enough for a line; of a page of HTML its title."""
    if _HTML.match(said):
        title = _TITLE.search(said)
        said = f"a page of HTML, {' '.join(title[1].split())!r}" if title else "a page of HTML"
    return scrub(said.strip()).partition("\n")[0][:300]


def into_headers(body: dict[str, Any], headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers of a request with this body, from which the SDKs' two ways of saying more are taken.

    Members of `extra_body` become the body's own, those of `extra_headers` headers.
    """
    body |= body.pop("extra_body", None) or {}
    return {**(body.pop("extra_headers", None) or {}), **headers}


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


def quickly_decoded(body: bytes) -> Any:
    """The same, but whole numbers of more than 64 bits may have become floats."""
    try:
        return orjson.loads(body)
    except ValueError:  # half characters, NaN, another encoding
        return decoded(body)
