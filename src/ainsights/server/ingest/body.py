"""Reading the body of a request within bounds."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Any

from ainsights.server.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SURPLUS = 4
"""A chunked body that is too large is read on to this many times the limit, so that its sender, who reads the answer
only when it has sent all, gets to see it."""

MAX_IN_FLIGHT_BYTES = 256 * 2**20
"""Bodies of all requests at the same time."""

INLINE_BYTES = 64 * 1024
"""A larger compressed body is decompressed on another thread."""

MOST_MEMBERS = 64
"""Parts that gzip may have, one after the other: each costs a copy of what follows it."""

GZIP = 31
"""zlib's window size for gzip."""


class DisconnectedError(Exception):
    """The client went away within its body."""


class BodyReader:
    """Reads bodies of ``limit`` bytes at the most, and of all requests together no more than the process can hold."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_flight = 0

    async def read(self, headers: dict[bytes, bytes], receive: Callable[[], Awaitable[Any]]) -> bytes:
        """Return the body of a request, decompressed. It counts as in flight until :meth:`release` is called for it.

        Raises:
            Problem: it is too large, cannot be decompressed, or there are too many at a time.
            DisconnectedError: there is nobody to answer any more.
        """
        self._check_head(headers)
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message["body"]
            if len(body) > self._limit:
                raise self._too_large()
        else:
            body = await self._read_rest(message, receive)
        encoding = headers.get(b"content-encoding")
        if encoding is not None and encoding.lower() != b"identity":
            inline = len(body) <= INLINE_BYTES
            body = self._gunzip(body) if inline else await asyncio.to_thread(self._gunzip, body)
        self._in_flight += len(body)
        return body

    def release(self, body: bytes) -> None:
        """Forget a body that is stored, or refused."""
        self._in_flight -= len(body)

    def _check_head(self, headers: dict[bytes, bytes]) -> None:
        encoding = headers.get(b"content-encoding")
        if encoding is not None and encoding.lower() not in {b"gzip", b"x-gzip", b"identity"}:
            raise Problem(
                415, "send the body as it is, or with Content-Encoding: gzip", headers={"Accept-Encoding": "gzip"}
            )
        length = headers.get(b"content-length")
        if length is not None and int(length) > self._limit:
            raise self._too_large(close=b"expect" in headers)

    async def _read_rest(self, message: Any, receive: Callable[[], Awaitable[Any]]) -> bytes:
        chunks: list[bytes] = []
        size = kept = 0
        try:
            while True:
                if message["type"] != "http.request":
                    raise DisconnectedError
                size += len(message["body"])
                if size <= self._limit:
                    chunks.append(message["body"])
                    kept += len(message["body"])
                    self._take(len(message["body"]))
                elif size > self._limit * SURPLUS:
                    raise self._too_large(close=True)
                if not message.get("more_body"):
                    break
                message = await receive()
        finally:
            self._in_flight -= kept
        if size > self._limit:
            raise self._too_large()
        return b"".join(chunks)

    def _take(self, size: int) -> None:
        self._in_flight += size
        if self._in_flight > MAX_IN_FLIGHT_BYTES:
            raise Problem(503, "too many large bodies at the same time", headers={"Retry-After": "1"}, close=True)

    def _gunzip(self, body: bytes) -> bytes:
        chunks: list[bytes] = []
        room = self._limit + 1
        for _ in range(MOST_MEMBERS):
            member = zlib.decompressobj(GZIP)
            try:
                chunks.append(member.decompress(body, room))
            except zlib.error as error:
                raise Problem(400, f"the body is not gzip: {error}") from None
            room -= len(chunks[-1])
            if room <= 0:
                raise self._too_large()
            if not member.eof:
                raise Problem(400, "the body is not gzip: it ends too early")
            body = member.unused_data
            if not body:
                return b"".join(chunks)
        raise Problem(400, f"the body is gzip of more than {MOST_MEMBERS} members")

    def _too_large(self, *, close: bool = False) -> Problem:
        return Problem(413, f"the body is larger than {self._limit} bytes", close=close)
