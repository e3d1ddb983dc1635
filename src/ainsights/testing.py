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

from ainsights import _context, _router
from ainsights._contain import contained
from ainsights._exchange import Exchange
from ainsights._insight import Insight
from ainsights._said import sdk
from ainsights._settings import load
from ainsights.delivery.encode import Encoding

if TYPE_CHECKING:
    from typing_extensions import Self

    from ainsights._by_hand import Record

_capturing = contained("capturing for a test")


class Captured(list[Insight]):
    """The insights of the calls so far, in the order in which the calls ended. Made by :func:`capture`."""

    def __init__(self, encoding: Encoding) -> None:
        super().__init__()
        self._encoding = encoding
        self._before = _router.instead
        _router.capture_instead(self)

    def stop(self) -> None:
        """Capture no more; what was captured stays. Twice is harmless."""
        if _router.instead is self:
            _router.capture_instead(self._before)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def begin(self, _client: Any) -> Exchange | None:
        """See :class:`ainsights._patch.Capturer`."""
        context = _context.current.get()
        return None if context is not None and not context.captured else Exchange(self._take, context, 0)

    def hand_over(self, record: Record) -> None:
        """See :class:`ainsights._router.Taker`."""
        if record.context.captured:
            self._take(record)

    def _take(self, item: Exchange | Record) -> None:
        with _capturing:
            body = self._encoding(item)
            if body is not None:
                self.append(Insight.model_validate_json(body))


def capture(**settings: Any) -> Captured:
    """Capture every chat completion of this process from now on into the list that is returned, and send nothing.

    It begins at once; :meth:`Captured.stop`, or the end of a ``with`` block, ends it. Meanwhile nothing reaches an
    endpoint, also if the program calls ``instrument()`` or ``capture()`` itself.

    Args:
        settings: those of ``instrument()``, to see what they do to an event (``redact``, ``content``, ``before_send``,
            ``user_id``, ``meta``, ...). The environment is not read.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    return Captured(Encoding(load({}, **settings), sdk()))
