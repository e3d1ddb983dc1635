"""The face of the vendor's own SDK over ours, for programs that move: one import changes, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ainsights._client import Insights
from ainsights._delivery.receipt import Receipt
from ainsights._processing.manual import Record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future
    from uuid import UUID

    from typing_extensions import Self

    from ainsights._context.context import PromptTemplate
    from ainsights._delivery.retry import Answer
    from ainsights._processing.manual import Completion, Messages


class AInsights:
    """A client by which each chat completion is captured by hand. Make one with :meth:`new_client`; thread-safe.

    ``ainsights.instrument()`` captures by itself: it needs no ``capture()`` after each call.
    """

    def __init__(self, *, insights: Insights) -> None:
        self._insights = insights

    @classmethod
    def new_client(cls, api_key: str | None = None, base_url: str | None = None, **settings: Any) -> Self:
        """Return a client with a pipeline of its own.

        Args:
            api_key: the key of the Insights endpoint; AINSIGHTS_API_KEY or REQUESTY_API_KEY if None.
            base_url: where insights are sent; AINSIGHTS_BASE_URL, else the hosted endpoint, if None.
            settings: see the table of settings.

        Raises:
            ConfigurationError: a setting is wrong.
        """
        return cls(insights=Insights(api_key=api_key, base_url=base_url, **settings))

    def capture(  # noqa: PLR0913, PLR0917  the vendor's order
        self,
        response: Completion,
        messages: Messages | None = None,
        args: Mapping[str, Any] | None = None,
        meta: Mapping[str, Any] | None = None,
        user_id: str | int | UUID | None = None,
        template: PromptTemplate | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> Future[Answer]:
        """Do :meth:`Insights.capture`, and return a future of the endpoint's answer.

        You may ignore it; to cancel it keeps nothing from being sent. It raises a :class:`RejectedError` or a
        :class:`HeldError` where the endpoint says so, a :class:`RetryableError` when the client was closed before the
        endpoint took the event, and another :class:`DeliveryError` when the event will not be sent. While the endpoint
        can't be reached the event is tried again, and the future waits: give ``result()`` a timeout.

        Raises:
            ConfigurationError: an argument is of a wrong type, or missing; it is named.
        """
        receipt = Receipt()
        record = Record(response, messages, args, meta, user_id, template, inputs)
        self._insights.submit(record, receipt)
        return receipt.future

    def close(self) -> None:
        """Deliver what can be delivered within ``exit_timeout`` and end the threads. Twice is harmless."""
        self._insights.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
