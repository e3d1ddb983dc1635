"""Stats: what users see of the events so far, and of the state of delivery."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Stats:
    """What happened to the events of a client so far, and the state of its delivery."""

    captured: int = 0
    """Calls that were captured."""
    queued_events: int = 0
    """Events in memory: waiting, in flight, or to be sent again."""
    queued_bytes: int = 0
    in_flight: int = 0
    """Requests under way now."""
    delivered: int = 0
    retried: int = 0
    """Requests that failed and were, or will be, repeated."""
    rejected: int = 0
    """Events that the endpoint rejected for good."""
    filtered: int = 0
    """Events that before_send or the settings keep from being sent."""
    pending: int = 0
    """Responses made in the background that are not at their end, as far as this process has looked."""
    held: int = 0
    """Events that wait until somebody corrects the key or the URL."""
    spooled: int = 0
    """Events kept on disk."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Events that were dropped, by reason: ``full``, ``exit``, ``closed``, ``before_send``, ``redact``, ``failed``."""
    uncaptured: Mapping[str, int] = field(default_factory=dict)
    """Calls to models that were seen and not captured, by route: ``completions``, ``responses/compact``, ..."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """How often a step of ours failed, by its name."""
    last_error: str | None = None
    last_delivery: str | None = None
    """When an event was last delivered: RFC 3339, UTC."""
    worker_alive: bool = False
    lost_hooks: tuple[str, ...] = ()
    """Hooks that another library has removed, or that this openai lacks: calls are captured in part."""
    state: str = "idle"
    """idle, running, retrying: why, held: why, stopped, or off: why."""

    def __str__(self) -> str:
        parts = [
            f"ainsights is {self.state}: {self.captured} captured, {self.delivered} delivered",
            f"{self.queued_events} queued ({self.queued_bytes / 1000:,.0f} kB)",
        ]
        others = {"in flight": self.in_flight, "retried": self.retried, "rejected": self.rejected}
        others |= {"filtered": self.filtered, "pending": self.pending, "held": self.held, "spooled": self.spooled}
        parts += [f"{count} {name}" for name, count in others.items() if count]
        parts += [f"{count} dropped ({reason})" for reason, count in self.dropped.items()]
        parts += [f"{count} not captured ({route})" for route, count in self.uncaptured.items()]
        parts += [f"hooks lost: {', '.join(self.lost_hooks)}"] if self.lost_hooks else []
        parts += [f"{count} failed ({step})" for step, count in self.failures.items()]
        unmentioned = self.last_error is not None and self.last_error not in self.state
        return ", ".join(parts) + (f"; last error: {self.last_error}" if unmentioned else "")
