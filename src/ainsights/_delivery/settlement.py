"""Settlement: the one place where events end. It counts them, reports to their receipts and updates their store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ainsights._delivery.retry import Answer, Disposition
from ainsights._logging import log_rate_limited

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ainsights._delivery.counters import Counters
    from ainsights._delivery.envelope import Envelope
    from ainsights._delivery.retry import Decision
    from ainsights._delivery.store import Store

OUT_OF_TIME = "time ran out before the event was delivered"


class Settlement:
    """Knows the events that are held, and settles each of them once: whoever is first.

    Adding to the set, and removing from it, are atomic, so that events are accepted and refused without a lock.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._held: set[Envelope] = set()
        self.last_error: str | None = None
        self.last_delivery: float | None = None

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, envelope: Envelope) -> bool:
        return envelope in self._held

    @property
    def size(self) -> int:
        """The bytes of the events that are held."""
        return self._counters.current("bytes")

    def held_by(self, store: Store) -> list[Envelope]:
        """Return the events that are held and are in ``store``."""
        return [each for each in tuple(self._held) if each.store is store]

    # The beginning

    def accept(self, envelope: Envelope, max_events: int, max_bytes: int) -> bool:
        """Hold a captured event, if the bounds allow it."""
        if len(self._held) >= max_events or self.size + envelope.size > max_bytes:
            return False
        self._counters.add_captured(envelope.size)
        self._held.add(envelope)
        return True

    def refuse(self, envelope: Envelope, reason: str, why: str) -> None:
        """Count a captured event that was not accepted."""
        self._counters.add(**{"captured": 1, f"dropped_{reason}": 1})
        if envelope.receipt is not None:
            envelope.receipt.on_dropped(f"the event was dropped: {why}")

    def accept_stored(self, envelopes: Iterable[Envelope]) -> None:
        """Hold events that were claimed from a store; another process may have captured them."""
        for envelope in envelopes:
            self._held.add(envelope)
            self._counters.add(bytes=envelope.size)

    def resize(self, envelope: Envelope, size: int) -> None:
        """Note that an event takes ``size`` bytes now."""
        added, envelope.size = size - envelope.size, size
        self._counters.add(bytes=added)

    # The end without a request

    def filter(self, envelope: Envelope) -> None:
        """Settle an event that before_send or the settings keep from being sent."""
        if self._release(envelope, "filtered") and envelope.receipt is not None:
            envelope.receipt.on_dropped("the event was filtered")

    def withdraw(self, envelope: Envelope) -> None:
        """Let go of what is part of another event, as if it had not been captured."""
        if self._release(envelope):
            self._counters.add(captured=-1)

    def drop(self, envelope: Envelope, reason: str) -> None:
        """Settle an event that must not be sent. ``reason`` is one word, by which it is counted."""
        if self._release(envelope, f"dropped_{reason}") and envelope.receipt is not None:
            envelope.receipt.on_dropped(f"the event was dropped: {reason}")

    def leave(self, envelopes: Iterable[Envelope], why: str) -> None:
        """Settle events that this process will not deliver: those in a store stay there, the others are lost."""
        for envelope in envelopes:
            lost = () if envelope.row is not None else ("dropped_exit",)
            if self._release(envelope, *lost) and envelope.receipt is not None:
                envelope.receipt.on_left(why)

    def close(self) -> None:
        """Leave all events that are held."""
        self.leave(tuple(self._held), OUT_OF_TIME)

    # The outcome of a request

    def settle(self, envelope: Envelope, decision: Decision, outcome: Answer | Exception) -> None:
        """Record the outcome of a request; the event is settled if it was delivered or rejected for good."""
        if decision.disposition is Disposition.DELIVERED:
            self._deliver(envelope, outcome)
        else:
            self.last_error = decision.reason
            _log(decision)
            if decision.disposition is Disposition.REJECTED:
                self._reject(envelope, decision, outcome)
            elif decision.disposition is Disposition.RETRY:
                self._counters.add(retried=1)
            elif envelope.receipt is not None and isinstance(outcome, Answer):
                envelope.receipt.on_answer(outcome)

    def _deliver(self, envelope: Envelope, outcome: Answer | Exception) -> None:
        self.last_delivery = time.time()
        if envelope.store is not None:
            envelope.store.acknowledge(envelope)
        if self._release(envelope, "delivered") and envelope.receipt is not None and isinstance(outcome, Answer):
            envelope.receipt.on_answer(outcome)

    def _reject(self, envelope: Envelope, decision: Decision, outcome: Answer | Exception) -> None:
        if envelope.store is not None:
            envelope.store.reject(envelope, decision.reason)
        if self._release(envelope, "rejected") and envelope.receipt is not None and isinstance(outcome, Answer):
            envelope.receipt.on_answer(outcome)

    def _release(self, envelope: Envelope, *counters: str) -> bool:
        """Let go of an event and count it. False if it was settled before."""
        try:
            self._held.remove(envelope)
        except KeyError:
            return False
        self._counters.add(bytes=-envelope.size, **dict.fromkeys(counters, 1))
        return True


_RETRYING = "an event did not reach the Insights endpoint and is sent again: %s. If this goes on, %s"


def _log(decision: Decision) -> None:
    if decision.disposition is Disposition.REJECTED:
        log_rate_limited("error", "rejected", "the Insights endpoint rejected an event: %s", decision.reason)
    elif decision.disposition is Disposition.HELD:
        log_rate_limited(
            "error", "held", "the Insights endpoint rejects all requests; delivery is paused: %s", decision.reason
        )
    else:
        log_rate_limited("warning", "retrying", _RETRYING, decision.reason, decision.remedy)
