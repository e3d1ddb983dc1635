"""The content level ``metadata``: what remains of an insight when no text may leave. Pure.

It is built from lists of what may pass; what is on none of them is left out:

- ``response``: id, object, created, model, provider, system_fingerprint, service_tier, status; the numbers of
  ``usage``; of each choice its index and finish reasons, of its message the role and the names of the tools it calls;
  of an error its type, code and status; of ``output`` the types of the items; what a response goes on with.
- ``messages``, ``template``: of each message its role or type, the types of its parts, the names of the tools that it
  calls, and the ids of the calls.
- ``args``: the model, numbers and switches as ``temperature`` or ``stream``, the names of the tools, the type of
  ``response_format``.
- ``user_id`` and ``meta`` whole: the program sets them in order to find the call again. The
  ``metadata`` of a request is in there too.

So ``inputs``, ``logprobs``, ``stop``, ``prediction``, ``logit_bias``, descriptions and schemas of tools go, and
whatever is unknown. Where text was, ``ainsights.chars`` is the number of its characters; media count as the text they
come as.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ainsights._model import Insight, MetaKey

if TYPE_CHECKING:
    from collections.abc import Container

_PLAIN = ("id", "object", "created", "model", "provider", "system_fingerprint", "service_tier", "status")
_CHOICE = ("index", "finish_reason", "native_finish_reason")
_ERROR = ("type", "code", "status")
_NUMBERS = frozenset(
    """background best_of echo frequency_penalty logprobs max_completion_tokens max_output_tokens max_tokens
    max_tool_calls min_p n parallel_tool_calls presence_penalty repetition_penalty seed store stream temperature top_a
    top_k top_logprobs top_p""".split()  # noqa: SIM905  words read better
)
_SETTINGS = ("model", "modalities", "reasoning_effort", "service_tier", "truncation", "verbosity")
_LINKS = ("previous_response_id", "conversation")
_LINK_KEYS = (MetaKey.PREVIOUS_RESPONSE_ID, MetaKey.CONVERSATION_ID)
_PARTS = ("text", "image_url", "input_audio", "file", "refusal")
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LONGEST = 256
"""Characters that a name, as of a model, has at the most; what is longer is none."""


def to_metadata_only(insight: Insight) -> Insight:
    """Return ``insight`` without any text of the conversation."""
    return Insight.model_construct(
        response=_response(insight.response),
        messages=_messages(insight.messages),
        template=_messages(insight.template),
        inputs={},
        args=_args(insight.args),
        user_id=insight.user_id,
        meta=_meta(insight.meta),
    )


def _response(response: dict[str, Any]) -> dict[str, Any]:
    outline = _short(response, _PLAIN)
    if isinstance(response.get("usage"), dict):
        outline["usage"] = _numbers(response["usage"])
    choices = response.get("choices")
    outline["choices"] = [_choice(each) for each in _dicts(choices)]
    if isinstance(response.get("error"), dict):
        outline["error"] = _error(response["error"])
    if isinstance(response.get("output"), list):
        outline["output"] = [_item(each) for each in response["output"]]
    if isinstance(response.get("incomplete_details"), dict):
        outline["incomplete_details"] = _identifiers(response["incomplete_details"], ("reason",))
    return outline | _links(response)


def _item(item: Any) -> dict[str, Any]:
    known = _identifiers(item, ("id", "type", "status")) if isinstance(item, dict) else {}
    return known | {MetaKey.CHARS: _chars_beside(item, known) if isinstance(item, dict) else _chars(item)}


def _links(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the ids of what a response goes on with."""
    links = _identifiers(fields, _LINKS)
    if isinstance(fields.get("conversation"), dict):
        links["conversation"] = _identifiers(fields["conversation"], ("id",))
    return links


def _identifiers(fields: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: fields[key] for key in keys if _is_identifier(fields.get(key))}


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    message = choice.get("message")
    return {
        **_short(choice, _CHOICE),
        "logprobs": None,
        "message": _message(message if isinstance(message, dict) else {}),
    }


def _error(error: dict[str, Any]) -> dict[str, Any]:
    known = _identifiers(error, _ERROR)
    return known | {MetaKey.CHARS: _chars_beside(error, known)}


def _messages(messages: Any) -> Any:
    """Return ``messages`` without their texts: objects, also where they are texts."""
    if messages is None:
        return None
    return [_message(each) for each in (messages if isinstance(messages, list) else [messages])]


def _message(message: Any) -> dict[str, Any]:
    if not isinstance(message, dict):
        return {"content": None, MetaKey.CHARS: _chars(message)}
    if "role" not in message and "type" in message:  # an item of a response's input that is not a message
        return _item(message)
    outline = _short(message, ("role", "tool_call_id"))
    content, calls, called = message.get("content"), message.get("tool_calls"), message.get("function_call")
    shown = {"role", "tool_call_id", "tool_calls", "function_call", *(["content"] if isinstance(content, list) else [])}
    if message.get("role") in ("tool", "function"):  # a tuple: it may be what has no hash
        outline |= _short(message, ("name",))
        shown.add("name")
    outline["content"] = [_part(each) for each in content] if isinstance(content, list) else None
    if isinstance(calls, list):
        outline["tool_calls"] = [_call(each) for each in _dicts(calls)]
    if isinstance(called, dict):
        outline["function_call"] = _called(called, "arguments")
    return outline | {MetaKey.CHARS: _chars_beside(message, shown)}


def _part(part: Any) -> dict[str, Any]:
    if not isinstance(part, dict) or part.get("type") not in _PARTS:
        return {"type": "other", MetaKey.CHARS: _chars(part)}
    return {"type": part["type"], MetaKey.CHARS: _chars_beside(part, {"type"})}


def _call(call: dict[str, Any]) -> dict[str, Any]:
    if isinstance(call.get("custom"), dict):
        return _short(call, ("id",)) | {"type": "custom", "custom": _called(call["custom"], "input")}
    function = call.get("function")
    called = _called(function if isinstance(function, dict) else {}, "arguments")
    return _short(call, ("id",)) | {"type": "function", "function": called}


def _called(function: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": "", **_short(function, ("name",)), text: "", MetaKey.CHARS: _chars_beside(function, {"name"})}


def _args(args: dict[str, Any]) -> dict[str, Any]:
    outline = _short(args, _SETTINGS)
    outline |= {key: item for key, item in args.items() if key in _NUMBERS and isinstance(item, (int, float))}
    for key in ("response_format", "tool_choice"):
        if key in args:
            outline[key] = _typed(args[key])
    for key in ("tools", "functions"):
        if isinstance(args.get(key), list):
            outline[key] = [_typed(each) for each in args[key]]
    if isinstance(args.get("stream_options"), dict):
        outline["stream_options"] = _numbers(args["stream_options"])
    if isinstance(args.get("reasoning"), dict):
        outline["reasoning"] = _identifiers(args["reasoning"], ("effort", "summary"))
    if isinstance(args.get("text"), dict):
        kind = {"format": _typed(args["text"]["format"])} if "format" in args["text"] else {}
        outline["text"] = kind | _identifiers(args["text"], ("verbosity",))
    return outline | _links(args)


def _typed(value: Any) -> Any:
    """Return the type and the name of a tool, or of what is chosen; a word of the API whole."""
    if not isinstance(value, dict):
        return value if value in ("none", "auto", "required") else None
    outline = _identifiers(value, ("type", "name"))
    for key in ("function", "custom"):
        if isinstance(value.get(key), dict):
            outline[key] = _short(value[key], ("name",)) | {MetaKey.CHARS: _chars_beside(value[key], {"name"})}
    return outline


def _meta(meta: dict[str, Any]) -> dict[str, Any]:
    """Return ``meta`` without texts where the model API, or the request, was to give an identifier."""
    error_type = meta.get(MetaKey.ERROR_TYPE)
    if error_type is not None and not _is_identifier(error_type):
        meta = meta | {MetaKey.ERROR_TYPE: "other"}
    return {key: item for key, item in meta.items() if key not in _LINK_KEYS or _is_identifier(item)}


def _short(fields: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Return of ``fields`` those of ``keys`` that are numbers, switches, short names, or lists of identifiers."""
    return {key: fields[key] for key in keys if key in fields and _is_short(fields[key])}


def _is_short(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_identifier, value))
    return not isinstance(value, dict) and (not isinstance(value, str) or len(value) <= _LONGEST)


def _is_identifier(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and _IDENTIFIER.fullmatch(value) is not None)


def _numbers(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers and switches of ``fields``, at every depth."""
    kept = {key: _numbers(item) if isinstance(item, dict) else item for key, item in fields.items()}
    numbers = {key: item for key, item in kept.items() if isinstance(item, (int, float, dict)) or item is None}
    return {key: item for key, item in numbers.items() if _is_identifier(key)}


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []


def _chars_beside(fields: dict[str, Any], shown: Container[str]) -> int:
    """Return the number of characters in ``fields`` that are not ``shown``."""
    return sum(_chars(item) for key, item in fields.items() if key not in shown)


def _chars(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return _chars_beside(value, ())
    return sum(map(_chars, value)) if isinstance(value, (list, tuple)) else 0
