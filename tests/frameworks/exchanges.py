"""What the mock model API saw, and the events that must result."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from support.inverse import response_of

from ainsights._processing.responses.request import to_messages
from ainsights.mock_openai import completion, parse_directives
from ainsights.mock_openai.responses.body import response_body
from ainsights.mock_openai.script import directives_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ainsights.mock_openai import RecordedRequest

FORM = re.compile(r"form ([a-z_]+):")


class Exchange(NamedTuple):
    """One HTTP exchange that went well, as an event must describe it."""

    form: str
    messages: list[Any]
    args: dict[str, Any]
    response: dict[str, Any]


def successful(requests: Iterable[RecordedRequest]) -> list[Exchange]:
    """Return the exchanges among ``requests`` that were answered with a completion or a response."""
    seen: Counter[bytes] = Counter()
    exchanges = []
    for received in requests:
        if not received.path.endswith(("/chat/completions", "/responses")):
            continue
        seen[received.body] += 1
        request = json.loads(received.body)
        script = parse_directives(directives_of(request["model"])).for_attempt(seen[received.body])
        if script.status is None:
            key = hashlib.blake2b(received.body, digest_size=12).hexdigest()
            is_response = received.path.endswith("/responses")
            exchanges.append(
                _response_exchange(request, response_body(script, request, (), key))
                if is_response
                else _exchange(request, completion(script, request, key))
            )
    return exchanges


def _response_exchange(request: dict[str, Any], response: dict[str, Any]) -> Exchange:
    args = {name: value for name, value in request.items() if name not in ("instructions", "input")}
    messages = to_messages(request.get("instructions"), request["input"])
    return Exchange(form_of(request), messages, args, json.loads(json.dumps(response)))


def _exchange(request: dict[str, Any], answer: dict[str, Any]) -> Exchange:
    args = {name: value for name, value in request.items() if name != "messages"}
    if args.get("stream") and not (args.get("stream_options") or {}).get("include_usage"):
        del answer["usage"]
    return Exchange(form_of(request["messages"]), request["messages"], args, answer)


def recorded(events: Iterable[dict[str, Any]]) -> list[Exchange]:
    """Return the exchanges that ``events`` record of calls that succeeded."""
    return [
        Exchange(form_of(event["messages"]), event["messages"], event["args"], _answered(event))
        for event in events
        if event["meta"]["ainsights.status"] == "ok"
    ]


def _answered(event: dict[str, Any]) -> dict[str, Any]:
    """Return what the model API answered: of a response, what the event was made of."""
    answered: dict[str, Any] = event["response"]
    return response_of(answered) if event["meta"]["ainsights.api"] == "responses" else answered


def form_of(sent: Any) -> str:
    """Return the form of call that a request, or its messages, were sent by; its name stands in them."""
    found = FORM.search(json.dumps(sent))
    return found[1] if found else "unknown"


def of(form: str, exchanges: Iterable[Exchange]) -> list[Exchange]:
    """Return those of one form of call, in an order that does not depend on when they ended."""
    return sorted((each for each in exchanges if each.form == form), key=lambda each: json.dumps(each, sort_keys=True))
