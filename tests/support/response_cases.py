"""Every case of the mock model API's Responses API once, so that a test can walk over all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from support.cases import Case

WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city, now – 天気.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
    "strict": True,
}
PYTHON: dict[str, Any] = {"type": "custom", "name": "python"}
_PERSON = {
    "type": "json_schema",
    "name": "person",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    },
}
_EXTRAS: dict[str, dict[str, Any]] = {
    "tools of the request": {"tools": [WEATHER]},
    "tools and text": {"tools": [WEATHER]},
    "custom tool": {"tools": [PYTHON]},
    "required tool": {"tools": [WEATHER], "tool_choice": "required"},
    "web search": {"tools": [{"type": "web_search_preview"}]},
    "schema": {"text": {"format": _PERSON}},
    "instructions": {"instructions": "Sei höflich."},
    "messages": {
        "input": [
            {"role": "developer", "content": "Sei höflich."},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Grüezi"}]},
            {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city": "Zürich"}'},
            {"type": "function_call_output", "call_id": "call_1", "output": "21 °C"},
            {"role": "user", "content": "Und 東京?"},
        ]
    },
    "included": {"include": ["reasoning.encrypted_content", "file_search_call.results"]},
    "not obfuscated": {"stream_options": {"include_obfuscation": False}},
}


@dataclass(frozen=True, slots=True)
class ResponseCase(Case):
    """One request to the Responses API, and what to expect of it; ``fails`` and ``hangs`` are of the transport."""

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of ``client.responses.create``."""
        streamed = {"stream": True} if self.stream else {}
        return {"model": self.model, "input": f"Was heißt „{self.name}“?", **streamed, **self.extras}


def _case(name: str, directive: str, *, stream: bool, fails: bool = False, hangs: bool = False) -> ResponseCase:
    shown = f"{name}, streamed" if stream else name
    return ResponseCase(shown, directive, stream=stream, extras=_EXTRAS.get(name, {}), fails=fails, hangs=hangs)


def _both(name: str, directive: str = "", *, fails: bool = False, hangs: bool = False) -> list[ResponseCase]:
    return [_case(name, directive, stream=stream, fails=fails, hangs=hangs) for stream in (False, True)]


def _whole(name: str, directive: str, *, fails: bool = False) -> list[ResponseCase]:
    return [_case(name, directive, stream=False, fails=fails)]


def _stream(name: str, directive: str = "", *, fails: bool = False, hangs: bool = False) -> list[ResponseCase]:
    return [_case(name, directive, stream=True, fails=fails, hangs=hangs)]


RESPONSE_CASES: tuple[ResponseCase, ...] = (
    *_both("plain"),
    *_both("text", "text=Zuerst%2C dann – 好 🙂"),
    *_both("no text", "text="),
    *_both("instructions"),
    *_both("messages"),
    *_both("tools", "tools"),
    *_both("tools of the request", "tools"),
    *_both("tools and text", "tools,text=Einen Moment …"),
    *_both("custom tool", "tools"),
    *_both("required tool"),
    *_both("web search", "tools"),
    *_both("refusal", "refusal"),
    *_both("reasoning", "reasoning"),
    *_both("included", "reasoning,output=file_search_call"),
    *_both("every item", "output=all,reasoning"),
    *_both("logprobs", "logprobs"),
    *_both("vendor", "vendor"),
    *_both("schema"),
    *_both("length", "length"),
    *_both("filter", "filter"),
    *_both("failed", "failed"),
    *_both("large", "size=300000"),
    *_stream("many chunks", "chunks=500"),
    *_stream("not obfuscated"),
    *_stream("audio", "audio"),
    *_stream("output null", "nulloutput"),
    *_stream("no last event", "nodone"),
    *_stream("error event", "sse-error"),
    *_both("gzip", "gzip"),
    *_both("deflate", "deflate"),
    *_both("split", "split"),
    *_stream("merged", "merge"),
    *_stream("CR LF", "crlf"),
    *_stream("comments", "comments"),
    *_stream("pace", "pace=0.005,chunks=5"),
    *_both("polls", "polls=1"),
    *(
        case
        for status in (400, 401, 403, 404, 409, 422, 429, 500, 503)
        for case in _both(f"status {status}", f"status={status}", fails=True)
    ),
    *_both("bad JSON", "badjson", fails=True),
    *_whole("nothing", "empty", fails=True),
    *_whole("cut gzip", "badgzip", fails=True),
    *_both("abort", "abort=3", fails=True),
    *_stream("abort at once", "abort=0", fails=True),
    *_stream("abort of gzip", "abort=3,gzip", fails=True),
    *_both("reset", "reset", fails=True),
    *_both("hang", "hang", fails=True, hangs=True),
    *_stream("hang midway", "hang=3", fails=True, hangs=True),
)
"""Every case. ``fail=N`` is not among them, for it depends on earlier requests."""
