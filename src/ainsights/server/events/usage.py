"""The tokens of a call, under the names that OpenAI and others use. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from ainsights.server.events.reading import as_count, as_dict


class Usage(NamedTuple):
    """Tokens; None where the response has none."""

    prompt: int | None
    completion: int | None
    total: int | None
    cached: int | None
    reasoning: int | None


def usage_of(response: dict[str, Any]) -> Usage:
    """Return the usage that the response states."""
    usage = as_dict(response.get("usage"))
    prompt = _first(usage, "prompt_tokens", "input_tokens")
    completion = _first(usage, "completion_tokens", "output_tokens")
    total = as_count(usage.get("total_tokens"))
    if total is None and prompt is not None and completion is not None:
        total = prompt + completion
    cached = _first(as_dict(usage.get("prompt_tokens_details")), "cached_tokens")
    if cached is None:
        cached = _first(usage, "cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")
    reasoning = _first(as_dict(usage.get("completion_tokens_details")), "reasoning_tokens")
    if reasoning is None:
        reasoning = _first(usage, "reasoning_tokens")
    return Usage(prompt, completion, total, cached, reasoning)


def _first(usage: dict[str, Any], *names: str) -> int | None:
    for name in names:
        count = as_count(usage.get(name))
        if count is not None:
            return count
    return None
