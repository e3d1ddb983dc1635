"""What may leave the process: content level, redaction, media, ``before_send``, size. Pure but for what users pass.

Applied to each event on the background thread, in this order:

1. :mod:`.credentials`: no credentials, whatever the settings are.
2. :mod:`.content`: at the level ``metadata`` no text of the conversation.
3. :mod:`.media`: large media in base64 become their type, length and SHA-256.
4. :mod:`.redaction`: patterns and functions are applied to every string.
5. ``before_send`` gets a copy of the event, and returns it, another one, or None so that nothing is sent.
6. :mod:`.truncation`: an event beyond ``max_event_bytes`` is cut where it is longest.

An event for which a step of the user's fails is dropped and counted, and never sent as it was.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from ainsights._json import cut_depth
from ainsights._logging import is_user_interrupt
from ainsights._model import Insight
from ainsights._privacy.content import to_metadata_only
from ainsights._privacy.credentials import SecretMask, strip_credentials
from ainsights._privacy.dropped import EventDropped, place_of
from ainsights._privacy.media import LIMIT, elide, with_truncated
from ainsights._privacy.truncation import truncate

if TYPE_CHECKING:
    from collections.abc import Callable

    from ainsights._config import Settings

_Result = TypeVar("_Result")

__all__ = ["EventDropped", "PrivacyPolicy"]


class PrivacyPolicy:
    """What the settings let leave."""

    def __init__(self, settings: Settings) -> None:
        self._content = settings.content
        self._redact = _redaction(settings)
        self._before_send = settings.before_send
        self._mask = SecretMask(settings.api_key.get_secret_value() if settings.api_key else None)
        self._max_bytes = settings.max_event_bytes

    def __call__(self, insight: Insight, content: str | None) -> bytes | None:
        """Return what is sent of ``insight``, or None if nothing is to be.

        Args:
            insight: it is not changed.
            content: the level of this call; that of the settings if None.

        Raises:
            EventDropped: what was to make it fit to be sent failed.
        """
        level = content or self._content
        if level == "none":
            return None
        insight = _at_any_depth(partial(self._redacted, level), insight)
        if self._before_send is not None:
            seen = _apply_before_send(self._before_send, _at_any_depth(_copy, insight))
            if seen is None:
                return None
            insight = seen
        return _at_any_depth(self._encoded, insight)

    def _redacted(self, level: str, insight: Insight) -> Insight:
        insight = strip_credentials(insight)
        if level == "metadata":
            insight = to_metadata_only(insight)
        return insight if self._redact is None else self._redact(elide(insight))

    def _encoded(self, insight: Insight) -> bytes:
        body = insight.encode()
        if len(body) > LIMIT and (smaller := elide(insight)) is not insight:
            body = smaller.encode()
        body = self._mask(body)
        return body if len(body) <= self._max_bytes else truncate(body, self._max_bytes)


def _redaction(settings: Settings) -> Callable[[Insight], Insight] | None:
    if not settings.redact:
        return None
    from ainsights._privacy.redaction import Redaction  # noqa: PLC0415  compiling the patterns takes milliseconds

    return Redaction(settings.redact)


def _at_any_depth(step: Callable[[Insight], _Result], insight: Insight) -> _Result:
    """Return what ``step`` makes of ``insight``, or of one that is cut where it is nested too deeply to be walked."""
    try:
        return step(insight)
    except RecursionError:
        fields, cut = cut_depth(insight.__dict__)
        return step(Insight.model_construct(**fields | {"meta": with_truncated(fields["meta"], cut)}))


def _copy(insight: Insight) -> Insight:
    """Return a copy that may be changed, without large media: parts of the original are the user's own objects."""
    insight = elide(insight)
    return Insight.model_construct(**{key: _copied(value) for key, value in insight.__dict__.items()})


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _apply_before_send(before_send: Callable[[Insight], Any], insight: Insight) -> Insight | None:
    try:
        seen = before_send(insight)
    except BaseException as error:  # whatever a user's function raises, SystemExit included
        if is_user_interrupt(error):
            raise
        raise EventDropped("before_send", f"before_send raised {place_of(error)}") from None
    if seen is None:
        return None
    if not isinstance(seen, Insight):
        raise EventDropped("before_send", f"before_send returned {type(seen).__name__} instead of an Insight or None")
    try:
        return Insight.model_validate(seen.__dict__)
    except ValidationError as error:
        wrong = ", ".join(
            sorted({str(problem["loc"][0]) if problem["loc"] else "messages" for problem in error.errors()})
        )
        raise EventDropped("before_send", f"before_send returned an Insight with wrong {wrong}") from None
