"""Script and request -> the output items of the response. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from ainsights.mock_openai import texts
from ainsights.mock_openai.request import InvalidRequestError
from ainsights.mock_openai.responses import samples

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ainsights.mock_openai.script import Script

_Fields: TypeAlias = "dict[str, Any]"

_SUMMARIES = (texts.REASONING, "Second thoughts: none.")
_URL = "https://example.com/wetter?stadt=zürich"
_CITATIONS: dict[str, _Fields] = {
    "web_search_call": {"type": "url_citation", "start_index": 0, "end_index": 4, "title": "Wetter", "url": _URL},
    "file_search_call": {"type": "file_citation", "file_id": "file-1", "filename": "menü.pdf", "index": 4},
    "code_interpreter_call": {
        "type": "container_file_citation",
        "container_id": "cntr_mock",
        "file_id": "cfile_1",
        "filename": "plot.png",
        "start_index": 0,
        "end_index": 4,
    },
}


def output_items(script: Script, request: Mapping[str, Any], messages: Sequence[Any], key: str) -> list[_Fields]:
    """Return what the model puts out: reasoning, calls of tools, and a message unless it waits for a tool.

    Args:
        script: the directives.
        request: the body of the request.
        messages: its input, after that of the responses that it continues.
        key: what ids are made of.
    """
    calls_tools = _calls_tools(script, request, messages)
    items = [_reasoning(request, key)] if script.reasoning else []
    names = [*_sample_names(script), *(_hosted(request) if calls_tools else ())]
    items += [_visible(samples.sample(name, key), request) for name in names]
    calls = _calls(script, request, key) if calls_tools else []
    if not calls or script.text is not None:
        items.append(_message(script, request, messages, key, [item["type"] for item in items]))
    return [*items, *calls]


def _sample_names(script: Script) -> Sequence[str]:
    if script.output == (samples.ALL,):
        return samples.NAMES
    for name in script.output:
        if name not in samples.NAMES:
            known = ", ".join(samples.NAMES)
            raise InvalidRequestError(f"No item {name!r}. There are: {known}", "model", "unknown_directive")
    return script.output


def _calls_tools(script: Script, request: Mapping[str, Any], messages: Sequence[Any]) -> bool:
    choice = request.get("tool_choice")
    last = messages[-1] if messages else None
    is_answered = isinstance(last, dict) and str(last.get("type", "")).endswith("_output")
    return (script.tools or choice == "required" or isinstance(choice, dict)) and not is_answered


def _hosted(request: Mapping[str, Any]) -> Iterator[str]:
    for tool in texts.objects(request.get("tools")):
        yield from samples.TOOLS.get(str(tool.get("type")), ())


def _calls(script: Script, request: Mapping[str, Any], key: str) -> list[_Fields]:
    tools = texts.objects(request.get("tools"))
    choice = request.get("tool_choice")
    chosen = choice.get("name") if isinstance(choice, dict) else None
    definitions = [
        {**tool, "custom": tool["type"] == "custom"}
        for tool in tools
        if tool.get("type") in ("function", "custom") and chosen in (None, tool.get("name"))
    ]
    if tools and not definitions:
        return []
    parallel = script.tools and chosen is None and request.get("parallel_tool_calls") is not False
    called = texts.calls(definitions)[: 2 if parallel else 1]
    return [_call(call, f"{key}{number}") for number, call in enumerate(called)]


def _call(call: _Fields, key: str) -> _Fields:
    common = {"call_id": f"call_{key}", "name": call["name"], "status": "completed"}
    if call["custom"]:
        return {"id": f"ctc_{key}", "type": "custom_tool_call", **common, "input": texts.custom_input(call["name"])}
    arguments = json.dumps(call["arguments"], ensure_ascii=False)
    return {"id": f"fc_{key}", "type": "function_call", **common, "arguments": arguments}


def _reasoning(request: Mapping[str, Any], key: str) -> _Fields:
    item: _Fields = {
        "id": f"rs_{key}",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text} for text in _SUMMARIES],
        "content": [{"type": "reasoning_text", "text": texts.REASONING}],
        "status": "completed",
    }
    wants_encrypted = "reasoning.encrypted_content" in included(request)
    return item | {"encrypted_content": samples.ENCRYPTED} if wants_encrypted else item


def included(request: Mapping[str, Any]) -> list[Any]:
    """Return what a request names in ``include``."""
    include = request.get("include")
    return include if isinstance(include, list) else []


def _visible(item: _Fields, request: Mapping[str, Any]) -> _Fields:
    """Return ``item`` as it is without what is there only if the request includes it."""
    include = included(request)
    if item["type"] == "file_search_call" and "file_search_call.results" not in include:
        return item | {"results": None}
    if item["type"] == "web_search_call" and "web_search_call.action.sources" not in include:
        return item | {"action": {name: value for name, value in item["action"].items() if name != "sources"}}
    return item


def _message(
    script: Script, request: Mapping[str, Any], messages: Sequence[Any], key: str, kinds: Sequence[str]
) -> _Fields:
    return {
        "id": f"msg_{key}",
        "type": "message",
        "status": "incomplete" if script.length or script.filter or script.failed else "completed",
        "role": "assistant",
        "content": [_content(script, request, messages, kinds)],
    }


def _content(script: Script, request: Mapping[str, Any], messages: Sequence[Any], kinds: Sequence[str]) -> _Fields:
    if script.refusal:
        return {"type": "refusal", "refusal": texts.shortened(script, texts.REFUSAL)}
    text = _text(script, request, messages)
    wants_logprobs = script.logprobs or "message.output_text.logprobs" in included(request)
    return {
        "type": "output_text",
        "text": text,
        "annotations": [_CITATIONS[kind] for kind in kinds if kind in _CITATIONS],
        "logprobs": texts.token_logprobs(text, request.get("top_logprobs")) if wants_logprobs else [],
    }


def _text(script: Script, request: Mapping[str, Any], messages: Sequence[Any]) -> str:
    config = request.get("text")
    config = config.get("format") if isinstance(config, dict) else None
    config = config if isinstance(config, dict) else {}
    if script.text is None and (script.json or config.get("type") in ("json_schema", "json_object")):
        return texts.structured_reply(script, config.get("schema"))
    return texts.reply(script, texts.last_user_text(list(messages)))
