"""Instants and time buckets as every dialect counts them: in microseconds since the epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server.query.model import EPOCH

if TYPE_CHECKING:
    from datetime import datetime

MICROSECONDS = 1_000_000
BUCKETS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
"""Seconds."""

TO_MONDAY = 3 * 86_400
"""The epoch was a Thursday."""


def to_microseconds(when: object) -> int:
    """Return microseconds since the epoch; ``when`` is a datetime, since the filter is resolved."""
    since_epoch = _datetime(when) - EPOCH
    return (since_epoch.days * 86_400 + since_epoch.seconds) * MICROSECONDS + since_epoch.microseconds


def _datetime(when: object) -> datetime:
    if not hasattr(when, "tzinfo"):
        raise TypeError("the filter has relative times; resolve it first")
    return when  # type: ignore[return-value]
