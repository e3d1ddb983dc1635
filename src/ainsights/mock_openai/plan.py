"""Script and what is answered -> the bytes of the response, and how it ends. Pure.

:mod:`ainsights.mock_openai.app` sends it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, TypeAlias

from ainsights.mock_openai import sse
from ainsights.mock_openai.errors import error_body
from ainsights.mock_openai.script import AT_ONCE, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Headers: TypeAlias = "list[tuple[bytes, bytes]]"

JSON = b"application/json"
HTML = b"text/html; charset=utf-8"
EVENT_STREAM = b"text/event-stream; charset=utf-8"

_PAGE = "<!DOCTYPE html><html><body><h1>502 – the page of a proxy, with status 200</h1></body></html>".encode()
_GZIP = 31
_DEFLATE = 15
_FAST = 1


class ConnectionEnd(Enum):
    """The state of the connection after the last byte."""

    COMPLETE = auto()
    CUT = auto()
    HANG = auto()


@dataclass(frozen=True, slots=True)
class PlannedResponse:
    """A response as it is sent.

    Attributes:
        status: of HTTP; None sends nothing at all.
        headers: names in lower case.
        writes: the body in the pieces in which it is sent.
        ending: what happens then.
        delay: seconds before the first byte.
        pace: seconds between pieces.
    """

    status: int | None
    headers: Headers
    writes: Sequence[bytes]
    ending: ConnectionEnd = ConnectionEnd.COMPLETE
    delay: float = 0.0
    pace: float = 0.0


def plan_response(
    script: Script, answer: Callable[[Script], Any], key: str, attempt: int = 1, *, is_stream: bool
) -> PlannedResponse:
    """Return the response to the nth of equal requests.

    Args:
        script: the directives.
        answer: script -> the object that is answered, or the list of the server-sent events of a stream.
        key: what ids are made of.
        attempt: n, from 1.
        is_stream: which of the two ``answer`` returns.
    """
    script = script.for_attempt(attempt)
    if script.reset or script.hang == AT_ONCE:
        return PlannedResponse(None, [], (), ConnectionEnd.CUT if script.reset else ConnectionEnd.HANG, script.delay)
    identity = _identity(f"{key}-{attempt}" if script.fail else key, script.delay)
    if script.status:
        return _error(script, script.status, identity)
    kind, writes = _body(script, answer, is_stream=is_stream)
    length = None if kind == EVENT_STREAM else sum(map(len, writes))
    writes, ending = _cut(script, writes, is_stream=kind == EVENT_STREAM)
    return _finished(script, PlannedResponse(200, [(b"content-type", kind), *identity], writes, ending), length)


def error_response(status: int, message: str, key: str = "0", **details: str) -> PlannedResponse:
    """Return the response to a request that the server cannot take."""
    return json_response(error_body(status, message, **details), key, status)


def json_response(value: Any, key: str, status: int = 200) -> PlannedResponse:
    """Return a response with ``value`` as JSON."""
    body = sse.encoded(value)
    headers = [(b"content-type", JSON), *_identity(key, 0), (b"content-length", b"%d" % len(body))]
    return PlannedResponse(status, headers, (body,))


def _identity(key: str, delay: float) -> Headers:
    return [
        (b"x-request-id", f"req_{key}".encode()),
        (b"openai-processing-ms", b"%d" % (1 + delay * 1000)),
        (b"openai-version", b"2020-10-01"),
    ]


def _error(script: Script, status: int, identity: Headers) -> PlannedResponse:
    headers = [(b"content-type", JSON), *identity]
    if script.retry_after is not None:
        headers.append((b"retry-after", f"{script.retry_after:g}".encode()))
        headers.append((b"retry-after-ms", f"{script.retry_after * 1000:g}".encode()))
    body = sse.encoded(error_body(status))
    return _finished(script, PlannedResponse(status, headers, [body]), len(body))


def _body(script: Script, answer: Callable[[Script], Any], *, is_stream: bool) -> tuple[bytes, list[bytes]]:
    """Return the type of the content, and the content: a stream by events."""
    if script.html:
        return HTML, [_PAGE]
    if script.empty:
        return EVENT_STREAM if is_stream else JSON, []
    answered = answer(script)
    if is_stream:
        return EVENT_STREAM, answered
    body = sse.encoded(answered)
    return JSON, [body[: len(body) // 2] if script.badjson else body]


def _cut(script: Script, writes: list[bytes], *, is_stream: bool) -> tuple[list[bytes], ConnectionEnd]:
    after = script.hang if script.abort is None else script.abort
    if after is None:
        return writes, ConnectionEnd.COMPLETE
    ending = ConnectionEnd.HANG if script.abort is None else ConnectionEnd.CUT
    if is_stream:
        return writes[:after], ending
    return [piece[: len(piece) // 2] for piece in writes], ending


def _finished(script: Script, plain: PlannedResponse, length: int | None) -> PlannedResponse:
    """Return ``plain`` in the pieces, the encoding and the tempo of the script."""
    headers, writes = plain.headers, plain.writes
    if script.merge or script.split:
        body = b"".join(writes)
        writes = sse.cut_small(body) if script.split else [body]
    if script.gzip or script.badgzip or script.deflate:
        encoding = b"deflate" if script.deflate else b"gzip"
        headers = [*headers, (b"content-encoding", encoding)]
        writes = _compressed(writes, _DEFLATE if script.deflate else _GZIP, ending=plain.ending)
        if script.badgzip:
            writes = [*writes[:-2], b"".join(writes[-2:])[: len(b"".join(writes[-2:])) // 2]]
        length = None if length is None or plain.ending is not ConnectionEnd.COMPLETE else sum(map(len, writes))
    if length is not None:
        headers = [*headers, (b"content-length", b"%d" % length)]
    return PlannedResponse(plain.status, headers, writes, plain.ending, script.delay, script.pace)


def _compressed(writes: Sequence[bytes], window: int, ending: ConnectionEnd) -> list[bytes]:
    """Return each piece compressed so that it can be read when it arrives; the trailer only where all is sent."""
    compress = zlib.compressobj(_FAST, zlib.DEFLATED, window)
    pieces = [compress.compress(piece) + compress.flush(zlib.Z_SYNC_FLUSH) for piece in writes]
    return [*pieces, compress.flush()] if ending is ConnectionEnd.COMPLETE else pieces
