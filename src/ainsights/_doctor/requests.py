"""Requests to the endpoint: an empty one, which it does not store, or a test insight, if asked for."""

from __future__ import annotations

import http.client
import json
import time
from datetime import datetime, timezone
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ainsights._config import PREFIX
from ainsights._delivery.http_sender import senders
from ainsights._delivery.retry import Answer, Disposition, classify
from ainsights._doctor import remedies
from ainsights._doctor.deadline import run_with_deadline
from ainsights._doctor.finding import Finding, ok, problem, warning
from ainsights._model import Insight, MetaKey, new_event_id
from ainsights._processing.attributes import sdk

if TYPE_CHECKING:
    from ainsights._config import Settings

GRACE = 1.0
"""Seconds beyond its own deadline that a request gets."""

TEST = "This is a test insight of `ainsights doctor --send`, and no conversation of anybody's."

_KEY_REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


# An empty request


def check_access(settings: Settings) -> Finding:
    """Return whether the endpoint accepts the key, by a request that it refuses for its empty body."""
    outcome, ms = _timed(settings, b"", with_key=True)
    status = outcome.status if isinstance(outcome, Answer) else None
    details: dict[str, Any] = {"status": status, "ms": ms, "key_accepted": None}
    decision = classify(outcome, datetime.now(timezone.utc))
    remedy = remedies.for_outcome(outcome, decision.disposition, settings)
    if decision.disposition is Disposition.DELIVERED:
        message = f"{status} for an empty request, which an Insights endpoint refuses; the key was not checked"
        return warning("access", message, f"check {PREFIX}BASE_URL, then: {remedies.SEND}", **details)
    if isinstance(outcome, Answer) and decision.disposition is Disposition.RETRY:
        return warning("access", f"the key was not checked: {decision.reason}", remedies.SEND, **details)
    if decision.disposition is not Disposition.REJECTED or status == HTTPStatus.METHOD_NOT_ALLOWED:
        if status in _KEY_REFUSED:
            details["key_accepted"] = False
        return problem("access", f"the endpoint refuses our requests: {decision.reason}", remedy, **details)
    return _compared(settings, details)


def _compared(settings: Settings, details: dict[str, Any]) -> Finding:
    """Return whether the key was checked before the empty body was refused."""
    unchecked = "whether it accepts an insight is checked with --send alone"
    if settings.api_key is None:
        return ok("access", f"the endpoint takes requests without a key; {unchecked}", **details)
    without_key, _ = _timed(settings, b"", with_key=False)
    if isinstance(without_key, Answer) and without_key.status in _KEY_REFUSED:
        return ok("access", f"the endpoint accepts the key; {unchecked}", **details | {"key_accepted": True})
    message = f"the key was not checked: the endpoint answers {details['status']} to an empty request without it too"
    return warning("access", message, remedies.SEND, **details)


# A test insight


def send_test_insight(settings: Settings) -> Finding:
    """Return whether the endpoint accepts an insight, which it stores."""
    event_id = new_event_id(time.time())
    outcome, ms = _timed(settings, _test_insight(event_id, time.time()).encode(), with_key=True)
    decision = classify(outcome, datetime.now(timezone.utc))
    details = {
        "event_id": event_id,
        "disposition": decision.disposition.value,
        "status": outcome.status if isinstance(outcome, Answer) else None,
        "ms": ms,
    }
    if decision.disposition is not Disposition.DELIVERED or isinstance(outcome, Exception):
        message = f"the test insight was not accepted: {decision.reason}"
        return problem("send", message, remedies.for_outcome(outcome, decision.disposition, settings), **details)
    if not _is_success(outcome.body):
        message = f"{outcome.status}, but not the answer of an Insights endpoint: {outcome.body[:200]!r}"
        return warning("send", message, f"check {PREFIX}BASE_URL: is that an Insights endpoint?", **details)
    return ok("send", f"the test insight {event_id} was accepted: {outcome.status} in {ms} ms", **details)


def _is_success(body: str) -> bool:
    try:
        answer = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and answer.get("success") is True


def _test_insight(event_id: str, at: float) -> Insight:
    completion = {
        "id": f"chatcmpl-{event_id}",
        "object": "chat.completion",
        "created": int(at),
        "model": "ainsights-doctor",
        "choices": [
            {"index": 0, "finish_reason": "stop", "logprobs": None, "message": {"role": "assistant", "content": TEST}}
        ],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }
    meta = {
        MetaKey.EVENT_ID: event_id,
        MetaKey.TIMESTAMP: datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds"),
        MetaKey.STREAM: False,
        MetaKey.STATUS: "ok",
        MetaKey.SDK: sdk(),
        MetaKey.TEST: True,
    }
    messages = [{"role": "user", "content": "Does an insight arrive?"}]
    return Insight(response=completion, messages=messages, args={"model": "ainsights-doctor"}, meta=meta)


# Both


def _timed(settings: Settings, body: bytes, *, with_key: bool) -> tuple[Answer | Exception, float]:
    """Return the outcome of one request, and its milliseconds."""
    began = time.monotonic()
    outcome: Answer | Exception
    try:
        put = partial(_put, settings, body, with_key=with_key)
        outcome = run_with_deadline(settings.timeout + GRACE, put)
    except (OSError, ValueError, http.client.HTTPException) as error:
        outcome = error
    return outcome, round((time.monotonic() - began) * 1000, 1)


def _put(settings: Settings, body: bytes, *, with_key: bool) -> Answer:
    key = settings.api_key.get_secret_value() if settings.api_key and with_key else None
    sender = senders(settings.base_url, key, settings.timeout, settings.path)()
    try:
        return sender.send(body)
    finally:
        sender.close()
