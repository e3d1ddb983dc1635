"""When a call began: by its meta, else by the time in a UUIDv7, else its receipt. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from ainsights._model import MetaKey

MICROSECOND = 1_000_000
_LATEST = 253_402_300_799 * MICROSECOND
"""The end of the year 9999."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_INSTANT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)
_UUID7 = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)


def receipt_time(received_at: float) -> int:
    """Return the time of receipt in microseconds since the epoch."""
    return min(max(0, round(received_at * MICROSECOND)), _LATEST)


def own_time(meta: dict[str, Any], event_id: str) -> int | None:
    """Return when the call began, in microseconds since the epoch, by the event itself; None if it has no time."""
    found = _from_timestamp(meta.get(MetaKey.TIMESTAMP))
    if found is None:
        found = _from_uuid7(event_id)
    return found if found is not None and 0 <= found <= _LATEST else None


def _from_timestamp(value: Any) -> int | None:
    if not isinstance(value, str):
        return None
    try:
        since_epoch = _INSTANT.validate_python(value) - _EPOCH
    except (ValidationError, OverflowError):
        return None
    return (since_epoch.days * 86_400 + since_epoch.seconds) * MICROSECOND + since_epoch.microseconds


def _from_uuid7(event_id: str) -> int | None:
    match = _UUID7.fullmatch(event_id)
    return int(match[1] + match[2], 16) * 1000 if match else None
