"""PendingResponses: responses that are made in the background, from the call that creates them to their end.

Such a response is created by one call and looked up by others: polled, cancelled, or streamed on. All of them are one
event, made when the response reaches a terminal state, with the request of the call that created it. A response that
another process created is reported when a lookup finds it at its end, with what the lookup brings.

What is held is bounded: beyond the bounds the oldest responses are reported with what is known of them.

The module is imported with ainsights, so that it imports what decodes only when there is something to decode.
"""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ainsights._instrumentation.exchange import Exchange
    from ainsights._instrumentation.open_streams import OpenStreams
    from ainsights._model import Insight

    Decode = Callable[[Exchange], Insight]
    Resolved = tuple[Exchange, Insight]

MAX_PENDING = 10_000
MAX_REPORTED = 10_000
"""Ids of reported responses that are remembered, so that a later lookup reports none of them again; and as many of
responses of which nothing may be reported."""

_UNFINISHED = frozenset(["queued", "in_progress"])
_FIRST_ERROR_STATUS = 400


class PendingResponses:
    """The responses of one client that have not reached their end, and the ids of those that were reported.

    Args:
        requeue: takes an exchange that is to be resolved again, after those that are in the queue by now.
        open_streams: the streams of the client that are still read.
        max_bytes: bytes that all may hold together.
        is_sampled_out: decides whether a response that another process created is left out.
    """

    def __init__(
        self,
        requeue: Callable[[Exchange], object],
        open_streams: OpenStreams,
        max_bytes: int,
        is_sampled_out: Callable[[], bool] = lambda: False,
    ) -> None:
        self._requeue = requeue
        self._open_streams = open_streams
        self._max_bytes = max_bytes
        self._pending: OrderedDict[str, Exchange] = OrderedDict()
        self._bytes = 0
        self._is_sampled_out = is_sampled_out
        self._reported: OrderedDict[str, None] = OrderedDict()
        self._muted: OrderedDict[str, None] = OrderedDict()
        """Responses of which nothing may be reported."""
        self._unread_muted: deque[Exchange] = deque(maxlen=MAX_REPORTED)
        """Calls that created some of those, from which their ids are still to be read."""
        self._superseded: set[str] = set()
        """Responses that a lookup reported while the stream that created them was still open."""
        self._closing = False
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._pending)

    def after_fork(self, parent: PendingResponses) -> None:
        """Know what ``parent`` knew in the process that was forked: what was reported, and what may not be."""
        self._reported.update(parent._reported)
        self._muted.update(parent._muted)
        self._unread_muted.extend(parent._unread_muted)

    def note_muted(self, exchange: Exchange) -> None:
        """Note a call of which nothing may be reported, even if the queue drops it. Safe in a finaliser."""
        self._unread_muted.append(exchange)

    def close(self) -> None:
        """Report each response with what is known of it, those too that are still in the queue."""
        with self._lock:
            self._closing = True
            overdue = tuple(self._pending.items())
        for response_id, exchange in overdue:
            self._requeue(_overdue(exchange, response_id))

    def resolve(self, exchange: Exchange, decode: Decode) -> Resolved | None:
        """Return what is to be reported for ``exchange``: one, with its insight; None if nothing is, or not yet.

        Args:
            exchange: a call of the Responses API that has ended.
            decode: makes the insight of an exchange.
        """
        with self._lock:
            self._read_muted(decode)
            if exchange.overdue is not None:
                return self._on_overdue(exchange, exchange.overdue, decode)
            if exchange.route.looks_up:
                return self._on_lookup(exchange, decode)
            return self._on_creation(exchange, decode)

    # Calls

    def _read_muted(self, decode: Decode) -> None:
        while self._unread_muted:
            exchange = self._unread_muted[0]
            try:
                insight = decode(exchange)
                if _is_named(exchange, insight):
                    _remember(self._muted, insight.response["id"])
            finally:
                self._unread_muted.popleft()  # not before: a fork in between would lose it

    def _on_creation(self, exchange: Exchange, decode: Decode) -> Resolved | None:
        from ainsights._processing.continuation import continued  # noqa: PLC0415  see above

        insight = decode(exchange)
        response_id: Any = insight.response.get("id")
        if not _is_named(exchange, insight):
            return None if exchange.is_muted else (exchange, insight)
        if response_id in self._superseded:
            self._superseded.discard(response_id)
        elif exchange.is_muted:
            _remember(self._muted, response_id)
        elif insight.args.get("background") is True and _is_unfinished(exchange, insight):
            self._reported.pop(response_id, None)
            known = self._pending.get(response_id)
            self._hold(response_id, exchange if known is None else continued(exchange, known))
        else:
            if insight.response.get("background") is not False:  # no other one is looked up in order to get its end
                _remember(self._reported, response_id)
            return exchange, insight
        return None

    def _on_lookup(self, exchange: Exchange, decode: Decode) -> Resolved | None:
        from ainsights._processing.continuation import continued, is_stream, looked_up  # noqa: PLC0415  see above

        response_id = looked_up(exchange)
        if self._is_settled(response_id) or (exchange.status_code or _FIRST_ERROR_STATUS) >= _FIRST_ERROR_STATUS:
            return None
        insight, streamed = decode(exchange), is_stream(exchange)
        if insight.response.get("status").__class__ is not str and not (streamed and insight.response.get("outline")):
            return None
        if not _is_unfinished(exchange, insight):
            return self._on_end(exchange, response_id, insight, decode)
        creation = self._pending.get(response_id)
        if creation is not None and (streamed or not is_stream(creation)):
            self._hold(response_id, continued(creation, exchange))
        elif creation is None and streamed:
            self._hold(response_id, exchange)
        return None

    def _on_end(self, exchange: Exchange, response_id: str, insight: Insight, decode: Decode) -> Resolved | None:
        from ainsights._processing.continuation import continued, created_by, is_stream  # noqa: PLC0415  see above

        creation = self._release(response_id)
        if creation is None:
            if not is_stream(exchange) and insight.response.get("background") is not True:
                return None  # it is looked up again, and had its end when it was created
            creation = created_by(self._open_streams.exchanges(), response_id)
            if creation is None:
                return (exchange, insight) if self._is_ours(exchange, response_id) else None
            self._superseded.add(response_id)
        _remember(self._reported, response_id)
        whole = continued(creation, exchange)
        return None if creation.is_muted else (whole, decode(whole))

    def _on_overdue(self, exchange: Exchange, response_id: str, decode: Decode) -> Resolved | None:
        if self._closing:
            exchange = self._release(response_id) or exchange  # lookups may have brought more since
        if self._is_settled(response_id) or not self._is_ours(exchange, response_id):
            return None
        return exchange, decode(exchange)

    def _is_settled(self, response_id: str) -> bool:
        """Return whether nothing more of a response is to be reported."""
        known = self._muted if response_id in self._muted else self._reported
        if response_id not in known:
            return False
        known.move_to_end(response_id)  # what is looked up is not forgotten
        return True

    def _is_ours(self, exchange: Exchange, response_id: str) -> bool:
        """Return whether a response is to be reported, and remember it; what another process created is sampled."""
        is_ours = not exchange.route.looks_up or not self._is_sampled_out()
        _remember(self._reported if is_ours else self._muted, response_id)
        return is_ours

    # What is held

    def _hold(self, response_id: str, exchange: Exchange) -> None:
        self._release(response_id)
        self._pending[response_id] = exchange
        self._bytes += exchange.size
        if self._closing:
            self._requeue(_overdue(exchange, response_id))
        while len(self._pending) > MAX_PENDING or self._bytes > self._max_bytes:
            oldest = next(iter(self._pending))
            self._requeue(_overdue(self._pending[oldest], oldest))
            self._release(oldest)

    def _release(self, response_id: str) -> Exchange | None:
        exchange = self._pending.pop(response_id, None)
        if exchange is not None:
            self._bytes -= exchange.size
        return exchange


def _remember(known: OrderedDict[str, None], response_id: str) -> None:
    known[response_id] = None
    while len(known) > MAX_REPORTED:
        known.popitem(last=False)


def _is_named(exchange: Exchange, insight: Insight) -> bool:
    """Return whether the model API gave the response its id: where it gave none, that of the request stands for it."""
    from ainsights._processing.outcome import header  # noqa: PLC0415  see above

    response_id = insight.response.get("id")
    if insight.response.get("status") is None and response_id == header(exchange, "x-request-id"):
        return False
    return response_id.__class__ is str and response_id != ""


def _is_unfinished(exchange: Exchange, insight: Insight) -> bool:
    """Return whether the response goes on, though this call has ended; an event of an error ends it."""
    status, error = insight.response.get("status"), insight.response.get("error")
    if error and exchange.failure is None:
        return False
    return status is None or (status.__class__ is str and status in _UNFINISHED)


def _overdue(exchange: Exchange, response_id: str) -> Exchange:
    """Return an exchange that is to be reported with what it has."""
    marked = copy.copy(exchange)
    marked.overdue = response_id
    return marked
