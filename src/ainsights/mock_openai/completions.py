"""Script and request -> its ChatCompletion. Pure: the same request gets the same one."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, TypeAlias

from ainsights.mock_openai.chunks import TOKEN, tokens
from ainsights.mock_openai.schema import instance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ainsights.mock_openai.script import Script

_Fields: TypeAlias = "dict[str, Any]"

CREATED = 1_715_600_000
"""The ``created`` of all that is answered."""

_LONGEST_ECHO = 1000
_MOST_CHOICES = 128
_FUNCTIONS: list[_Fields] = [
    {"name": "get_weather", "arguments": {"city": "Zürich"}},
    {"name": "get_time", "arguments": {"zone": "Asia/東京"}},
]
_REFUSAL = "Sorry – I can't help with that."
_REASONING = "The user wrote something – so I say it back, naïvely. 🤔"
_TRANSCRIPT = "Grüezi! That is what I would say."
_VENDOR: _Fields = {
    "provider": "Mock",
    "citations": ["https://example.com/one", "https://example.com/zwei?ü=1"],
    "x_extra": {"route": {"region": "eu-central", "tries": [1, {"ms": 12.5}]}, "note": None},
}


def completion(script: Script, request: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the ChatCompletion, as JSON, that ``script`` makes of ``request``.

    Args:
        script: the directives.
        request: the body of the request.
        key: what ids are made of.
    """
    asked = request.get("n")
    count = script.n or (asked if isinstance(asked, int) and 1 <= asked <= _MOST_CHOICES else 1)
    choices = [_choice(script, request, index, key) for index in range(count)]
    answer: _Fields = {
        "id": f"chatcmpl-{key}",
        "object": "chat.completion",
        "created": CREATED,
        "model": request["model"],
        "choices": choices,
        "usage": _usage(script, request, choices),
        "service_tier": "default",
        "system_fingerprint": "fp_mock",
    }
    return answer | _VENDOR if script.vendor else answer


def _choice(script: Script, request: Mapping[str, Any], index: int, key: str) -> _Fields:
    message, finish_reason = _message(script, request, index, key)
    choice: _Fields = {
        "index": index,
        "message": message,
        "logprobs": _logprobs(message, request) if script.logprobs or request.get("logprobs") is True else None,
        "finish_reason": "length" if script.length else "content_filter" if script.filter else finish_reason,
    }
    if script.filter:
        choice["content_filter_results"] = {"violence": {"filtered": True, "severity": "high"}}
    if script.vendor:
        choice["native_finish_reason"] = "STOP"
    return choice


def _message(script: Script, request: Mapping[str, Any], index: int, key: str) -> tuple[_Fields, str]:
    message: _Fields = {"role": "assistant", "content": script.text, "refusal": None}
    if script.reasoning:
        message["reasoning_content"] = _REASONING
    if _calls_tools(script, request):
        return message | {"tool_calls": _tool_calls(script, request, f"{key}{index}")}, "tool_calls"
    if script.function:
        called = _functions([{"function": known} for known in _listed(request, "functions")])[0]
        return message | {"function_call": _called(called)}, "function_call"
    if script.refusal:
        return message | {"refusal": _shortened(script, _REFUSAL)}, "stop"
    if script.audio:
        return message | {"audio": _audio(key)}, "stop"
    return message | {"content": _content(script, request, index)}, "stop"


def _content(script: Script, request: Mapping[str, Any], index: int) -> str:
    kind = request.get("response_format")
    kind = kind if isinstance(kind, dict) else {}
    if script.text is None and (script.json or kind.get("type") in ("json_schema", "json_object")):
        schema = (kind.get("json_schema") or {}).get("schema")
        value = {"answer": "naïve", "number": index} if schema is None else instance(schema)
        return _shortened(script, json.dumps(value, ensure_ascii=False))
    text = f"You said: “{_last_user_text(request)}” – naïve café, 你好 🙂" if script.text is None else script.text
    text = f"{text} ({index + 1})" if index else text
    return _shortened(script, _stretched(text, script))


def _stretched(text: str, script: Script) -> str:
    """Return ``text`` repeated until it has the size and the number of chunks that are wanted."""
    if script.chunks and len(text) < script.chunks * TOKEN:
        text = ((text or "-") * (script.chunks * TOKEN))[: script.chunks * TOKEN]
    if script.size:
        once = (text or "-").encode(errors="replace")
        text = (once * (script.size // len(once) + 1))[: script.size].decode(errors="ignore")
    return text


def _shortened(script: Script, text: str) -> str:
    return text[: (len(text) + 1) // 2] if script.length or script.filter else text


def _last_user_text(request: Mapping[str, Any]) -> str:
    texts = (_text_of(message) for message in reversed(request["messages"]) if _role(message) == "user")
    return next(texts, "")[:_LONGEST_ECHO]


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None


def _text_of(message: Any) -> str:
    content = message.get("content") if isinstance(message, dict) else message
    parts = content if isinstance(content, list) else [{"text": content}]
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return " ".join(text for text in texts if isinstance(text, str))


def _calls_tools(script: Script, request: Mapping[str, Any]) -> bool:
    choice = request.get("tool_choice")
    asked = script.tools or choice == "required" or isinstance(choice, dict)
    return asked and _role(request["messages"][-1]) != "tool"


def _tool_calls(script: Script, request: Mapping[str, Any], key: str) -> list[_Fields]:
    choice = request.get("tool_choice")
    chosen = choice.get(choice.get("type"), {}).get("name") if isinstance(choice, dict) else None
    tools = [tool for tool in _listed(request, "tools") if chosen in (None, _definition(tool).get("name"))]
    parallel = script.tools and chosen is None and request.get("parallel_tool_calls") is not False
    calls = _functions(tools)[: 2 if parallel else 1]
    return [{"id": f"call_{key}{number}", **_tool_call(call)} for number, call in enumerate(calls)]


def _functions(tools: list[_Fields]) -> list[_Fields]:
    """Return what to call: two of ``tools``, one of them twice if there is one only, else two of our own."""
    if not tools:
        return _FUNCTIONS
    texts = ("Zürich", "東京")
    return [
        {
            "name": _definition(tool).get("name", "unnamed"),
            "arguments": instance(_definition(tool).get("parameters") or {"type": "object"}, text),
            "custom": tool.get("type") == "custom",
        }
        for tool, text in zip([*tools, *tools], texts, strict=False)
    ]


def _definition(tool: _Fields) -> _Fields:
    found = tool.get(tool.get("type", "function"), tool.get("function"))
    return found if isinstance(found, dict) else {}


def _tool_call(call: _Fields) -> _Fields:
    if call.get("custom"):
        return {"type": "custom", "custom": {"name": call["name"], "input": f"print('{call['name']}: ü')"}}
    return {"type": "function", "function": _called(call)}


def _called(call: _Fields) -> _Fields:
    return {"name": call["name"], "arguments": json.dumps(call["arguments"], ensure_ascii=False)}


def _listed(request: Mapping[str, Any], name: str) -> list[_Fields]:
    value = request.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _audio(key: str) -> _Fields:
    data = base64.b64encode(bytes(range(256)) + key.encode()).decode()
    return {"id": f"audio_{key}", "data": data, "expires_at": CREATED + 3600, "transcript": _TRANSCRIPT}


def _logprobs(message: _Fields, request: Mapping[str, Any]) -> _Fields | None:
    asked = request.get("top_logprobs")
    top = asked if isinstance(asked, int) else 0
    texts = {name: message[name] for name in ("content", "refusal")}
    if not any(texts.values()):
        return None
    return {name: [_entry(token, top) for token in tokens(text)] if text else None for name, text in texts.items()}


def _entry(token: str, top: int) -> _Fields:
    others = [token, *(f"{token[:2]}{rank}" for rank in range(1, top))][:top]
    return _ranked(token, 0) | {"top_logprobs": [_ranked(other, rank) for rank, other in enumerate(others)]}


def _ranked(token: str, rank: int) -> _Fields:
    return {"token": token, "logprob": -0.125 - rank, "bytes": list(token.encode(errors="replace"))}


def _usage(script: Script, request: Mapping[str, Any], choices: list[_Fields]) -> _Fields:
    prompt = sum(3 + _count(_text_of(message)) for message in request["messages"])
    reasoning = len(choices) * _count(_REASONING) if script.reasoning else 0
    answered = reasoning + sum(_count(text) for choice in choices for text in _texts_in(choice["message"]))
    usage: _Fields = {
        "prompt_tokens": prompt,
        "completion_tokens": answered,
        "total_tokens": prompt + answered,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    return usage | {"cost": 0.000125} if script.vendor else usage


def _texts_in(message: _Fields) -> Iterable[str]:
    yield from (message[name] or "" for name in ("content", "refusal"))
    yield from (json.dumps(message[name]) for name in ("tool_calls", "function_call", "audio") if message.get(name))


def _count(text: str) -> int:
    return -(-len(text) // TOKEN)
