"""Exchange -> Outcome: the ChatCompletion that came back, or as much of it as there is, and how the call went. Pure."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from ainsights._instrumentation.routes import WEBSOCKET
from ainsights._json import parse_json_or_none
from ainsights._processing.apis import APIS
from ainsights._processing.completion import complete, required_fields, without_odd_finish

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ainsights._instrumentation.exchange import Exchange
    from ainsights._processing.accumulator import Accumulation
    from ainsights._processing.apis import ModelApi

FIRST_ERROR_STATUS = 400
_STATUS = {"closed": "closed_early", "collected": "abandoned", "complete": "ok", "cancelled": "cancelled"}
_UNKNOWN = ("", 0, None)
_ENDED = {"type": "IncompleteStream", "message": "the stream ended before its response did"}
_LEFT = frozenset(["closed", "collected"])
"""The endings of a stream that its reader left."""


@dataclass(slots=True)
class Outcome:
    """What came back."""

    response: dict[str, Any]
    """It validates as a ChatCompletion wherever the model API's own values do."""
    status: str
    error: dict[str, Any] | None = None
    is_partial: bool = False
    """Whether one of the choices was cut."""
    full_size: int = 0
    """Bytes of the body where some in its middle were not kept; else 0."""
    is_stream: bool = False
    """Whether events came."""


def outcome_of(exchange: Exchange, args: dict[str, Any]) -> Outcome:
    """Return what came back of ``exchange``, whose request had the arguments ``args``."""
    body, tail = body_of(exchange)
    is_cut = False
    if exchange.status_code is None or exchange.status_code >= FIRST_ERROR_STATUS:
        outcome = _failed(exchange, body, {})
    elif body.lstrip()[:1] == b"{":
        outcome, is_cut = _whole(exchange, body)
    else:
        outcome, is_cut = _streamed(exchange, b"\n\n".join([body, tail]) if tail else body, args)
        outcome.is_stream = body.lstrip().startswith((b"data:", b"event:"))
    request_id = header(exchange, "x-request-id")
    known = required_fields(model=args.get("model"), created=exchange.began_at, request_id=request_id)
    if outcome.status != "ok":
        given = {key: value for key, value in outcome.response.items() if key not in known or value not in _UNKNOWN}
        outcome.response = known | given
        for choice in outcome.response["choices"]:
            without_odd_finish(choice)
    outcome.is_partial = complete(outcome.response, known, is_cut=is_cut or outcome.status != "ok")
    outcome.full_size = _full_size(exchange)
    if outcome.error is not None:
        before = outcome.response.get("error")
        outcome.response["error"] = (before if isinstance(before, dict) else {}) | outcome.error
    return outcome


def _whole(exchange: Exchange, body: bytes) -> tuple[Outcome, bool]:
    api = APIS[exchange.route.api]
    value = parse_json_or_none(body)
    if isinstance(value, dict):
        made = api.whole(value)
        return (_failed(exchange, body, {}), False) if made is None else _ended(made)
    if exchange.ending in {"complete", "error"} and exchange.tail is None:
        return _failed(exchange, body, {}), False  # it is broken, not cut; its text goes with the error
    return Outcome(_partial(body, api), _STATUS.get(exchange.ending or "closed", "error")), True


def _streamed(exchange: Exchange, body: bytes, args: dict[str, Any]) -> tuple[Outcome, bool]:
    api = APIS[exchange.route.api]
    made = api.stream(body)
    if made.error is not None or made.done:
        return _ended(made)
    if not body and exchange.ending in _LEFT:
        return Outcome({}, "unread"), True
    if exchange.ending == "error" or (exchange.ending == "complete" and not made.chunks):
        return _failed(exchange, b"" if made.chunks else body, made.completion), True
    if exchange.ending == "complete" and not api.may_lack_end:
        is_in_background = args.get("background") is True
        ended = Outcome(made.completion, "abandoned") if is_in_background else None
        return ended or Outcome(made.completion, "error", _ENDED), True
    if exchange.ending in _LEFT and api.is_finished(made.completion, args):
        return Outcome(made.completion, "ok"), False
    return Outcome(made.completion, _STATUS[exchange.ending or "closed"]), True


def _ended(made: Accumulation) -> tuple[Outcome, bool]:
    """Return the outcome of an answer that came to an end of its own."""
    if made.error is not None:
        return Outcome(made.completion, "error", _error_of(made.error)), True
    return Outcome(made.completion, made.status), made.status != "ok"


def _failed(exchange: Exchange, body: bytes, completion: dict[str, Any]) -> Outcome:
    """Return what is known of a call that gave no whole completion: by its exception, its status, its body."""
    if exchange.ending == "cancelled":
        return Outcome(completion, "cancelled")
    value = parse_json_or_none(body)
    error: dict[str, Any] = {}
    if exchange.failure is not None:
        error = {"type": exchange.failure.type, "message": exchange.failure.message}
    elif exchange.status_code is not None and exchange.status_code < FIRST_ERROR_STATUS:
        error = {"type": "InvalidResponse", "message": "the response is not a chat completion"}
    if isinstance(value, dict):
        error |= _error_of(value.get("error"))
    if exchange.status_code is not None:
        error["status"] = exchange.status_code
    if body:
        error["body"] = value if value is not None else body.decode(errors="replace")
    return Outcome(completion, "error", error)


def _error_of(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        known = {key: value[key] for key in ("type", "message", "code") if value.get(key) is not None}
        return known or {"body": value}
    return {} if value is None else {"message": str(value)}


def _partial(body: bytes, api: ModelApi) -> dict[str, Any]:
    """Return what there is of a JSON object that was cut, the text in which it was cut included."""
    for end in (b'"', b""):
        try:
            value = from_json(body.decode(errors="ignore").encode() + end, allow_partial=True)
        except ValueError:
            continue
        return api.cut(value) if isinstance(value, dict) else {}
    return {}


# The bytes of the body


def body_of(exchange: Exchange) -> tuple[bytes, bytes]:
    """Return the body, and its end where its middle is missing."""
    if exchange.body is not None:
        return exchange.body, b""
    if exchange.route is WEBSOCKET:
        return _framed(exchange.chunks or ()), _framed(exchange.tail.chunks) if exchange.tail is not None else b""
    body, tail = b"".join(exchange.chunks or ()), exchange.tail
    if tail is not None and not tail.skipped:
        body += b"".join(tail.chunks)
    encoding = header(exchange, "content-encoding")
    if encoding and body:
        return _uncompressed(body, encoding, exchange.headers), b""
    return body, b"".join(tail.chunks) if tail is not None and tail.skipped else b""


def _framed(messages: Iterable[bytes]) -> bytes:
    """Return the messages of a WebSocket as server-sent events; line breaks stand only between their tokens."""
    return b"".join(b"data: %s\n\n" % message.replace(b"\n", b" ") for message in messages)


def _full_size(exchange: Exchange) -> int:
    tail = exchange.tail
    if tail is None or not tail.skipped or exchange.chunks is None:
        return 0
    return sum(map(len, exchange.chunks)) + tail.skipped + sum(map(len, tail.chunks))


def _uncompressed(body: bytes, encoding: str, headers: Any) -> bytes:
    """Undo a content encoding, as far as a body that may be cut can be.

    It takes the library that the response came through, httpx or httpx2, which is loaded: to import one here would race
    with openai 3.x, which looks on each call whether httpx is there, and takes it half initialised.
    """
    library = sys.modules[type(headers).__module__.partition(".")[0]]
    response = library.Response(200, headers={"content-encoding": encoding}, stream=library.ByteStream(body))
    arrived: list[bytes] = []
    try:
        arrived.extend(response.iter_bytes())
    except library.DecodingError:
        return b"".join(arrived) or body
    return b"".join(arrived)


def header(exchange: Exchange, name: str) -> str | None:
    """Return a header of the response, if there was one."""
    value = exchange.headers.get(name) if exchange.headers is not None else None
    return str(value) if value is not None else None
