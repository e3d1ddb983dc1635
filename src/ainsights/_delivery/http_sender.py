"""One ``PUT`` of an insight over a kept-alive connection.

On the standard library alone: it costs the host process the least (see CONTRIBUTING, "Measured"), and an import of
httpx behind the user's back would race with openai 3.x, which looks on each call whether httpx is loaded.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import re
from typing import TYPE_CHECKING, Any, Protocol

from ainsights._base_url import DEFAULT_PATH
from ainsights._delivery.connection import Deadline, DeadlineSocketReader, open_connection, send_all
from ainsights._delivery.endpoint import Endpoint
from ainsights._delivery.retry import Answer
from ainsights._logging import mask_secrets, register_secret
from ainsights._version import __version__

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

ONE_PACKET = 65536
"""Bytes of a body up to which copying it behind its headers costs less than a second call."""

LONGEST_BODY = 4096
"""Bytes of an answer's body that are read; more of it is of no use, and the connection is then closed."""


class Sender(Protocol):
    """Sends one event at a time. Not to be shared between threads."""

    def send(self, body: bytes, time_limit: float | None = None) -> Answer:
        """Put ``body`` and return the answer.

        Args:
            body: the event.
            time_limit: the seconds that this request may take, if less than the timeout.

        Raises:
            OSError: no connection, or it was lost; a TimeoutError if it took too long.
            http.client.HTTPException: what came back is not HTTP.
        """

    def close(self) -> None:
        """Close the connection."""


def senders(base_url: str, api_key: str | None, timeout: float, path: str = DEFAULT_PATH) -> Callable[[], Sender]:
    """Return what creates a sender for each thread that needs one.

    Args:
        base_url: of the endpoint.
        api_key: the bearer token; None sends no Authorization header.
        timeout: the seconds that a whole request may take.
        path: what is appended to the base URL.
    """

    @functools.cache
    def endpoint() -> Endpoint:  # on the thread that sends: reading certificates takes its time
        return Endpoint.of(base_url, path)

    headers = {"Content-Type": "application/json", "User-Agent": f"ainsights/{__version__}"}
    if api_key:
        register_secret(api_key)
        headers["Authorization"] = f"Bearer {api_key}"

    def create() -> Sender:
        found = endpoint()
        if found.proxy is None or found.proxy.scheme == "http":
            return HttpSender(found, headers, timeout)
        from ainsights._delivery.proxy_sender import ProxySender  # noqa: PLC0415  few programs need httpcore

        return ProxySender(found, headers, timeout)

    return create


class HttpSender:
    """A connection of one's own, opened at the first event and again whenever it was lost."""

    def __init__(self, endpoint: Endpoint, headers: dict[str, str], timeout: float) -> None:
        lines = [f"PUT {endpoint.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in (endpoint.headers | headers).items()]
        self._head = "\r\n".join([*lines, "Content-Length: "]).encode("latin-1")
        self._endpoint = endpoint
        self._deadline = Deadline(timeout)
        self._sock: socket.socket | None = None

    def send(self, body: bytes, time_limit: float | None = None) -> Answer:
        """See :class:`Sender`. A kept connection that the endpoint has closed meanwhile is replaced once."""
        self._deadline.restart(time_limit)
        kept = self._sock is not None
        try:
            return self._send(body)
        except OSError as error:
            if not kept or isinstance(error, TimeoutError):
                raise
        return self._send(body)

    def close(self) -> None:
        """See :class:`Sender`."""
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    def _send(self, body: bytes) -> Answer:
        try:
            answer = self._exchange(body)
        except BaseException:
            self.close()
            raise
        return answer._replace(body=mask_secrets(answer.body))

    def _exchange(self, body: bytes) -> Answer:
        deadline = self._deadline
        sock = self._sock = self._sock or open_connection(self._endpoint, deadline)
        head = b"%s%d\r\n\r\n" % (self._head, len(body))
        if len(body) <= ONE_PACKET:
            send_all(sock, head + body, deadline)
        else:
            send_all(sock, head, deadline)
            send_all(sock, body, deadline)
        sock.settimeout(deadline.remaining())
        beginning = sock.recv(LONGEST_BODY)
        return _plain_answer(beginning) or self._any_answer(sock, beginning)

    def _any_answer(self, sock: socket.socket, beginning: bytes) -> Answer:
        """Read an answer in whatever form HTTP allows."""
        stream: Any = DeadlineSocketReader(sock, beginning, self._deadline)
        with contextlib.closing(http.client.HTTPResponse(stream, method="PUT")) as response:
            response.begin()
            body = response.read(LONGEST_BODY)
            if response.length and len(body) < LONGEST_BODY:
                raise http.client.IncompleteRead(body, response.length)
            if response.will_close or not response.isclosed():
                self.close()
            return Answer(response.status, body.decode(errors="replace"), response.getheader("Retry-After"))


def _plain_answer(arrived: bytes) -> Answer | None:
    """Return the answer if it is one that arrived whole, of known length, on a connection that stays open; else None.

    It is what endpoints answer nearly always. Without it one PUT takes 37 us of CPU instead of 16, nearly all of it in
    the standard library's parser (``benchmarks/senders.py``), and an event 127 instead of 108 (``background.py``).
    """
    head, end, body = arrived.partition(b"\r\n\r\n")
    first, _, fields = head.partition(b"\r\n")
    length = _LENGTH.findall(fields)
    if not end or length != [b"%d" % len(body)] or _UNUSUAL.search(fields) or not _STATUS.fullmatch(first):
        return None
    return Answer(int(first[9:12]), body.decode(errors="replace"))


_STATUS = re.compile(rb"HTTP/1\.1 [2-5][0-9]{2}(?: [^\r\n]*)?")
_LENGTH = re.compile(rb"(?im)^content-length: *([0-9]+) *\r?$")
_UNUSUAL = re.compile(rb"(?im)^(?:transfer-encoding|connection|retry-after|content-encoding) *:|^[ \t]")
