"""A response of the Responses API -> the ChatCompletion of the contract. Pure.

Nothing is invented and nothing is lost, but for encrypted content: the response can be built again from its completion.

- ``id``, ``model`` and, as ``created``, ``created_at`` are the response's; ``usage`` has the names of completions.
- The one choice has the message that :mod:`.items` makes of the output. There is none where there is no output and the
  response is not complete.
- ``output`` has the items that a message has no place for, and ``outline`` the order of all.
- All other fields are the response's own, under their own names. A value that a ChatCompletion does not allow there
  stands in ``original``, under its name.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from ainsights._processing.responses.items import Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from ainsights._processing.responses.items import Fields

USAGE = {
    "input_tokens": "prompt_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens": "completion_tokens",
    "output_tokens_details": "completion_tokens_details",
}
"""The names of token counts in a response, and in a completion."""

_MADE = frozenset(["id", "object", "created_at", "model", "output", "usage"])
"""Fields of a response for which a completion has others."""
_OWN = frozenset(["choices", "created", "original", "outline"])
"""Fields of what we make, which a response does not have."""
_TIERS = frozenset(["auto", "default", "flex", "scale", "priority", "fast"])
_FINISH_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}


def to_completion(response: Fields, *, is_whole: bool = True) -> Fields:
    """Return the ChatCompletion of ``response``; what it shares with it is not changed.

    Args:
        response: as it was sent, or as far as it came.
        is_whole: False if more was to come.
    """
    output, items = Output(), response.get("output")
    original: Fields = {}
    for item in items if items.__class__ is list else ():
        output.add(item)
    completion: Fields = {"id": response.get("id"), "object": "chat.completion"}
    completion |= {"created": _created(response.get("created_at")), "model": response.get("model")}
    completion["choices"] = _choices(response, output, is_whole=is_whole)
    for key, value in response.items():
        if key in _OWN or not _fits(key, value):
            original[key] = value
        elif key not in _MADE:
            completion[key] = _as_results(value) if key == "moderation" else value
    if "usage" in response and "usage" not in original:
        completion["usage"] = _as_completion_usage(response["usage"])
    if completion["created"] != response.get("created_at"):
        completion["created_at"] = response.get("created_at")
    if output.output:
        completion["output"] = output.output
    completion["outline"] = output.outline
    return {key: value for key, value in completion.items() if value is not None or key in response} | (
        {"original": original} if original else {}
    )


def _created(created_at: Any) -> Any:
    is_number = created_at.__class__ in (int, float) and isfinite(created_at)
    return int(created_at) if is_number else None


def _choices(response: Fields, output: Output, *, is_whole: bool) -> list[Fields]:
    if not output.outline and response.get("status") not in ("completed", "incomplete"):
        return []
    finish_reason = _finish_reason(response, output, is_whole=is_whole)
    choice: Fields = {"index": 0, "message": output.message(), "finish_reason": finish_reason}
    choice["logprobs"] = {"content": output.logprobs, "refusal": None} if output.logprobs else None
    return [choice]


def _finish_reason(response: Fields, output: Output, *, is_whole: bool) -> str | None:
    status, details = response.get("status"), response.get("incomplete_details")
    if status == "completed" or (status is None and is_whole):
        return "tool_calls" if output.tool_calls else "stop"
    reason = details.get("reason") if details.__class__ is dict else None
    return _FINISH_REASONS.get(reason) if reason.__class__ is str else None


def _fits(key: str, value: Any) -> bool:
    """Return whether a ChatCompletion may have ``value``, or what is made of it, as ``key``."""
    fits = _FITTING.get(key)
    return fits is None or (value is None and key not in {"object", "output"}) or fits(value)


def _is_moderation(value: Any) -> bool:
    return value.__class__ is dict and all(_is_judgement(value.get(side)) for side in ("input", "output"))


def _is_judgement(value: Any) -> bool:
    if value.__class__ is not dict:
        return False
    texts = {"moderation_result": ("model",), "error": ("code", "message")}.get(str(value.get("type")), ("type", ""))
    return all(value.get(key).__class__ is str for key in texts)


def _as_results(moderation: Any) -> Any:
    """Return a moderation with lists of results, which a completion has, where a response has one result each."""
    if moderation is None:
        return None
    return {key: _as_list(value) if key in {"input", "output"} else value for key, value in moderation.items()}


def _as_list(judgement: Fields) -> Fields:
    if judgement["type"] == "error":
        return judgement
    return {"type": "moderation_results", "model": judgement["model"], "results": [judgement]}


def _is_usage(value: Any) -> bool:
    return value.__class__ is dict and value.keys().isdisjoint(USAGE.values()) and _are_counts(value, depth=2)


def _are_counts(fields: Fields, depth: int) -> bool:
    """Return whether what is named after tokens is a number, and what is named after their details has such."""
    return all(
        value is None
        or (
            value.__class__ is int
            if key.endswith("tokens")
            else value.__class__ is dict and _are_counts(value, depth - 1)
        )
        for key, value in fields.items()
        if depth and key.endswith(("tokens", "tokens_details"))
    )


def _as_completion_usage(usage: Any) -> Any:
    if usage is None:
        return None
    return {USAGE.get(key, key): value for key, value in usage.items()}


def _are_texts(value: Any) -> bool:
    return value.__class__ is dict and all(each.__class__ is str for each in value.values())


_FITTING: dict[str, Callable[[Any], bool]] = {
    "metadata": _are_texts,
    "moderation": _is_moderation,
    "object": lambda value: bool(value == "response"),
    "output": lambda value: value.__class__ is list,
    "service_tier": lambda value: value.__class__ is str and value in _TIERS,
    "system_fingerprint": lambda value: value.__class__ is str,
    "usage": _is_usage,
}
"""What the values of fields have to be that a ChatCompletion has too, or that become others."""
