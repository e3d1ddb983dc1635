"""A stored body -> Event: everything that an event is known by, from its body alone. Pure, and never an exception."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic_core import to_json

from ainsights._model import MetaKey
from ainsights.server.events import messages as texts
from ainsights.server.events import responses
from ainsights.server.events.prices import cost_of
from ainsights.server.events.reading import (
    as_dict,
    as_flag,
    as_list,
    as_number,
    as_scalar_text,
    as_text,
    as_texts,
    parse_body,
)
from ainsights.server.events.times import own_time, receipt_time
from ainsights.server.events.usage import Usage, usage_of

if TYPE_CHECKING:
    from collections.abc import Sequence

CONVERSATION_KEYS = ("conversation_id", "session_id", "thread_id", "trace_id", MetaKey.CONVERSATION_ID)
"""The keys of meta that name a conversation; the first that is there counts."""

_COLUMNS = frozenset(
    (
        MetaKey.EVENT_ID,
        MetaKey.TIMESTAMP,
        MetaKey.STATUS,
        MetaKey.ERROR_TYPE,
        MetaKey.LATENCY_MS,
        MetaKey.TTFT_MS,
        MetaKey.STREAM,
        MetaKey.BASE_URL,
        MetaKey.API,
    )
)
"""The keys of meta that have columns of their own."""

MAX_META = 100
MAX_LIST = 20
_MAX_KEY = 200
_MAX_URL = 500
_MAX_DEPTH = 5
_URL = re.compile(r"https?://[^\s<>\"'`{}|\\^]{3,}")
_AFTER_URL = ".,;:!?)]}*_~'\u3002\uff0c\u3001"


class Event(NamedTuple):
    """Everything that an event is known by. None, or an empty list, where the body has nothing.

    Attributes:
        time: when the call began, in microseconds since the epoch.
        latency: milliseconds, as is ``ttft``.
        cost: US dollars; ``cost_source`` is who computed it.
        conversation: the id that meta gives it.
        reply: a hash of the response's id, by which the Responses API continues it, and ``previous`` the ``reply`` of
            the response that this one continues.
        prefixes: see :class:`~ainsights.server.events.messages.Turns`, as for ``turn`` (its end) and ``messages``.
        question: the last user message, and ``answer`` the answer: for the text index alone.
        size: bytes of the body.
        is_dated: whether ``time`` is the event's own, and not that of its receipt.
    """

    seq: int
    id: str
    time: int
    model: str | None
    api: str | None
    user: str | None
    status: str | None
    error: str | None
    finish: str | None
    release: str | None
    host: str | None
    template: str | None
    conversation: str | None
    reply: int | None
    previous: int | None
    prefixes: list[int]
    turn: int | None
    stream: bool | None
    latency: float | None
    ttft: float | None
    tokens_per_second: float | None
    tokens: int | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    cost: float | None
    cost_source: str | None
    size: int
    tool: list[str]
    input: list[str]
    url: list[str]
    tag: list[str]
    meta: dict[str, str]
    messages: list[int]
    question_hash: int | None
    question: str
    answer: str
    is_dated: bool


def build_event(
    seq: int, event_id: str, received_at: float, body: bytes, conversation_keys: Sequence[str] = CONVERSATION_KEYS
) -> Event:
    """Return the event that ``body`` describes. Any bytes give one.

    Args:
        seq: the store's number of the event.
        event_id: the store's id of the event.
        received_at: seconds since the epoch; the event's time if the body has none.
        body: as received.
        conversation_keys: the keys of meta that may name the conversation.
    """
    insight = parse_body(body)
    response, args, meta = (as_dict(insight.get(name)) for name in ("response", "args", "meta"))
    inputs = as_dict(insight.get("inputs"))
    messages = texts.message_list(insight.get("messages")) or texts.render(insight.get("template"), inputs)
    question, answer = texts.last_user_text(messages), texts.answer_of(response)
    user = _user(insight, args)
    previous = responses.previous_of(meta, args)
    turns = texts.turns_of(user, messages, texts.answer_message(response))
    if previous is not None:  # its messages are only the last of the conversation
        turns = turns._replace(prefixes=[], end=None)
    usage, model = usage_of(response), as_text(response.get("model")) or as_text(args.get("model"))
    base_url, latency = as_text(meta.get(MetaKey.BASE_URL)), as_number(meta.get(MetaKey.LATENCY_MS))
    own = own_time(meta, event_id)
    time = receipt_time(received_at) if own is None else own
    cost = cost_of(response, usage, model, base_url, time)
    scalars = _scalars(meta, args)
    stream = as_flag(meta.get(MetaKey.STREAM))
    return Event(
        seq=seq,
        id=event_id.replace("\0", "\ufffd"),
        time=time,
        model=model,
        api=responses.api_of(meta),
        user=user,
        status=as_text(meta.get(MetaKey.STATUS)) or _status(response),
        error=as_text(meta.get(MetaKey.ERROR_TYPE)) or _error(response),
        finish=_finish(response),
        release=scalars.get("release"),
        host=_host(base_url) if base_url else None,
        template=_template(insight.get("template")),
        conversation=_conversation(scalars, args, conversation_keys),
        reply=responses.reply_of(response, meta),
        previous=previous,
        prefixes=turns.prefixes,
        turn=turns.end,
        stream=as_flag(args.get("stream")) if stream is None else stream,
        latency=latency,
        ttft=as_number(meta.get(MetaKey.TTFT_MS)),
        tokens_per_second=_speed(usage, latency),
        tokens=usage.total,
        prompt_tokens=usage.prompt,
        completion_tokens=usage.completion,
        cached_tokens=usage.cached,
        reasoning_tokens=usage.reasoning,
        cost=cost.dollars if cost else None,
        cost_source=cost.source if cost else None,
        size=len(body),
        tool=_tools(response),
        input=as_texts(list(inputs), MAX_LIST) if inputs else [],
        url=_urls(question, answer),
        tag=_tags(meta, args),
        meta=scalars,
        messages=turns.messages,
        question_hash=texts.hash_question(question),
        question=question,
        answer=answer,
        is_dated=own is not None,
    )


def _conversation(scalars: dict[str, str], args: dict[str, Any], keys: Sequence[str]) -> str | None:
    return next((scalars[key] for key in keys if scalars.get(key)), None) or responses.conversation_of(args)


def _user(insight: dict[str, Any], args: dict[str, Any]) -> str | None:
    return (
        as_text(insight.get("user_id"))
        or as_text(args.get("safety_identifier"))
        or as_text(args.get("user"))
        or as_text(_router(args).get("user_id"))
    )


def _router(args: dict[str, Any]) -> dict[str, Any]:
    """Return the request's parameters for the router, merged into its arguments or apart."""
    return as_dict(args.get("requesty")) or as_dict(as_dict(args.get("extra_body")).get("requesty"))


def _status(response: dict[str, Any]) -> str | None:
    if response.get("error"):
        return "error"
    return "ok" if as_list(response.get("choices")) else None


def _error(response: dict[str, Any]) -> str | None:
    error = response.get("error")
    if isinstance(error, dict):
        return as_text(error.get("type")) or as_scalar_text(error.get("code"))
    return as_text(error, 100)


def _finish(response: dict[str, Any]) -> str | None:
    choices = as_list(response.get("choices"))
    return as_text(as_dict(choices[0]).get("finish_reason")) if choices else None


def _speed(usage: Usage, latency: float | None) -> float | None:
    if usage.completion is None or not latency:
        return None
    return usage.completion / (latency / 1000)


@lru_cache(1024)
def _host(base_url: str) -> str | None:
    try:
        return as_text(urlsplit(base_url).netloc.rpartition("@")[2].lower())
    except ValueError:
        return None


def _template(template: Any) -> str | None:
    if not template:
        return None
    data = template.encode(errors="replace") if isinstance(template, str) else to_json(template)
    return blake2b(data, digest_size=8).hexdigest()


def _tools(response: dict[str, Any]) -> list[str]:
    names = []
    for choice in as_list(response.get("choices")):
        message = as_dict(as_dict(choice).get("message"))
        calls = as_list(message.get("tool_calls"))
        if message.get("function_call"):
            calls = [*calls, {"function": message["function_call"]}]
        for call in calls:
            called = as_dict(as_dict(call).get("function")) or as_dict(as_dict(call).get("custom"))
            names.append(called.get("name"))
    names += responses.hosted_tools(response)
    return as_texts(names, MAX_LIST) if names else []


def _urls(question: str, answer: str) -> list[str]:
    found = [match[0] for text in (question, answer) if "http" in text for match in _URL.finditer(text)]
    return as_texts([url[:_MAX_URL].rstrip(_AFTER_URL) for url in found], MAX_LIST) if found else []


def _tags(meta: dict[str, Any], args: dict[str, Any]) -> list[str]:
    for value in (meta.get("tags"), meta.get("tag"), _router(args).get("tags")):
        tags = as_texts(value, MAX_LIST)
        if tags:
            return tags
    return []


def _scalars(meta: dict[str, Any], args: dict[str, Any]) -> dict[str, str]:
    """Return every scalar of meta, with nested keys joined by dots; then what the request's own metadata adds."""
    found: dict[str, str] = {}
    _add_scalars(meta, "", _MAX_DEPTH, found)
    metadata, router = args.get("metadata"), _router(args)
    for source in (metadata, router.get("extra"), {"trace_id": router.get("trace_id")} if router else None):
        if isinstance(source, dict):
            _add_scalars(source, "", _MAX_DEPTH, found)
    return found


def _add_scalars(source: dict[str, Any], prefix: str, depth: int, found: dict[str, str]) -> None:
    for key, value in source.items():
        if value is None or key in _COLUMNS or len(found) >= MAX_META:
            continue
        name = prefix + key if prefix else key
        if len(name) > _MAX_KEY or "\0" in name:
            name = name[:_MAX_KEY].replace("\0", "\ufffd")
        if isinstance(value, dict):
            if depth:
                _add_scalars(value, f"{name}.", depth - 1, found)
        elif name and name not in found and (text := as_scalar_text(value)) is not None:
            found[name] = text
