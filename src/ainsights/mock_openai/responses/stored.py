"""The responses that the API remembers: those that were not asked for with ``store: false``."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ainsights.mock_openai.request import InvalidRequestError
from ainsights.mock_openai.responses.body import TERMINAL, input_messages, unfinished

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ainsights.mock_openai.script import Script

_KEPT = 1000
_FINISHED = 0


@dataclass(slots=True)
class StoredResponse:
    """A response, and how far it is.

    Attributes:
        script: the directives of the request that created it.
        request: that request.
        response: as it ends.
        polls_left: it is finished when it is retrieved for this time; 0 if it is finished.
        is_cancelled: whether it was cancelled before.
    """

    script: Script
    request: Mapping[str, Any]
    response: dict[str, Any]
    polls_left: int = _FINISHED
    is_cancelled: bool = False
    _was_polled: bool = field(default=False)

    @property
    def status(self) -> str:
        """Its status now."""
        if self.is_cancelled:
            return "cancelled"
        if self.polls_left == _FINISHED:
            return str(self.response["status"])
        return "in_progress" if self._was_polled else "queued"

    def body(self) -> dict[str, Any]:
        """Return the response as it is now."""
        status = self.status
        return self.response if status == self.response["status"] else unfinished(self.response, status)

    def poll(self) -> dict[str, Any]:
        """Return the response as it is when it is retrieved once more."""
        if self.status not in TERMINAL:
            self.polls_left -= 1
            self._was_polled = True
        return self.body()

    def cancel(self) -> dict[str, Any]:
        """Cancel it if it runs in the background and has not ended.

        Raises:
            InvalidRequestError: it does not run in the background, or has ended.
        """
        if not self.response["background"]:
            raise InvalidRequestError("Cannot cancel a synchronous response.")
        if self.status in TERMINAL and not self.is_cancelled:
            raise InvalidRequestError(f"Cannot cancel a response that is {self.status}.")
        self.is_cancelled = True
        return self.body()


class ResponseStore:
    """The last responses, by their ids."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, StoredResponse] = OrderedDict()

    def add(self, stored: StoredResponse) -> None:
        """Remember one more, and forget the oldest if there are too many."""
        identity = stored.response["id"]
        self._known[identity] = stored
        self._known.move_to_end(identity)
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)

    def get(self, identity: str) -> StoredResponse:
        """Return the response with that id.

        Raises:
            InvalidRequestError: there is none.
        """
        if identity not in self._known:
            raise InvalidRequestError(f"Response with id '{identity}' not found.", status=404)
        return self._known[identity]

    def delete(self, identity: str) -> None:
        """Forget the response with that id.

        Raises:
            InvalidRequestError: there is none.
        """
        self.get(identity)
        del self._known[identity]

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()

    def history(self, request: Mapping[str, Any]) -> list[Any]:
        """Return the items of the responses that a request continues, oldest first.

        Raises:
            InvalidRequestError: it names a response that is not known.
        """
        items: list[Any] = []
        previous = request.get("previous_response_id")
        while previous is not None:
            known = self._known.get(previous)
            if known is None and items == []:
                message = f"Previous response with id '{previous}' not found."
                raise InvalidRequestError(message, "previous_response_id", "previous_response_not_found")
            if known is None:
                break
            items[:0] = [*input_messages(known.request), *known.response["output"]]
            previous = known.request.get("previous_response_id")
        return items
