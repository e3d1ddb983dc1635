"""Every case of the mock model API once, so that a test can walk over all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ainsights.mock_openai.script import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

ORDINARY = "gpt-4o-mini"

_WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city, now – 天気.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
            "required": ["city", "days"],
        },
    },
}
_SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "person",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "age": {"type": "integer"},
                "kind": {"enum": ["friend", "foe"]},
                "friends": {"type": "array", "items": {"$ref": "#/$defs/Friend"}},
            },
            "required": ["name", "age", "kind", "friends"],
            "additionalProperties": False,
            "$defs": {
                "Friend": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            },
        },
    },
}
_USAGE = {"stream_options": {"include_usage": True}}
_TOOLS = {"tools": [_WEATHER]}
_NOTHING: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Case:
    """One request, and what to expect of it.

    Attributes:
        name: unique.
        directive: those of the model's name; ``""`` asks for an ordinary reply.
        stream: whether the answer is streamed.
        extras: further arguments of ``client.chat.completions.create``.
        fails: whether the call, or reading its stream, raises in openai's client without retries.
        hangs: whether it ends only with the client's timeout, so give a short one.
    """

    name: str
    directive: str = ""
    stream: bool = False
    extras: Mapping[str, Any] = field(default_factory=dict, hash=False)
    fails: bool = False
    hangs: bool = False

    @property
    def model(self) -> str:
        """The model's name, with the directives."""
        return PREFIX + self.directive if self.directive else ORDINARY

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of ``client.chat.completions.create``."""
        streamed = {"stream": True} if self.stream else {}
        question = {"role": "user", "content": f"Was heißt „{self.name}“?"}
        return {"model": self.model, "messages": [question], **streamed, **self.extras}


def _both(name: str, directive: str = "", extras: Mapping[str, Any] = _NOTHING, *, fails: bool = False) -> list[Case]:
    options = {"extras": extras, "fails": fails}
    return [Case(name, directive, **options), Case(f"{name}, streamed", directive, stream=True, **options)]  # type: ignore[arg-type]


def _whole(name: str, directive: str, *, fails: bool = False, hangs: bool = False) -> list[Case]:
    return [Case(name, directive, fails=fails, hangs=hangs)]


def _stream(
    name: str,
    directive: str = "",
    extras: Mapping[str, Any] = _NOTHING,
    *,
    fails: bool = False,
    hangs: bool = False,
) -> list[Case]:
    return [Case(name, directive, stream=True, extras=extras, fails=fails, hangs=hangs)]


CASES: tuple[Case, ...] = (
    *_both("plain"),
    *_both("text", "text=Zuerst%2C dann – 好 🙂"),
    *_both("no text", "text="),
    *_both("several choices", "", {"n": 3}),
    *_both("choices by directive", "n=2"),
    *_stream("usage", "", _USAGE),
    *_stream("usage of several choices", "n=2", _USAGE),
    *_both("tools", "tools"),
    *_both("tools of the request", "tools", _TOOLS),
    *_both("tools and text", "tools,text=Einen Moment …", _TOOLS),
    *_both("tools of several choices", "tools,n=2"),
    *_both("required tool", "", {**_TOOLS, "tool_choice": "required"}),
    *_both("custom tool", "tools", {"tools": [{"type": "custom", "custom": {"name": "python"}}]}),
    *_both("function", "function"),
    *_both("refusal", "refusal"),
    *_both("logprobs", "logprobs"),
    *_both("logprobs of the request", "n=2", {"logprobs": True, "top_logprobs": 2}),
    *_both("logprobs of a refusal", "refusal,logprobs"),
    *_both("audio", "audio"),
    *_both("reasoning", "reasoning"),
    *_both("vendor", "vendor,reasoning"),
    *_stream("vendor's usage", "vendor", _USAGE),
    *_both("schema", "", {"response_format": _SCHEMA}),
    *_both("JSON", "json", {"response_format": {"type": "json_object"}}),
    *_both("length", "length"),
    *_both("filter", "filter"),
    *_both("large", "size=300000"),
    *_stream("many chunks", "chunks=500"),
    *_both("gzip", "gzip"),
    *_both("deflate", "deflate"),
    *_both("delay", "delay=0.02"),
    *_stream("pace", "pace=0.005,chunks=5"),
    *_stream("CR LF", "crlf"),
    *_stream("comments", "comments"),
    *_stream("no [DONE]", "nodone"),
    *_stream("delta null", "nulldelta"),
    *_stream("no delta", "nodelta"),
    *_stream("empty choices", "emptychoices"),
    *_stream("empty first chunk", "emptyfirst"),
    *_both("split", "split"),
    *_stream("split, CR LF, comments, gzip", "split,crlf,comments,gzip"),
    *_stream("tool calls without index", "tools,noindex"),
    *_stream("event names", "event-names"),
    *_stream("merged", "merge"),
    *(
        case
        for status in (400, 401, 403, 404, 409, 413, 422, 429, 500, 503)
        for case in _both(f"status {status}", f"status={status}", fails=True)
    ),
    *_both("retry after", "status=429,retry-after=0.01", fails=True),
    *_whole("page", "html"),
    *_stream("page, streamed", "html"),
    *_whole("bad JSON", "badjson", fails=True),
    *_stream("bad JSON, streamed", "badjson", fails=True),
    *_whole("nothing", "empty", fails=True),
    *_stream("nothing, streamed", "empty"),
    *_whole("cut gzip", "badgzip", fails=True),
    *_stream("error event", "sse-error", fails=True),
    *_stream("error event with a name", "sse-error,event-names", fails=True),
    *_both("abort", "abort=3", fails=True),
    *_stream("abort at once", "abort=0", fails=True),
    *_stream("abort of gzip", "abort=3,gzip", fails=True),
    *_both("reset", "reset", fails=True),
    *_whole("hang", "hang", fails=True, hangs=True),
    *_stream("hang, streamed", "hang", fails=True, hangs=True),
    *_whole("hang midway", "hang=3", fails=True, hangs=True),
    *_stream("hang midway, streamed", "hang=3", fails=True, hangs=True),
)
"""Every case. ``fail=N`` is not among them, for it depends on earlier requests."""
