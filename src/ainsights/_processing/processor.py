"""Encoding: a captured exchange, or what was handed over, becomes the body to send. On the background thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights._instrumentation.exchange import Exchange
from ainsights._model import MetaKey, new_event_id
from ainsights._privacy.policy import PrivacyPolicy
from ainsights._processing.attributes import Defaults
from ainsights._processing.decoder import decode
from ainsights._processing.manual import build_insight

if TYPE_CHECKING:
    from ainsights._config import Settings
    from ainsights._processing.manual import Record


class Encoding:
    """What turns an item of the queue into a body, by the settings."""

    def __init__(self, settings: Settings, sdk: str) -> None:
        self._defaults = Defaults(sdk, settings.user_id, settings.meta)
        self._capture_errors = settings.capture_errors
        self._rules = PrivacyPolicy(settings)

    def __call__(self, item: Exchange | Record) -> bytes | None:
        """Return the body of ``item``, or None if the settings keep it from being sent.

        Raises:
            EventDropped: what was to make the event fit to be sent failed.
        """
        if isinstance(item, Exchange):
            insight = decode(item, self._defaults, new_event_id(item.began_at))
        else:
            insight = build_insight(item, self._defaults, new_event_id(item.made_at))
        content = item.context.content if item.context else None
        if not self._capture_errors and insight.meta.get(MetaKey.STATUS) == "error":
            return None
        return self._rules(insight, content)
