"""Two exchanges about one response: the call that created it, and one that looked it up later. Pure."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ainsights._instrumentation.routes import CANCEL, RESPONSES, WEBSOCKET
from ainsights._processing.outcome import body_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ainsights._instrumentation.exchange import Exchange

_SNAPSHOT = b'data: {"type":"response.in_progress","response":%s}'


def looked_up(exchange: Exchange) -> str:
    """Return the id of the response that ``exchange`` looked up, from its path."""
    segments = urlsplit(str(exchange.url)).path.rstrip("/").split("/")
    return unquote(segments[-2 if exchange.route is CANCEL else -1])


def is_stream(exchange: Exchange) -> bool:
    """Return whether events came, and not one response."""
    return _whole_body(exchange).lstrip()[:1] != b"{"


def continued(creation: Exchange, lookup: Exchange) -> Exchange:
    """Return ``creation`` as it would be had it brought what ``lookup`` did, and ended when that one did."""
    whole = copy.copy(creation)
    before, found = _whole_body(creation), _whole_body(lookup)
    streamed = is_stream(lookup)
    whole.body = _joined(before, found) if streamed else found
    whole.chunks = whole.tail = None
    whole.status_code, whole.failure = lookup.status_code, lookup.failure
    if lookup.context is not None and lookup.context.content == "metadata":
        whole.context = replace(creation.context or lookup.context, content="metadata")
    whole.finished, whole.ending = lookup.finished, lookup.ending
    if streamed and creation.first_byte is None:
        whole.first_byte = lookup.first_byte
    return whole


def _whole_body(exchange: Exchange) -> bytes:
    return b"\n\n".join(filter(None, body_of(exchange)))


def _joined(before: bytes, events: bytes) -> bytes:
    if before.lstrip()[:1] == b"{":  # one response; line breaks stand only between its tokens
        before = _SNAPSHOT % before.replace(b"\n", b" ").replace(b"\r", b" ")
    return before + b"\n\n" + events


def created_by(streams: Iterable[Exchange], response_id: str) -> Exchange | None:
    """Return that of the streams which are still read that creates the response; None if none does."""
    quoted = f'"{response_id}"'.encode()
    for exchange in streams:
        if exchange.route in (RESPONSES, WEBSOCKET) and quoted in body_of(exchange)[0]:
            return exchange
    return None
