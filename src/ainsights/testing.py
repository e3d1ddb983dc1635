"""For the tests of programs that use openai: what is captured, at once and without a network.

::

    def test_summary_is_made_once():
        with ainsights.testing.capture() as insights:
            summarise("...")
        assert [insight.messages[0]["role"] for insight in insights] == ["system"]

pytest users get the same as the fixture ``insights``, which comes with the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ainsights._config import load
from ainsights._context.scope import current
from ainsights._instrumentation.exchange import Exchange
from ainsights._instrumentation.open_streams import OpenStreams
from ainsights._instrumentation.routing import router
from ainsights._internal_errors import capture_internal_errors
from ainsights._model import Insight
from ainsights._processing.attributes import sdk
from ainsights._processing.pending import PendingResponses
from ainsights._processing.processor import Processor

if TYPE_CHECKING:
    from typing_extensions import Self

    from ainsights._config import Settings
    from ainsights._instrumentation.routes import Route
    from ainsights._processing.manual import Record

MOST_BYTES = 32 * 2**20
"""Bytes of one stream that are kept; of a longer one, its beginning and its end."""

_capturing = capture_internal_errors("capturing for a test")


class Captured(list[Insight]):
    """The insights of the calls so far, in the order in which the calls ended. Made by :func:`capture`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._apis = settings.capture
        self._open_streams = OpenStreams(2 * MOST_BYTES)
        self._pending = PendingResponses(self._take, self._open_streams, MOST_BYTES)
        self._processor = Processor(settings, sdk(), self._pending)
        self._before = router.override
        router.set_override(self)

    def stop(self) -> None:
        """Capture no more; what was captured stays. Twice is harmless.

        Responses in the background that are not at their end are reported with what is known of them.
        """
        self._pending.close()
        if router.override is self:
            router.set_override(self._before)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def begin(self, _client: Any, route: Route, *, in_background: bool = False) -> Exchange | None:
        """See :class:`ainsights._instrumentation.patch.CallRecorder`."""
        context = current.get()
        is_muted = context is not None and not context.captured
        if route.api not in self._apis or (is_muted and not in_background):
            return None
        exchange = Exchange(self._take, context, self._open_streams, route)
        exchange.is_muted = is_muted
        return exchange

    def submit(self, record: Record) -> None:
        """See :class:`ainsights._instrumentation.routing.Recorder`."""
        if record.context.captured:
            self._take(record)

    def _take(self, item: Exchange | Record) -> None:
        with _capturing:
            body = self._processor.encode(item)
            if body is not None:
                self.append(Insight.model_validate_json(body))


def capture(**settings: Any) -> Captured:
    """Capture every call of a model by this process from now on into the list that is returned, and send nothing.

    It begins at once; :meth:`Captured.stop`, or the end of a ``with`` block, ends it. Meanwhile nothing reaches an
    endpoint, also if the program calls ``instrument()`` or ``capture()`` itself.

    Args:
        settings: those of ``instrument()``, to see what they do to an event (``redact``, ``content``, ``before_send``,
            ``user_id``, ``meta``, ...). The environment is not read.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    return Captured(load({}, **settings))
