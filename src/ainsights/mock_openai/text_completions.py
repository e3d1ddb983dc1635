"""Script and request -> the legacy text completion of ``/v1/completions``, whole and in chunks. Pure."""

from __future__ import annotations

from itertools import accumulate, zip_longest
from typing import TYPE_CHECKING, Any

from ainsights.mock_openai import texts
from ainsights.mock_openai.chunks import cut
from ainsights.mock_openai.completions import choice_count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ainsights.mock_openai.script import Script


def completion(script: Script, request: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the Completion, as JSON, that ``script`` makes of ``request``: n choices for each of its prompts."""
    prompts = _prompts(request.get("prompt", ""))
    each = choice_count(script, request)
    choices = [
        _choice(script, request, prompt, index * each + number)
        for index, prompt in enumerate(prompts)
        for number in range(each)
    ]
    asked = sum(texts.token_count(prompt) for prompt in prompts)
    answered = sum(texts.token_count(choice["text"]) for choice in choices)
    return {
        "id": f"cmpl-{key}",
        "object": "text_completion",
        "created": texts.CREATED,
        "model": request["model"],
        "choices": choices,
        "usage": {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered},
        "system_fingerprint": "fp_mock",
        **(texts.VENDOR if script.vendor else {}),
    }


def chunks(
    whole: Mapping[str, Any], *, pieces: int | None = None, include_usage: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield the chunks in which the API would have streamed a Completion; choices take turns."""
    common = {key: value for key, value in whole.items() if key not in ("choices", "usage")}
    usage = {"usage": None} if include_usage else {}
    for turn in zip_longest(*(_of_choice(choice, pieces) for choice in whole["choices"])):
        for choice in turn:
            if choice is not None:
                yield {**common, "choices": [choice], **usage}
    if include_usage:
        yield {**common, "choices": [], "usage": whole["usage"]}


def _of_choice(choice: dict[str, Any], pieces: int | None) -> Iterator[dict[str, Any]]:
    logprobs, start = choice["logprobs"], 0
    for part in cut(choice["text"] if logprobs is None else logprobs["tokens"], pieces):
        end = start + len(part)
        known = logprobs and {name: values[start:end] for name, values in logprobs.items()}
        yield {**choice, "text": "".join(part), "logprobs": known, "finish_reason": None}
        start = end
    yield {**choice, "text": "", "logprobs": None}


def _choice(script: Script, request: Mapping[str, Any], prompt: str, index: int) -> dict[str, Any]:
    text = (prompt if request.get("echo") is True else "") + texts.reply(script, prompt, index)
    top = request.get("logprobs")
    return {
        "index": index,
        "text": text,
        "logprobs": _logprobs(text, top) if script.logprobs or isinstance(top, int) else None,
        "finish_reason": "length" if script.length else "content_filter" if script.filter else "stop",
    }


def _logprobs(text: str, top: Any) -> dict[str, list[Any]]:
    entries = texts.token_logprobs(text, top)
    tokens = [entry["token"] for entry in entries]
    return {
        "tokens": tokens,
        "token_logprobs": [entry["logprob"] for entry in entries],
        "top_logprobs": [{other["token"]: other["logprob"] for other in entry["top_logprobs"]} for entry in entries],
        "text_offset": list(accumulate(map(len, tokens), initial=0))[:-1],
    }


def _prompts(given: Any) -> list[str]:
    """Return the prompts: one or more texts; tokens, which are numbers, are only named."""
    if isinstance(given, str):
        return [given]
    if given and all(isinstance(item, int) for item in given):
        return [f"{len(given)} tokens"]
    return [item if isinstance(item, str) else f"{len(item)} tokens" for item in given if isinstance(item, str | list)]
