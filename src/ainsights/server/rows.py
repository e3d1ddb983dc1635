"""The body of ``PUT /insight`` -> the row that is stored. Pure."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from typing import Annotated, Any, NamedTuple, NoReturn

from pydantic import AfterValidator, AwareDatetime, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError, from_json

from ainsights._model import Insight, MetaKey, new_event_id

_LARGEST_INTEGER = 2**63 - 1
"""Of SQLite."""


_MAX_UNKNOWN = 5


class Row(NamedTuple):
    """What is stored of one insight: the columns that people ask by, and the whole body."""

    event_id: str
    received_at: str
    time: str
    model: str | None
    user_id: str | None
    status: str | None
    latency_ms: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    body: str


class NotJSONError(ValueError):
    """The body is not JSON."""


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(timezone.utc)
    except OverflowError as error:
        raise ValueError("the year is out of range") from error


Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""An RFC 3339 date and time with its time zone, read into UTC."""

_INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)


def timestamp(at: datetime) -> str:
    """Return ``at``, which is in UTC, as text of fixed width: it sorts as the instants do."""
    return at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse(body: bytes) -> Insight:
    """Return the insight that ``body`` holds. Lone surrogates, which UTF-8 cannot carry, become ``?``.

    Raises:
        NotJSONError: ``body`` is not JSON in UTF-8.
        pydantic.ValidationError: it is JSON, but not an insight.
    """
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError:
        value = _slowly(body)
    return Insight.model_validate(_with_few_errors(value))


def row_of(insight: Insight, body: bytes, received_at: float) -> Row:
    """Return the row of ``insight``, whose ``body`` came at ``received_at``, in seconds since the epoch.

    A column that the body does not tell, or tells in another type, is None. Without an event id it gets a new one,
    without a timestamp the time of its receipt.
    """
    received = timestamp(datetime.fromtimestamp(received_at, timezone.utc))
    response, meta = insight.response, insight.meta
    usage = response.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Row(
        event_id=_text(meta.get(MetaKey.EVENT_ID)) or new_event_id(received_at),
        received_at=received,
        time=_instant(meta.get(MetaKey.TIMESTAMP)) or received,
        model=_text(response.get("model")) or _text(insight.args.get("model")),
        user_id=insight.user_id,
        status=_text(meta.get(MetaKey.STATUS)),
        latency_ms=_number(meta.get(MetaKey.LATENCY_MS)),
        prompt_tokens=_whole_number(usage.get("prompt_tokens")),
        completion_tokens=_whole_number(usage.get("completion_tokens")),
        total_tokens=_whole_number(usage.get("total_tokens")),
        body=body.decode(),
    )


def _with_few_errors(value: Any) -> Any:
    """Return ``value`` in a form that gives the same verdict, but few errors.

    pydantic tells of every wrong item: a body of some megabytes, wrong throughout, would take gigabytes for it.
    """
    if not isinstance(value, dict):
        return value
    for key in ("messages", "template"):
        items = value.get(key)
        if isinstance(items, list) and not any(all(isinstance(item, kind) for item in items) for kind in (str, dict)):
            mixed = PydanticCustomError("mixed", "a list takes strings only, or objects only")
            raise ValidationError.from_exception_data("Insight", [{"type": mixed, "loc": (key,), "input": None}])
    surplus = [key for key in value if key not in Insight.model_fields][_MAX_UNKNOWN:]
    for key in surplus:
        del value[key]
    return value


def _slowly(body: bytes) -> Any:
    """Read what only the standard library reads: lone surrogates and deep nesting."""
    try:
        value = json.loads(body.decode(), parse_constant=_refuse)
        return json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    except RecursionError:
        raise NotJSONError("the JSON is nested too deeply") from None
    except ValueError as error:
        raise NotJSONError(f"the body is not JSON: {error}") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _instant(value: Any) -> str | None:
    try:
        return timestamp(_INSTANT.validate_python(value)) if isinstance(value, str) else None
    except ValidationError:
        return None


def _number(value: Any) -> float | None:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return _whole_number(value)


def _whole_number(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST_INTEGER:
        return value
    return None
