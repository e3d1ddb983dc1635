"""The body of ``PUT /insight``: whether it is an insight, and under which id it is stored. Pure.

Validation runs in C: one parse, and type checks on what came out of it. Only a body that is refused takes longer, and
never longer than its own parse.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NoReturn

from pydantic_core import from_json

from ainsights._model import MetaKey, new_event_id

OBJECTS = ("response", "inputs", "args", "meta")
MESSAGES = ("messages", "template")
FIELDS = frozenset((*OBJECTS, *MESSAGES, "user_id"))

LONGEST_EVENT_ID = 256
"""Characters. A longer one is stored by its hash: it is the key of an index."""

LONGEST_QUOTE = 100
"""Characters of a client's text that an answer repeats."""


class NotJSONError(ValueError):
    """The body is not JSON."""


class InvalidInsightError(ValueError):
    """The body is JSON, but not an insight.

    Attributes:
        field: where it is wrong; empty for the body itself.
        reason: why.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field or 'the body'}: {reason}")
        self.field = field
        self.reason = reason


def event_id_of(body: bytes, received_at: float) -> str:
    """Return the event id of the insight that ``body`` holds; a new one where it has none.

    Raises:
        NotJSONError: ``body`` is not JSON in UTF-8.
        InvalidInsightError: it is JSON, but not an insight.
    """
    try:
        insight = from_json(body, allow_inf_nan=False)
    except ValueError:
        insight = _parse_leniently(body)
    _check_keys(insight)
    _check_values(insight)
    meta = insight.get("meta")
    event_id = meta.get(MetaKey.EVENT_ID) if meta else None
    if not isinstance(event_id, str) or not event_id:
        return new_event_id(received_at)
    if len(event_id) > LONGEST_EVENT_ID:
        return f"sha256:{hashlib.sha256(event_id.encode()).hexdigest()}"
    return event_id


def _check_keys(insight: Any) -> None:
    if type(insight) is not dict:
        raise InvalidInsightError("", "must be an object")
    if not FIELDS.issuperset(insight):
        unknown = next(key for key in insight if key not in FIELDS)
        raise InvalidInsightError(_quoted(unknown), f"unknown key; an insight has {', '.join(sorted(FIELDS))}")
    if "response" not in insight:
        raise InvalidInsightError("response", "is missing")


def _check_values(insight: dict[str, Any]) -> None:
    for field in OBJECTS:
        if field in insight and type(insight[field]) is not dict:
            raise InvalidInsightError(field, "must be an object")
    for field in MESSAGES:
        if insight.get(field) is not None:
            _check_messages(field, insight[field])
    if insight.get("user_id") is not None and type(insight["user_id"]) is not str:
        raise InvalidInsightError("user_id", "must be a string or null")
    if insight.get("messages") is None and (insight.get("template") is None or "inputs" not in insight):
        raise InvalidInsightError("messages", "may be null only when template and inputs are given")


def _check_messages(field: str, value: Any) -> None:
    if type(value) is str:
        return
    if type(value) is not list:
        raise InvalidInsightError(field, "must be a string, a list of strings, or a list of objects")
    if len(set(map(type, value))) > 1 or (value and type(value[0]) not in {str, dict}):
        raise InvalidInsightError(field, "a list takes strings only, or objects only")


def _quoted(text: str) -> str:
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"


def _parse_leniently(body: bytes) -> Any:
    """Parse what only the standard library reads: lone surrogates, which become ``?``, and deep nesting."""
    try:
        value = json.loads(body.decode(), parse_constant=_refuse)
        return json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    except RecursionError:
        raise NotJSONError("the JSON is nested too deeply") from None
    except ValueError as error:
        raise NotJSONError(f"the body is not JSON: {error}") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")
