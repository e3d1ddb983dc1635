"""Exchange -> Insight: what was on the wire, in the terms of the contract. Pure; runs on the background thread."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ainsights._instrumentation.routes import WEBSOCKET, base_of
from ainsights._json import parse_json_or_none
from ainsights._model import Insight, MetaKey
from ainsights._processing.apis import APIS
from ainsights._processing.attributes import AttributeSources
from ainsights._processing.outcome import header, outcome_of

if TYPE_CHECKING:
    from ainsights._instrumentation.exchange import Exchange
    from ainsights._instrumentation.routes import Route
    from ainsights._processing.attributes import Defaults
    from ainsights._processing.outcome import Outcome


def decode(exchange: Exchange, defaults: Defaults, event_id: str) -> Insight:
    """Return the insight of ``exchange``."""
    prompt = APIS[exchange.route.api].prompt(_request(exchange.request_body))
    args = prompt.args
    outcome = outcome_of(exchange, args)
    sources = AttributeSources(exchange.context, args, prompt.formatted, defaults)
    template, inputs = sources.template()
    meta = sources.meta()
    for key, value in (_linked(exchange, outcome, args) | _measured(exchange, outcome, args)).items():
        if value is not None:
            meta.setdefault(key, value)
    meta.setdefault(MetaKey.EVENT_ID, event_id)
    meta.setdefault(MetaKey.SDK, defaults.sdk)
    return Insight.model_construct(
        response=outcome.response,
        messages=prompt.messages,
        template=template,
        inputs=inputs,
        args=args,
        user_id=sources.user_id(),
        meta=meta,
    )


def _request(body: bytes | None) -> dict[str, Any]:
    value = parse_json_or_none(body)
    if isinstance(value, dict):
        return value
    return {"messages": body.decode(errors="replace")} if body else {}


# What it belongs to


def _linked(exchange: Exchange, outcome: Outcome, args: dict[str, Any]) -> dict[str, Any]:
    """Return the API, and what the request or the answer name as that which it goes on with."""
    api = exchange.route.api
    if api != "responses":
        return {MetaKey.API: api}
    named = [fields.get("conversation") for fields in (args, outcome.response)]
    conversations = [each.get("id") if isinstance(each, dict) else each for each in named]
    previous = [fields.get("previous_response_id") for fields in (args, outcome.response)]
    return {
        MetaKey.API: api,
        MetaKey.PREVIOUS_RESPONSE_ID: next((each for each in previous if isinstance(each, str)), None),
        MetaKey.CONVERSATION_ID: next((each for each in conversations if isinstance(each, str)), None),
    }


# What was measured


def _measured(exchange: Exchange, outcome: Outcome, args: dict[str, Any]) -> dict[str, Any]:
    stream = args.get("stream") is True or exchange.route is WEBSOCKET or outcome.is_stream
    finished = exchange.finished or exchange.started
    error = outcome.error or {}
    error_type = exchange.failure.type if exchange.failure else error.get("type", error.get("code"))
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
        MetaKey.REQUEST_ID: header(exchange, "x-request-id"),
        MetaKey.PARTIAL: True if outcome.is_partial else None,
        MetaKey.TRUNCATED: {"response": outcome.full_size} if outcome.full_size else None,
        MetaKey.BASE_URL: None if exchange.url is None else base_url(str(exchange.url), exchange.route),
    }


def base_url(url: str, route: Route) -> str:
    """Return the model API's base URL from that of a request: no credentials, no query, no route."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{base_of(parts.path, route)}"


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
