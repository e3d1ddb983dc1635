"""What the parts of a client count, as one Stats."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ainsights._channel import UNCAPTURED
from ainsights._delivery.stats import Stats
from ainsights._instrumentation.patch import lost_hooks
from ainsights._internal_errors import failures

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ainsights._channel import Channel
    from ainsights._delivery.pipeline import Pipeline

DROPPED = "dropped_"
"""What the names of counters begin with that count dropped events, by their reasons."""


def collect_stats(channel: Channel, pending: int, off: str | None) -> Stats:
    """Return what happened to the events of a client so far, and how its delivery is now.

    Args:
        channel: the way of its events.
        pending: responses that are not at their end.
        off: why nothing is captured, if nothing is.
    """
    pipelines, counts = channel.pipelines, channel.counts()
    pipeline = pipelines[0] if pipelines else None
    delivered_at = max((each.last_delivery or 0.0 for each in pipelines), default=0.0)
    return Stats(
        captured=counts["captured"],
        queued_events=channel.events,
        queued_bytes=counts["bytes"],
        in_flight=sum(each.in_flight for each in pipelines),
        delivered=counts["delivered"],
        retried=counts["retried"],
        rejected=counts["rejected"],
        filtered=counts["filtered"],
        pending=pending,
        held=sum(each.held for each in pipelines),
        spooled=pipeline.spooled if pipeline else 0,
        dropped={name.removeprefix(DROPPED): n for name, n in counts.items() if name.startswith(DROPPED) and n},
        uncaptured={name.removeprefix(UNCAPTURED): n for name, n in counts.items() if name.startswith(UNCAPTURED)},
        failures=dict(failures),
        last_error=last_error(pipelines),
        last_delivery=datetime.fromtimestamp(delivered_at, timezone.utc).isoformat() if delivered_at else None,
        lost_hooks=tuple(lost_hooks()),
        worker_alive=any(each.workers for each in pipelines),
        state=f"off: {off}" if off else pipeline.state if pipeline else "idle",
    )


def last_error(pipelines: Iterable[Pipeline]) -> str | None:
    """Return why a request last failed."""
    return next((each.last_error for each in pipelines if each.last_error), None)
