"""Chat completions, and the legacy text completions: a request -> what is answered. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ainsights.mock_openai import sse, text_completions
from ainsights.mock_openai.chunks import chunks
from ainsights.mock_openai.completions import completion
from ainsights.mock_openai.request import InvalidRequestError, require

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ainsights.mock_openai.script import Script


def answer_chat(script: Script, request: Mapping[str, Any], key: str) -> Any:
    """Return a ChatCompletion, or the events of its chunks."""
    whole = completion(script, request, key)
    if request.get("stream") is not True:
        return whole
    return sse.events(chunks(whole, pieces=script.chunks, include_usage=_wants_usage(request)), script)


def check_chat(request: dict[str, Any]) -> None:
    """Raise :class:`InvalidRequestError` if the request has no messages."""
    messages = require(request, "messages")
    if not messages or not isinstance(messages, list):
        raise InvalidRequestError("Invalid 'messages': give an array with one message or more.", "messages")


def answer_text(script: Script, request: Mapping[str, Any], key: str) -> Any:
    """Return a text completion, or the events of its chunks."""
    whole = text_completions.completion(script, request, key)
    if request.get("stream") is not True:
        return whole
    parts = text_completions.chunks(whole, pieces=script.chunks, include_usage=_wants_usage(request))
    return sse.events(parts, script)


def check_text(request: dict[str, Any]) -> None:
    """Raise :class:`InvalidRequestError` if the prompt is neither texts nor tokens."""
    prompt = request.get("prompt", "")
    if not isinstance(prompt, str | list):
        raise InvalidRequestError("Invalid type for 'prompt': give a string or an array.", "prompt", "invalid_type")


def _wants_usage(request: Mapping[str, Any]) -> bool:
    options = request.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True
