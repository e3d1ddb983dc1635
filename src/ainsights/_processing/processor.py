"""Processor: makes of a captured exchange, or of a record, the body to send. On the background threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ainsights._instrumentation.exchange import Exchange
from ainsights._model import MetaKey, new_event_id
from ainsights._privacy.dropped import EventDropped
from ainsights._privacy.policy import PrivacyPolicy
from ainsights._processing.attributes import Defaults
from ainsights._processing.decoder import decode
from ainsights._processing.manual import build_insight

if TYPE_CHECKING:
    from ainsights._config import Settings
    from ainsights._model import Insight
    from ainsights._processing.manual import Record
    from ainsights._processing.pending import PendingResponses


class Processed(NamedTuple):
    """What processing made of a captured item."""

    body: bytes | None = None
    """What is sent; None: nothing is to be."""
    drop_reason: str | None = None
    """One word, if nothing may be sent because a step of the user's failed, or the event is too large."""
    problem: str = ""
    """A sentence about that, which quotes nothing of the event."""
    is_part: bool = False
    """Whether the item is not an event of its own: part of one that comes later, or that was made before."""


class Processor:
    """Decodes items, applies the privacy settings and encodes what is left.

    Args:
        settings: of the client.
        sdk: the versions that capture.
        pending: the responses of the client that have not reached their end.
    """

    def __init__(self, settings: Settings, sdk: str, pending: PendingResponses) -> None:
        self._defaults = Defaults(sdk, settings.user_id, settings.meta)
        self._capture_errors = settings.capture_errors
        self._policy = PrivacyPolicy(settings)
        self._pending = pending

    def process(self, item: Exchange | Record) -> Processed:
        """Return the body of ``item``, or why there is none."""
        try:
            resolved = self._resolved(item)
            return Processed(is_part=True) if resolved is None else Processed(self._body(*resolved))
        except EventDropped as dropped:
            return Processed(drop_reason=dropped.reason, problem=str(dropped))

    def encode(self, item: Exchange | Record) -> bytes | None:
        """Return the body of ``item``, or None if there is none, or if the settings keep it from being sent.

        Raises:
            EventDropped: what was to make the event fit to be sent failed.
        """
        resolved = self._resolved(item)
        return None if resolved is None else self._body(*resolved)

    def _resolved(self, item: Exchange | Record) -> tuple[Exchange | Record, Insight] | None:
        if not isinstance(item, Exchange):
            return item, build_insight(item, self._defaults, new_event_id(item.made_at))
        if item.route.api == "responses":
            return self._pending.resolve(item, self._decode)
        return item, self._decode(item)

    def _decode(self, exchange: Exchange) -> Insight:
        return decode(exchange, self._defaults, new_event_id(exchange.began_at))

    def _body(self, item: Exchange | Record, insight: Insight) -> bytes | None:
        content = item.context.content if item.context else None
        if not self._capture_errors and insight.meta.get(MetaKey.STATUS) == "error":
            return None
        return self._policy(insight, content)
