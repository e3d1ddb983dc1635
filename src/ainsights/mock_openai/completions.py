"""Script and request -> its ChatCompletion. Pure: the same request gets the same one."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, TypeAlias

from ainsights.mock_openai import texts
from ainsights.mock_openai.texts import CREATED, objects, role_of, text_of, token_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ainsights.mock_openai.script import Script

_Fields: TypeAlias = "dict[str, Any]"

_MOST_CHOICES = 128


def completion(script: Script, request: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the ChatCompletion, as JSON, that ``script`` makes of ``request``.

    Args:
        script: the directives.
        request: the body of the request.
        key: what ids are made of.
    """
    choices = [_choice(script, request, index, key) for index in range(choice_count(script, request))]
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
    return answer | texts.VENDOR if script.vendor else answer


def choice_count(script: Script, request: Mapping[str, Any]) -> int:
    """Return how many choices are wanted."""
    asked = request.get("n")
    return script.n or (asked if isinstance(asked, int) and 1 <= asked <= _MOST_CHOICES else 1)


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
        message["reasoning_content"] = texts.REASONING
    if _calls_tools(script, request):
        return message | {"tool_calls": _tool_calls(script, request, f"{key}{index}")}, "tool_calls"
    if script.function:
        called = texts.calls([_definition({"function": known}) for known in objects(request.get("functions"))])[0]
        return message | {"function_call": _called(called)}, "function_call"
    if script.refusal:
        return message | {"refusal": texts.shortened(script, texts.REFUSAL)}, "stop"
    if script.audio:
        return message | {"audio": _audio(key)}, "stop"
    return message | {"content": _content(script, request, index)}, "stop"


def _content(script: Script, request: Mapping[str, Any], index: int) -> str:
    kind = request.get("response_format")
    kind = kind if isinstance(kind, dict) else {}
    if script.text is None and (script.json or kind.get("type") in ("json_schema", "json_object")):
        return texts.structured_reply(script, (kind.get("json_schema") or {}).get("schema"), index)
    return texts.reply(script, texts.last_user_text(request["messages"]), index)


def _calls_tools(script: Script, request: Mapping[str, Any]) -> bool:
    choice = request.get("tool_choice")
    asked = script.tools or choice == "required" or isinstance(choice, dict)
    return asked and role_of(request["messages"][-1]) != "tool"


def _tool_calls(script: Script, request: Mapping[str, Any], key: str) -> list[_Fields]:
    choice = request.get("tool_choice")
    chosen = choice.get(choice.get("type"), {}).get("name") if isinstance(choice, dict) else None
    definitions = [_definition(tool) for tool in objects(request.get("tools"))]
    definitions = [definition for definition in definitions if chosen in (None, definition.get("name"))]
    parallel = script.tools and chosen is None and request.get("parallel_tool_calls") is not False
    called = texts.calls(definitions)[: 2 if parallel else 1]
    return [{"id": f"call_{key}{number}", **_tool_call(call)} for number, call in enumerate(called)]


def _definition(tool: _Fields) -> _Fields:
    found = tool.get(tool.get("type", "function"), tool.get("function"))
    return {**(found if isinstance(found, dict) else {}), "custom": tool.get("type") == "custom"}


def _tool_call(call: _Fields) -> _Fields:
    if call["custom"]:
        return {"type": "custom", "custom": {"name": call["name"], "input": texts.custom_input(call["name"])}}
    return {"type": "function", "function": _called(call)}


def _called(call: _Fields) -> _Fields:
    return {"name": call["name"], "arguments": json.dumps(call["arguments"], ensure_ascii=False)}


def _audio(key: str) -> _Fields:
    data = base64.b64encode(bytes(range(256)) + key.encode()).decode()
    return {"id": f"audio_{key}", "data": data, "expires_at": CREATED + 3600, "transcript": texts.TRANSCRIPT}


def _logprobs(message: _Fields, request: Mapping[str, Any]) -> _Fields | None:
    known = {name: message[name] for name in ("content", "refusal")}
    if not any(known.values()):
        return None
    top = request.get("top_logprobs")
    return {name: texts.token_logprobs(text, top) if text else None for name, text in known.items()}


def _usage(script: Script, request: Mapping[str, Any], choices: list[_Fields]) -> _Fields:
    prompt = sum(3 + token_count(text_of(message)) for message in request["messages"])
    reasoning = len(choices) * token_count(texts.REASONING) if script.reasoning else 0
    answered = reasoning + sum(token_count(text) for choice in choices for text in _texts_in(choice["message"]))
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
