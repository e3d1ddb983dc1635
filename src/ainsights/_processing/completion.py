"""What a ChatCompletion requires and the model API did not send, so that each event's response validates as one. Pure.

Nothing that was sent is changed, unless the bytes were cut in the middle of it.
"""

from __future__ import annotations

from typing import Any

FINISH_REASONS = frozenset(["stop", "length", "tool_calls", "content_filter", "function_call"])

_TOOL_CALL: dict[str, dict[str, Any]] = {
    "function": {"name": "", "arguments": ""},
    "custom": {"name": "", "input": ""},
}
_AUDIO: dict[str, Any] = {"id": "", "data": "", "expires_at": 0, "transcript": ""}
_TOKENS = ("prompt_tokens", "completion_tokens")


def required_fields(*, model: Any, created: float, request_id: str | None = None) -> dict[str, Any]:
    """Return the fields that a ChatCompletion requires, from what is known of its call."""
    return {
        "id": request_id or "",
        "object": "chat.completion",
        "created": int(created),
        "model": model if isinstance(model, str) else "",
        "choices": [],
    }


def complete(completion: dict[str, Any], known: dict[str, Any], *, is_cut: bool) -> bool:
    """Fill in what ``completion`` lacks, and return whether one of its choices was cut.

    Args:
        completion: as the model API sent it, or as far as it came; it is changed.
        known: the top-level fields to fill in.
        is_cut: whether more was to come. A choice without a ``finish_reason`` was then cut, and gets ``length``, the
            one value that means that; otherwise it gets ``stop``.
    """
    for key, value in known.items():
        if completion.get(key) is None:
            completion[key] = value
    choices = completion["choices"]
    if choices.__class__ is not list:
        return False
    cut = [_complete_choice(choice, at, is_cut) for at, choice in enumerate(choices) if choice.__class__ is dict]
    if completion.get("usage") == {}:
        completion["usage"] = None
    _complete_usage(completion.get("usage"))
    return any(cut)


def _complete_choice(choice: dict[str, Any], position: int, is_cut: bool) -> bool:  # noqa: FBT001  private
    if choice.get("index") is None:
        choice["index"] = position
    message = choice.get("message")
    if message.__class__ is dict:
        _complete_message(message)
    elif message is None:
        choice["message"] = {"role": "assistant", "content": None}
    if choice.get("finish_reason"):
        return False
    choice["finish_reason"] = "length" if is_cut else "stop"
    return is_cut


def _complete_message(message: dict[str, Any]) -> None:
    if message.get("role") is None:
        message["role"] = "assistant"
    for call in message.get("tool_calls") or ():
        if call.__class__ is dict:
            kind = "custom" if "custom" in call else "function"
            _fill(call, {"id": "", "type": kind, kind: {}})
            _fill(call[kind], _TOOL_CALL[kind])
    _fill(message.get("function_call"), _TOOL_CALL["function"])
    _fill(message.get("audio"), _AUDIO)


def _complete_usage(usage: Any) -> None:
    if usage.__class__ is dict:
        _fill(usage, dict.fromkeys(_TOKENS, 0))
        counts = [usage[key] for key in _TOKENS]
        _fill(usage, {"total_tokens": sum(counts) if all(count.__class__ is int for count in counts) else 0})


def _fill(fields: Any, defaults: dict[str, Any]) -> None:
    if fields.__class__ is dict:
        for key, value in defaults.items():
            if fields.get(key) is None:
                fields[key] = {} if value == {} else value


def without_broken_parts(completion: dict[str, Any]) -> dict[str, Any]:
    """Return a completion whose JSON was cut without what the cut may have broken: values that must be whole."""
    completion = {key: value for key, value in completion.items() if key not in {"object", "service_tier", "usage"}}
    choices = completion.get("choices")
    whole = [choice for choice in choices if choice.__class__ is dict] if choices.__class__ is list else []
    for choice in whole:
        choice.pop("logprobs", None)
        without_odd_finish(choice)
        message = choice.get("message")
        if message.__class__ is dict:
            for key in ("role", "annotations", "audio"):
                message.pop(key, None)
            for call in message.get("tool_calls") or ():
                if call.__class__ is dict:
                    call.pop("type", None)
    return completion | {"choices": whole}


def without_odd_finish(choice: Any) -> None:
    """Drop the finish reason of a choice that was cut, if it is none that a ChatCompletion may have."""
    if choice.__class__ is dict and choice.get("finish_reason") not in FINISH_REASONS:
        choice.pop("finish_reason", None)
