"""Record: a completion or a response that the user hands over, kept as it is at that moment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from ainsights._context.arguments import check_arguments
from ainsights._context.scope import Scope, current
from ainsights._context.snapshot import encode
from ainsights._json import parse_json_or_none
from ainsights._model import Insight, MetaKey
from ainsights._processing.apis import as_completion, as_messages
from ainsights._processing.attributes import AttributeSources
from ainsights._processing.completion import complete, required_fields
from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from openai.types.chat import ChatCompletion, ChatCompletionMessage, ChatCompletionMessageParam
    from typing_extensions import Required, TypedDict

    from ainsights._context.arguments import PromptTemplate
    from ainsights._context.scope import Context
    from ainsights._processing.attributes import Defaults

    Completion = ChatCompletion | BaseModel | Mapping[str, Any]
    Messages = str | Sequence[str | Mapping[str, object] | ChatCompletionMessageParam | ChatCompletionMessage]

    class CaptureArguments(TypedDict, total=False):
        """The arguments of ``capture()``."""

        response: Required[Completion]
        messages: Messages | None
        args: Mapping[str, Any] | None
        meta: Mapping[str, Any] | None
        user_id: str | int | UUID | None
        template: PromptTemplate | None
        inputs: Mapping[str, Any] | None


class Record:
    """A chat completion that was handed over. The background thread makes an insight of it.

    Raises:
        ConfigurationError: an argument is of a wrong type, or missing; it is named.
    """

    __slots__ = ("body", "context", "made_at")

    def __init__(  # noqa: PLR0913, PLR0917  the contract's seven keys
        self,
        response: Any,
        messages: Any = None,
        args: Any = None,
        meta: Any = None,
        user_id: Any = None,
        template: Any = None,
        inputs: Any = None,
    ) -> None:
        arguments = check_arguments(user_id, meta, template, inputs)
        self.made_at = time.time()
        self.context: Context = arguments.merge_into(current.get(), Scope(arguments))
        if messages is None and (self.context.template is None or self.context.inputs is None):
            raise ConfigurationError("messages=... is missing. Give it, or a template and its inputs.")
        try:
            parts = {"response": _completion(response), "messages": _plain(messages), "args": _arguments(args)}
            self.body = encode(parts)
        except ConfigurationError:
            raise
        except (RecursionError, ValueError) as error:
            problem = "they hold themselves, or are nested too deeply" if isinstance(error, RecursionError) else error
            raise ConfigurationError(f"the arguments cannot be made JSON: {problem}.") from None

    @property
    def size(self) -> int:
        """The bytes that are held."""
        return len(self.body)


def build_insight(record: Record, defaults: Defaults, event_id: str) -> Insight:
    """Return the insight of ``record``."""
    parts: dict[str, Any] = parse_json_or_none(record.body)
    args, messages = parts["args"], parts["messages"]
    messages = None if messages is None else as_messages(messages)
    sources = AttributeSources(record.context, args, messages, defaults)
    template, inputs = sources.template()
    response, api = as_completion(parts["response"])
    model = args.get("model")
    complete(response, required_fields(model=model, created=record.made_at), is_cut=False)
    known = {MetaKey.STATUS: "ok", MetaKey.EVENT_ID: event_id, MetaKey.SDK: defaults.sdk}
    if api is not None:
        known[MetaKey.API] = api
    return Insight.model_construct(
        response=response,
        messages=messages,
        template=template,
        inputs=inputs,
        args=args,
        user_id=sources.user_id(),
        meta=known | sources.meta(),
    )


def _completion(response: Any) -> Any:
    completion = _plain(response)
    if not isinstance(completion, dict):
        takes = "It takes a ChatCompletion, a Response, or a dict with what one has"
        hint = "" if response is None else "; a stream is not a completion, collect its chunks first"
        raise ConfigurationError(f"response=... is {_kind(response)}. {takes}{hint}.")
    for choice in completion.get("choices") or ():
        _unparse(choice)
    for item in completion.get("output") or ():
        _unparse_item(item)
    return completion


def _unparse(choice: Any) -> None:
    """Take away what ``parse()`` added to what the API returned."""
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        return
    message.pop("parsed", None)
    for call in message.get("tool_calls") or ():
        if isinstance(call, dict) and isinstance(call.get("function"), dict):
            call["function"].pop("parsed_arguments", None)


def _unparse_item(item: Any) -> None:
    """Take the same away from an output item of a response."""
    if not isinstance(item, dict):
        return
    item.pop("parsed_arguments", None)
    content = item.get("content")
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict):
            part.pop("parsed", None)


def _arguments(args: Mapping[str, Any] | None) -> Any:
    if args is None:
        return {}
    arguments = _plain(args)
    if not isinstance(arguments, dict):
        raise ConfigurationError(f"args=... is {_kind(args)}. It takes a mapping: the model arguments.")
    arguments.pop("messages", None)
    return arguments


def _plain(value: Any) -> Any:
    """Return ``value`` with its models as the dicts that they came from, and its containers copied."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True, warnings=False)
    if hasattr(value, "keys"):
        return {key: _plain(value[key]) for key in value.keys()}  # noqa: SIM118  any mapping
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _kind(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"
