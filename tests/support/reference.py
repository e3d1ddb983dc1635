"""A second accumulator, written without a look at ours: it knows each field by its name, and is slow and plain."""

from __future__ import annotations

import json
from typing import Any

TEXTS = ("content", "refusal", "reasoning", "reasoning_content")
LAST_WINS = ("id", "model", "created", "system_fingerprint", "service_tier", "usage", "citations", "search_results",
             "provider", "x_groq", "prompt_filter_results", "prompt_token_ids")  # fmt: skip


def accumulated(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the completion that ``chunks`` make."""
    completion: dict[str, Any] = {"id": "", "object": "chat.completion", "created": 0, "model": "", "choices": []}
    for key in LAST_WINS:
        values = [chunk[key] for chunk in chunks if chunk.get(key)]
        if values:
            completion[key] = values[-1]
    parts = [part for chunk in chunks for part in chunk["choices"]]
    for index in sorted({part["index"] for part in parts}):
        completion["choices"].append(_choice(index, [part for part in parts if part["index"] == index]))
    return completion


def _choice(index: int, parts: list[dict[str, Any]]) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": index, "message": _message(parts), "logprobs": None, "finish_reason": None}
    for key in ("finish_reason", "native_finish_reason", "stop_reason"):
        values = [part[key] for part in parts if part.get(key)]
        if values:
            choice[key] = values[-1]
    logprobs = [part["logprobs"] for part in parts if part.get("logprobs")]
    if logprobs:
        choice["logprobs"] = {"content": [token for each in logprobs for token in each["content"]]}
    tokens = [part["token_ids"] for part in parts if part.get("token_ids")]
    if tokens:
        choice["token_ids"] = [token for each in tokens for token in each]
    filters: dict[str, Any] = {}
    for part in parts:
        filters.update(part.get("content_filter_results") or {})
    if filters:
        choice["content_filter_results"] = filters
    return choice


def _message(parts: list[dict[str, Any]]) -> dict[str, Any]:
    pairs = [(part.get("delta") or {}, part.get("message") or {}) for part in parts]
    message: dict[str, Any] = {"role": "assistant", "content": None}
    for key in TEXTS:
        text = _text([(delta.get(key), whole.get(key)) for delta, whole in pairs])
        if text is not None:
            message[key] = text
    calls = _calls([(delta.get("tool_calls") or [], whole.get("tool_calls") or []) for delta, whole in pairs])
    if calls:
        message["tool_calls"] = calls
    functions = [delta["function_call"] for delta, _ in pairs if delta.get("function_call")]
    if functions:
        arguments = "".join(function.get("arguments") or "" for function in functions)
        message["function_call"] = {"name": functions[0]["name"], "arguments": arguments}
    audio = [delta["audio"] for delta, _ in pairs if delta.get("audio")]
    if audio:
        message["audio"] = {
            "id": audio[0]["id"],
            "data": "".join(each.get("data", "") for each in audio),
            "transcript": "".join(each.get("transcript", "") for each in audio),
            "expires_at": audio[-1]["expires_at"],
        }
    details = [detail for delta, _ in pairs for detail in delta.get("reasoning_details") or ()]
    if details:
        text = "".join(detail["text"] for detail in details)
        message["reasoning_details"] = [{"type": "reasoning.text", "index": 0, "text": text}]
    return message


def _text(pairs: list[tuple[str | None, str | None]]) -> str | None:
    if all(piece is None and whole is None for piece, whole in pairs):
        return None
    text = ""
    for piece, whole in pairs:
        text += piece or ""
        if whole is not None and len(whole) > len(text) and whole[: len(text)] == text:
            text = whole
    return text


def _calls(pairs: list[tuple[list[Any], list[Any]]]) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    numbers: list[int | None] = []
    for fragments, whole in pairs:
        for fragment in fragments:
            function, number = fragment["function"], fragment.get("index")
            at = next((at for at in reversed(range(len(calls))) if numbers[at] == number), None)
            if at is None or _is_another(calls[at], fragment):
                calls.append({"id": fragment.get("id") or "", "function": {"name": "", "arguments": ""}})
                numbers.append(number)
                at = len(calls) - 1
            calls[at]["function"]["name"] = function.get("name") or calls[at]["function"]["name"]
            calls[at]["function"]["arguments"] += function.get("arguments") or ""
            calls[at].update({key: fragment[key] for key in ("type", "extra_content") if fragment.get(key)})
        for position, call in enumerate(whole):
            if position >= len(calls):
                calls.append(json.loads(json.dumps(call)))
                numbers.append(position)
            elif len(call["function"]["arguments"]) > len(calls[position]["function"]["arguments"]):
                calls[position]["function"]["arguments"] = call["function"]["arguments"]
    return calls


def _is_another(call: dict[str, Any], fragment: dict[str, Any]) -> bool:
    name = fragment["function"].get("name")
    if not name:
        return False
    if call["id"] or fragment.get("id"):
        return bool(fragment.get("id")) and fragment["id"] != call["id"]
    try:
        return isinstance(json.loads(call["function"]["arguments"]), dict)
    except ValueError:
        return False
