"""Script and request -> the response, as an object, in each of its states. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from ainsights.mock_openai import texts
from ainsights.mock_openai.responses.output import output_items

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ainsights.mock_openai.script import Script

_Fields: TypeAlias = "dict[str, Any]"

TERMINAL = ("completed", "incomplete", "failed", "cancelled")
"""The statuses of a response that will not change."""

_DEFAULTS: _Fields = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}
"""What the response repeats of the request, and its values where the request has none."""


def response_body(script: Script, request: Mapping[str, Any], history: Sequence[Any], key: str) -> _Fields:
    """Return the response, as JSON, in the state in which it ends.

    Args:
        script: the directives.
        request: the body of the request.
        history: the items of the responses that it continues.
        key: what ids are made of.
    """
    messages = [*history, *input_messages(request)]
    output = [] if request.get("generate") is False else output_items(script, request, messages, key)
    response: _Fields = {
        "id": f"resp_{key}",
        "object": "response",
        "created_at": texts.CREATED,
        "completed_at": texts.CREATED + 1,
        "status": "failed" if script.failed else "incomplete" if script.length or script.filter else "completed",
        "error": {"code": "server_error", "message": "The model failed, as its script wants."}
        if script.failed
        else None,
        "incomplete_details": _incomplete_details(script),
        "model": request["model"],
        "output": output,
        "reasoning": request.get("reasoning") or {"effort": None, "summary": None},
        "service_tier": "default",
        "text": {"format": {"type": "text"}, "verbosity": "medium"} | (request.get("text") or {}),
        "tools": [_tool(tool) for tool in texts.objects(request.get("tools"))],
        "usage": None if script.failed else _usage(messages, request, output),
        **{name: default if request.get(name) is None else request[name] for name, default in _DEFAULTS.items()},
        **_conversation(request),
    }
    return response | texts.VENDOR if script.vendor else response


def unfinished(response: Mapping[str, Any], status: str) -> _Fields:
    """Return the response as it is before its end, or when it was cancelled: without output and usage."""
    nothing: _Fields = {"completed_at": None, "error": None, "incomplete_details": None, "output": [], "usage": None}
    return {**response, **nothing, "status": status}


def input_messages(request: Mapping[str, Any]) -> list[Any]:
    """Return the input of a request as a list; a text is a message of the user."""
    given = request.get("input")
    if isinstance(given, list):
        return given
    return [] if given is None else [{"role": "user", "content": given}]


def input_tokens(messages: Sequence[Any], request: Mapping[str, Any]) -> int:
    """Return how many tokens the model reads."""
    instructions = texts.token_count(texts.text_of(request.get("instructions") or ""))
    return instructions + sum(3 + texts.token_count(texts.text_of(message)) for message in messages)


def _incomplete_details(script: Script) -> _Fields | None:
    if script.failed or not (script.length or script.filter):
        return None
    return {"reason": "max_output_tokens" if script.length else "content_filter"}


def _tool(tool: _Fields) -> _Fields:
    usual = {"description": None, "parameters": None, "strict": True} if tool.get("type") == "function" else {}
    return usual | tool


def _conversation(request: Mapping[str, Any]) -> _Fields:
    given = request.get("conversation")
    if given is None:
        return {}
    return {"conversation": {"id": given.get("id", "") if isinstance(given, dict) else str(given)}}


def _usage(messages: Sequence[Any], request: Mapping[str, Any], output: list[_Fields]) -> _Fields:
    asked = input_tokens(messages, request)
    reasoning = sum(texts.token_count(json.dumps(item)) for item in output if item["type"] == "reasoning")
    answered = sum(texts.token_count(json.dumps(item)) for item in output)
    return {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": answered,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": asked + answered,
    }
