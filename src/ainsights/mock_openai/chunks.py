"""A ChatCompletion -> the chunks in which the API would have streamed it. Pure."""

from __future__ import annotations

from itertools import chain, pairwise, zip_longest
from typing import TYPE_CHECKING, Any, TypeAlias

from ainsights.mock_openai.texts import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_Fields: TypeAlias = "dict[str, Any]"

_USUAL_PIECES = 64
"""A text comes in at most so many pieces, unless a number is given."""


def chunks(
    completion: Mapping[str, Any], *, pieces: int | None = None, include_usage: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield the chunks of ``completion``. Those of several choices take turns.

    Args:
        completion: a ChatCompletion as JSON. Fields that OpenAI does not have are streamed too.
        pieces: about how many pieces a text is cut into.
        include_usage: whether a last chunk without choices has the usage, and the others have null, as
            ``stream_options.include_usage`` wants.
    """
    common = {key: value for key, value in completion.items() if key not in ("choices", "usage")}
    common["object"] = "chat.completion.chunk"
    usage = {"usage": None} if include_usage else {}
    for turn in zip_longest(*(_of_choice(choice, pieces) for choice in completion["choices"])):
        for choice in turn:
            if choice is not None:
                yield {**common, "choices": [choice], **usage}
    if include_usage:
        yield {**common, "choices": [], "usage": completion["usage"]}


def _of_choice(choice: _Fields, pieces: int | None) -> Iterator[_Fields]:
    index, message, logprobs = choice["index"], choice["message"], choice.get("logprobs") or {}
    for delta, part in _of_message(message, logprobs, pieces):
        yield {"index": index, "delta": delta, "logprobs": part, "finish_reason": None}
    last = {key: value for key, value in choice.items() if key not in ("index", "message", "logprobs")}
    yield {"index": index, "delta": {}, "logprobs": None, **last}


def _of_message(message: _Fields, logprobs: _Fields, pieces: int | None) -> Iterator[tuple[_Fields, _Fields | None]]:
    """Yield pairs of delta and logprobs: texts in pieces, what else there is whole."""
    texts = [key for key in ("content", "refusal") if message.get(key) is not None]
    first = {key: message[key] for key in ("role", "content", "refusal") if key in message}
    yield first | dict.fromkeys(texts, ""), None
    for key in message:
        if key not in _SPECIAL and key not in first:
            yield {key: message[key]}, None
    for key, parts in _SPECIAL.items():
        for delta in parts(message[key], pieces) if message.get(key) else ():
            yield delta, None
    for key in texts:
        entries = logprobs.get(key)
        empty = dict.fromkeys(logprobs)
        for part in cut(message[key] if entries is None else entries, pieces):
            if entries is None:
                yield {key: part}, None
            else:
                yield {key: "".join(entry["token"] for entry in part)}, {**empty, key: part}


def cut(whole: Any, pieces: int | None, unit: int = 1) -> Iterator[Any]:
    """Return pieces of a text or a list, none of them empty, all of them multiples of ``unit`` but for the last."""
    units = -(-len(whole) // unit)
    per_token = TOKEN if isinstance(whole, str) and unit == 1 else 1
    usual = min(-(-units // per_token), _USUAL_PIECES)
    count = max(1, min(pieces or usual, units))
    bounds = [units * number // count * unit for number in range(count + 1)]
    return (whole[start:end] for start, end in pairwise(bounds) if start < end)


def _reasoning(text: str, pieces: int | None) -> Iterator[_Fields]:
    return ({"reasoning_content": part} for part in cut(text, pieces))


def _tool_calls(calls: Sequence[_Fields], pieces: int | None) -> Iterator[_Fields]:
    return chain.from_iterable(_of_call(index, call, pieces) for index, call in enumerate(calls))


def _of_call(index: int, call: _Fields, pieces: int | None) -> Iterator[_Fields]:
    kind = call["type"]
    text = "input" if kind == "custom" else "arguments"
    yield {"tool_calls": [{"index": index, **call, kind: {**call[kind], text: ""}}]}
    for part in cut(call[kind][text], pieces):
        yield {"tool_calls": [{"index": index, kind: {text: part}}]}


def _function_call(call: _Fields, pieces: int | None) -> Iterator[_Fields]:
    yield {"function_call": {**call, "arguments": ""}}
    for part in cut(call["arguments"], pieces):
        yield {"function_call": {"arguments": part}}


def _audio(audio: _Fields, pieces: int | None) -> Iterator[_Fields]:
    yield {"audio": {"id": audio["id"]}}
    for part in cut(audio["transcript"], pieces):
        yield {"audio": {"transcript": part}}
    for part in cut(audio["data"], pieces, unit=4):
        yield {"audio": {"data": part}}
    yield {"audio": {"expires_at": audio["expires_at"]}}


_SPECIAL: dict[str, Callable[[Any, int | None], Iterator[_Fields]]] = {
    "reasoning_content": _reasoning,
    "tool_calls": _tool_calls,
    "function_call": _function_call,
    "audio": _audio,
}
