"""A stored body -> what the listing shows of it. Pure."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, TypeAdapter, ValidationError
from pydantic_core import from_json

from ainsights._model import MetaKey

if TYPE_CHECKING:
    from ainsights.server.store import StoredBody

_LARGEST_INTEGER = 2**63 - 1
"""Of SQLite."""


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")


class Row(NamedTuple):
    """The columns that people ask by, and the whole body."""

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
    body: bytes


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(timezone.utc)
    except OverflowError as error:
        raise ValueError("the year is out of range") from error


def _check_form(value: Any) -> Any:
    if isinstance(value, str) and not _RFC_3339.match(value):
        raise ValueError("give a date, a time and a zone, as in 2025-01-31T23:59:59Z")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_check_form), AfterValidator(_in_utc)]
"""An RFC 3339 date and time with its time zone, read into UTC."""

_INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)


def timestamp(at: datetime) -> str:
    """Return ``at``, which is in UTC, as text of fixed width: it sorts as the instants do."""
    return at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def row_of(stored: StoredBody) -> Row:
    """Return the row of ``stored``. A column that the body does not have, or has in another type, is None."""
    insight = _parse(stored.body)
    received = timestamp(datetime.fromtimestamp(stored.received_at, timezone.utc))
    response, meta, args = (insight.get(key) or {} for key in ("response", "meta", "args"))
    usage = response.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Row(
        event_id=stored.event_id,
        received_at=received,
        time=_instant(meta.get(MetaKey.TIMESTAMP)) or received,
        model=_text(response.get("model")) or _text(args.get("model")),
        user_id=_text(insight.get("user_id")),
        status=_text(meta.get(MetaKey.STATUS)),
        latency_ms=_number(meta.get(MetaKey.LATENCY_MS)),
        prompt_tokens=_whole_number(usage.get("prompt_tokens")),
        completion_tokens=_whole_number(usage.get("completion_tokens")),
        total_tokens=_whole_number(usage.get("total_tokens")),
        body=stored.body,
    )


def _parse(body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError:  # lone surrogates and deep nesting
        return json.loads(json.dumps(json.loads(body), ensure_ascii=False).encode(errors="replace"))


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
