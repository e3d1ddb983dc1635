"""The vendor SDK's interface over :class:`Insights`: programs that use ``requestyai`` change one import."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ainsights._client import Insights
from ainsights._context.scope import current
from ainsights._delivery.receipt import Receipt
from ainsights._processing.manual import Record
from ainsights.errors import AInsightsValueError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future
    from uuid import UUID

    from typing_extensions import Self

    from ainsights._context.arguments import PromptTemplate
    from ainsights._delivery.retry import Answer
    from ainsights._processing.manual import Completion, Messages

_NONE: Mapping[str, Any] = MappingProxyType({})


class AInsights:
    """A client that records each chat completion that it is given. Make one with :meth:`new_client`; thread-safe.

    ::

        from ainsights import AInsights  # was: from requestyai import AInsights

        insights = AInsights.new_client(api_key="...")
        insights.capture(response=response, messages=messages, args=args)

    What is queued is delivered when the process exits. :func:`ainsights.instrument` captures by itself and needs no
    ``capture()`` after each call.
    """

    def __init__(self, *, insights: Insights) -> None:
        self._insights = insights

    @classmethod
    def new_client(cls, *, api_key: str | None = None, base_url: str | None = None, **settings: Any) -> Self:
        """Return a client with a delivery of its own.

        Args:
            api_key: the key of the Insights endpoint; AINSIGHTS_API_KEY or REQUESTY_API_KEY if None.
            base_url: where insights are sent; AINSIGHTS_BASE_URL, else the hosted endpoint, if None.
            settings: the other keyword arguments of :func:`ainsights.instrument`.

        Raises:
            ConfigurationError: a setting is wrong; the message names it and what it accepts.
        """
        return cls(insights=Insights(api_key=api_key, base_url=base_url, **settings))

    def capture(  # noqa: PLR0913  the vendor's arguments
        self,
        *,
        response: Completion,
        messages: Messages | None = None,
        template: PromptTemplate | None = None,
        inputs: Mapping[str, Any] | None = _NONE,
        args: Mapping[str, Any] | None = _NONE,
        meta: Mapping[str, Any] | None = _NONE,
        user_id: str | int | UUID | None = None,
    ) -> Future[Answer]:
        """Record a chat completion and return a future of the endpoint's answer.

        The future may be ignored; to cancel it keeps nothing from being sent. While the endpoint can't be reached, the
        event is tried again and the future waits: give ``result()`` a timeout. Its answer may be a refusal, which
        ``raise_for_status()`` raises::

            future = insights.capture(response=response, template="Sum up: {text}", inputs={"text": text})
            assert future.result(10).json() == {"success": True}

        Args:
            response: a ChatCompletion, or a dict with the fields of one.
            messages: the messages that openai's client was given.
            template: the prompt before formatting, instead of the messages or beside them.
            inputs: the template's variables.
            args: the model arguments: the request without its messages.
            meta: free metadata.
            user_id: the end user.

        Returns:
            The future. It raises a :class:`RetryableError` when the client was closed before the endpoint took the
            event, and another :class:`DeliveryError` when the event will not be sent.

        Raises:
            AInsightsValueError: there are neither messages nor a template.
            ConfigurationError: an argument is of a wrong type; it is named.
        """
        around = current.get()
        if messages is None and (inputs is None if template is not None else around is None or around.template is None):
            raise AInsightsValueError("Neither messages=... nor template=... with inputs=... is given.")
        if template is None and not inputs:
            inputs = None  # those of context() hold
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
