"""What the APIs differ in: where the prompt is, and what the body of an answer makes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ainsights._processing import legacy
from ainsights._processing.accumulator import Accumulation, accumulate
from ainsights._processing.completion import without_broken_parts
from ainsights._processing.responses import accumulator, converter, request

if TYPE_CHECKING:
    from ainsights._instrumentation.routes import Api

Fields = dict[str, Any]


class Prompt(NamedTuple):
    """What a request asks.

    Attributes:
        messages: as the contract has them.
        args: the rest of the request.
        formatted: what a template may have been formatted to: the messages as they were sent.
    """

    messages: Any
    args: Fields
    formatted: Any


class ModelApi(Protocol):
    """An API of models that converse.

    Attributes:
        may_lack_end: whether a stream may end without the event that ends it, as those of some servers do.
    """

    may_lack_end: bool

    def prompt(self, body: Fields) -> Prompt:
        """Return what a request asks, whose JSON is ``body``; it is changed."""

    def whole(self, body: Fields) -> Accumulation | None:
        """Return what ``body`` makes, the JSON of an answer; None if it is an error."""

    def stream(self, body: bytes) -> Accumulation:
        """Return what the server-sent events of ``body`` make."""

    def cut(self, body: Fields) -> Fields:
        """Return what there is of an answer whose JSON was cut."""

    def is_finished(self, completion: Fields, args: Fields) -> bool:
        """Return whether a stream that its reader left had brought all that was asked for."""


class _Chat:
    may_lack_end = True

    def prompt(self, body: Fields) -> Prompt:
        messages = as_messages(body.pop("messages", None))
        return Prompt(messages, body, messages)

    def whole(self, body: Fields) -> Accumulation | None:
        if body.get("error") is not None and not body.get("choices"):  # some routers answer 200 with an error
            return None
        return Accumulation(self.completion(body), done=True, error=None, chunks=0)

    def stream(self, body: bytes) -> Accumulation:
        made = accumulate(body)
        return made._replace(completion=self.completion(made.completion))

    def cut(self, body: Fields) -> Fields:
        return without_broken_parts(self.completion(body))

    def is_finished(self, completion: Fields, args: Fields) -> bool:
        choices, asked = completion["choices"], args.get("n")
        enough = len(choices) >= (asked if isinstance(asked, int) else 1)
        return enough and all(choice.get("finish_reason") for choice in choices)

    def completion(self, body: Fields) -> Fields:
        """Return an answer as a ChatCompletion."""
        return body


class _Completions(_Chat):
    def prompt(self, body: Fields) -> Prompt:
        messages = legacy.to_messages(body.pop("prompt", None))
        return Prompt(messages, body, messages)

    def completion(self, body: Fields) -> Fields:
        return legacy.to_completion(body)


_EVENTS = ("response.create", "response.steer")
"""The types of what is sent over a WebSocket, where a request has a type."""


class _Responses:
    may_lack_end = False

    def prompt(self, body: Fields) -> Prompt:
        if body.get("type") in _EVENTS:
            del body["type"]
        instructions, given = body.pop("instructions", None), body.pop("input", None)
        messages = request.to_messages(instructions, given)
        return Prompt(messages, body, given if isinstance(given, list) else messages)

    def whole(self, body: Fields) -> Accumulation | None:
        if body.get("error") is not None and "output" not in body:
            return None
        return accumulator.of_response(body)

    def stream(self, body: bytes) -> Accumulation:
        return accumulator.accumulate(body)

    def cut(self, body: Fields) -> Fields:
        broken = {"metadata", "moderation", "object", "service_tier", "status", "usage"}
        whole = {key: value for key, value in body.items() if key not in broken}
        return converter.to_completion(whole, is_whole=False)

    def is_finished(self, _completion: Fields, _args: Fields) -> bool:
        return False


APIS: dict[Api | None, ModelApi] = {"chat": _Chat(), "completions": _Completions(), "responses": _Responses()}


def as_messages(value: Any) -> Any:
    """Return ``value`` as the contract has messages: a string, a list of strings, or a list of objects."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        return [] if value is None else [str(value)]
    if all(isinstance(item, dict) for item in value) or all(isinstance(item, str) for item in value):
        return value
    return [item if isinstance(item, dict) else {"role": "user", "content": item} for item in value]


def as_completion(answer: Fields) -> tuple[Fields, Api | None]:
    """Return an answer of any API as a ChatCompletion, and which API that is, if its ``object`` names it."""
    kind = answer.get("object")
    if kind == "response":
        return converter.to_completion(answer), "responses"
    if kind == "text_completion":
        return legacy.to_completion(answer), "completions"
    return answer, "chat" if kind == "chat.completion" else None
