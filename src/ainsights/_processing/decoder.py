"""Exchange -> Insight: what was on the wire, in the terms of the contract. Pure; runs on the background thread."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic_core import from_json

from ainsights._context.snapshot import parse
from ainsights._model import Insight, MetaKey
from ainsights._processing.accumulator import assemble
from ainsights._processing.attributes import Said

if TYPE_CHECKING:
    from ainsights._instrumentation.exchange import Exchange
    from ainsights._processing.attributes import Defaults

FIRST_ERROR_STATUS = 400
EMPTY = {"id": "", "object": "chat.completion", "created": 0, "model": "", "choices": []}
"""What every ChatCompletion has."""

_STATUS = {"closed": "closed_early", "collected": "abandoned", "complete": "ok", "cancelled": "cancelled"}


class Outcome(NamedTuple):
    """What came back: the completion or as much of one as there is, and what went wrong."""

    completion: dict[str, Any]
    status: str
    error: dict[str, Any] | None = None


def decode(exchange: Exchange, defaults: Defaults, event_id: str) -> Insight:
    """Return the insight that tells ``exchange``."""
    args = _request(exchange.request_body)
    messages = as_messages(args.pop("messages", None))
    outcome = _outcome(exchange)
    said = Said(exchange.context, args, messages, defaults)
    template, inputs = said.template()
    meta = said.meta()
    for key, value in _measured(exchange, outcome, args).items():
        if value is not None:
            meta.setdefault(key, value)
    meta.setdefault(MetaKey.EVENT_ID, event_id)
    meta.setdefault(MetaKey.SDK, defaults.sdk)
    return Insight.model_construct(
        response=_response(exchange, outcome, args),
        messages=messages,
        template=template,
        inputs=inputs,
        args=args,
        user_id=said.user_id(),
        meta=meta,
    )


def as_messages(value: Any) -> Any:
    """Return ``value`` as the contract has messages: a string, a list of strings, or a list of objects."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        return [] if value is None else [str(value)]
    if all(isinstance(item, dict) for item in value) or all(isinstance(item, str) for item in value):
        return value
    return [item if isinstance(item, dict) else {"role": "user", "content": item} for item in value]


def _request(body: bytes | None) -> dict[str, Any]:
    value = parse(body)
    if isinstance(value, dict):
        return value
    return {"messages": body.decode(errors="replace")} if body else {}


# What came back


def _outcome(exchange: Exchange) -> Outcome:
    body = _body(exchange)
    if exchange.status_code is None or exchange.status_code >= FIRST_ERROR_STATUS:
        return _failed(exchange, body, {})
    if body.lstrip()[:1] == b"{":
        return _whole(exchange, body)
    return _streamed(exchange, body)


def _whole(exchange: Exchange, body: bytes) -> Outcome:
    value = parse(body)
    if isinstance(value, dict):
        unfit = value.get("error") is not None and not value.get("choices")  # some routers answer 200 with an error
        return _failed(exchange, body, {}) if unfit else Outcome(value, "ok")
    if exchange.ending in {"complete", "error"}:
        return _failed(exchange, body, {})  # what is cut would not validate; its text is told with the error
    return Outcome(_partial(body), _STATUS[exchange.ending or "closed"])


def _streamed(exchange: Exchange, body: bytes) -> Outcome:
    assembled = assemble(body)
    if assembled.error is not None:
        return Outcome(assembled.completion, "error", _error_of(assembled.error))
    if assembled.done:
        return Outcome(assembled.completion, "ok")
    if not body and exchange.ending in {"closed", "collected"}:
        return Outcome({}, "unread")
    if exchange.ending == "error" or (exchange.ending == "complete" and not assembled.chunks):
        return _failed(exchange, b"" if assembled.chunks else body, assembled.completion)
    return Outcome(assembled.completion, _STATUS[exchange.ending or "closed"])


def _failed(exchange: Exchange, body: bytes, completion: dict[str, Any]) -> Outcome:
    """Tell what is known of a call that gave no whole completion: by its exception, its status, its body."""
    if exchange.ending == "cancelled":
        return Outcome(completion, "cancelled")
    value = parse(body)
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


def _response(exchange: Exchange, outcome: Outcome, args: dict[str, Any]) -> dict[str, Any]:
    if outcome.status == "ok":
        return outcome.completion
    asked = args.get("model")
    known = {
        "id": _header(exchange, "x-request-id") or "",
        "created": int(exchange.began_at),
        "model": asked if isinstance(asked, str) else "",
    }
    completion = EMPTY | known | {key: value for key, value in outcome.completion.items() if value not in ("", 0, None)}
    return completion | {"error": outcome.error} if outcome.error is not None else completion


def _partial(body: bytes) -> dict[str, Any]:
    try:
        value = from_json(body, allow_partial=True)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _body(exchange: Exchange) -> bytes:
    if exchange.body is not None:
        return exchange.body
    body = b"".join(exchange.chunks or ())
    encoding = _header(exchange, "content-encoding")
    return body if not encoding or not body else _uncompressed(body, encoding, exchange.headers)


def _uncompressed(body: bytes, encoding: str, headers: Any) -> bytes:
    """Undo a content encoding, as far as a body that may be cut can be.

    By the library that the response came through, httpx or httpx2, which is loaded: to import one here would race
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


# What was measured


def _measured(exchange: Exchange, outcome: Outcome, args: dict[str, Any]) -> dict[str, Any]:
    stream = args.get("stream") is True
    finished = exchange.finished or exchange.started
    error_type = exchange.failure.type if exchange.failure else (outcome.error or {}).get("type")
    return {
        MetaKey.TIMESTAMP: datetime.fromtimestamp(exchange.began_at, timezone.utc).isoformat().replace("+00:00", "Z"),
        MetaKey.LATENCY_MS: _milliseconds(finished - exchange.started),
        MetaKey.TTFT_MS: _milliseconds(exchange.first_byte - exchange.started)
        if stream and exchange.first_byte
        else None,
        MetaKey.STREAM: stream,
        MetaKey.STATUS: outcome.status,
        MetaKey.RETRIES: exchange.attempts - 1,
        MetaKey.HTTP_STATUS: exchange.status_code,
        MetaKey.ERROR_TYPE: error_type if outcome.status in {"error", "cancelled"} else None,
        MetaKey.REQUEST_ID: _header(exchange, "x-request-id"),
        MetaKey.BASE_URL: base_url(str(exchange.url)),
    }


def base_url(url: str) -> str:
    """Return the model API's base URL from that of a request: no credentials, no query, no route."""
    parts = urlsplit(url)
    path = parts.path.rpartition("/chat/completions")[0].partition("/deployments/")[0]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _header(exchange: Exchange, name: str) -> str | None:
    value = exchange.headers.get(name) if exchange.headers is not None else None
    return str(value) if value is not None else None
