"""Rebuilds the response of the API from an event alone."""

from __future__ import annotations

from typing import Any

from ainsights._processing.responses.converter import USAGE
from ainsights._processing.responses.items import BETWEEN_REASONING, CALLS

Fields = dict[str, Any]
MADE = {"id", "object", "created", "model", "choices", "usage", "outline", "output", "original"}


def response_of(completion: Fields) -> Fields:
    """Return the response that became ``completion``."""
    original = completion.get("original", {})
    response: Fields = {key: value for key, value in completion.items() if key not in MADE}
    response |= {key: completion[key] for key in ("id", "model") if key in completion}
    response |= {"object": "response", "output": _output(completion)}
    response.setdefault("created_at", completion.get("created"))
    if "usage" in completion and completion["usage"] is not None:
        names = {new: old for old, new in USAGE.items()}
        response["usage"] = {names.get(key, key): value for key, value in completion["usage"].items()}
    elif "usage" in completion:
        response["usage"] = None
    if response.get("moderation") is not None:
        response["moderation"] = {key: _one(value) for key, value in response["moderation"].items()}
    return response | original


def _one(judgement: Any) -> Any:
    return judgement["results"][0] if isinstance(judgement, dict) and "results" in judgement else judgement


def _output(completion: Fields) -> list[Any]:
    choice = completion["choices"][0] if completion["choices"] else {"message": {}, "logprobs": None}
    parts = _Parts(choice["message"], (choice["logprobs"] or {}).get("content") or [])
    return [parts.item(entry, completion.get("output", [])) for entry in completion["outline"]]


class _Parts:
    def __init__(self, message: Fields, logprobs: list[Any]) -> None:
        self.message = message
        self.texts = {name: message.get(name) or "" for name in ("content", "refusal", "reasoning_content")}
        self.logprobs = logprobs
        self.length = 0

    def item(self, entry: Fields, output: list[Any]) -> Any:
        if entry.keys() == {"output"}:
            return output[entry["output"]]
        if entry["type"] == "message":
            return entry | {"content": [self.part(part) for part in entry["content"]]}
        if entry["type"] in CALLS:
            kind, text = CALLS[entry["type"]]
            call = self.message["tool_calls"][entry["tool_call"]]
            item = entry | {"call_id": call["id"], "name": call[kind]["name"], text: call[kind][text]}
            return {key: value for key, value in item.items() if key != "tool_call"}
        keys = [key for key in ("summary", "content") if entry.get(key)]
        return entry | {key: [self.thought(part) for part in entry[key]] for key in keys}

    def take(self, name: str, length: int) -> str:
        text, self.texts[name] = self.texts[name][:length], self.texts[name][length:]
        return text

    def thought(self, part: Fields) -> Fields:
        whole = part | {"text": self.take("reasoning_content", part["text"])}
        self.take("reasoning_content", len(BETWEEN_REASONING))
        return whole

    def part(self, part: Fields) -> Fields:
        if part.get("type") == "refusal":
            return part | {"refusal": self.take("refusal", part["refusal"])}
        if part.get("type") != "output_text":
            return part
        whole = part | {"text": self.take("content", part["text"])}
        if isinstance(part.get("annotations"), list):
            whole["annotations"] = [self.annotation(each) for each in part["annotations"]]
        if isinstance(part.get("logprobs"), int):
            whole["logprobs"], self.logprobs = self.logprobs[: part["logprobs"]], self.logprobs[part["logprobs"] :]
        self.length += part["text"]
        return whole

    def annotation(self, annotation: Any) -> Any:
        if not isinstance(annotation, int):
            return annotation
        citation = self.message["annotations"][annotation]["url_citation"]
        ends = {key: citation[key] - self.length for key in ("start_index", "end_index")}
        return {"type": "url_citation"} | citation | ends
