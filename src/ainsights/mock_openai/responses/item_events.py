"""An output item -> the events in which the API would have streamed it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from ainsights.mock_openai.chunks import cut
from ainsights.mock_openai.responses.samples import PIXEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Fields: TypeAlias = "dict[str, Any]"
_Maker: TypeAlias = "Callable[[_Fields, _Fields, int | None], Iterator[_Fields]]"

_EMPTY: dict[str, _Fields] = {
    "message": {"content": []},
    "reasoning": {"summary": [], "content": []},
    "function_call": {"arguments": ""},
    "custom_tool_call": {"input": ""},
    "mcp_call": {"arguments": "", "output": None, "error": None},
    "mcp_list_tools": {"tools": [], "error": None},
    "code_interpreter_call": {"code": "", "outputs": None},
    "file_search_call": {"results": None},
    "image_generation_call": {"result": None},
    "shell_call_output": {"output": []},
}
"""What items of each type lack when they are added."""


def item_events(item: _Fields, index: int, pieces: int | None) -> Iterator[_Fields]:
    """Yield the events of the output item at ``index``; texts come in about ``pieces`` pieces."""
    added = item | _EMPTY.get(item["type"], {}) | ({"status": "in_progress"} if "status" in item else {})
    if item["type"] == "shell_call":
        added["action"] = {**item["action"], "commands": []}
    if item["type"] in ("program_output", "apply_patch_call_output"):
        added = item
    yield {"type": "response.output_item.added", "output_index": index, "item": added}
    place = {"item_id": item["id"], "output_index": index}
    yield from _MAKERS.get(item["type"], _nothing)(item, place, pieces)
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _nothing(item: _Fields, place: _Fields, pieces: int | None) -> Iterator[_Fields]:  # noqa: ARG001
    return iter(())


def _message(item: _Fields, place: _Fields, pieces: int | None) -> Iterator[_Fields]:
    for index, part in enumerate(item["content"]):
        there = {**place, "content_index": index}
        empty = {**part, "refusal": ""} if part["type"] == "refusal" else _empty_text(part)
        yield {"type": "response.content_part.added", **there, "part": empty}
        yield from _refusal(part, there, pieces) if part["type"] == "refusal" else _text(part, there, pieces)
        yield {"type": "response.content_part.done", **there, "part": part}


def _empty_text(part: _Fields) -> _Fields:
    return {**part, "text": "", "annotations": [], "logprobs": []}


def _text(part: _Fields, place: _Fields, pieces: int | None) -> Iterator[_Fields]:
    kind, logprobs = "response.output_text", part["logprobs"]
    for piece in cut(logprobs or part["text"], pieces):
        text = "".join(entry["token"] for entry in piece) if logprobs else piece
        yield {"type": f"{kind}.delta", **place, "delta": text, "logprobs": piece if logprobs else []}
    for index, annotation in enumerate(part["annotations"]):
        yield {"type": f"{kind}.annotation.added", **place, "annotation_index": index, "annotation": annotation}
    yield {"type": f"{kind}.done", **place, "text": part["text"], "logprobs": logprobs}


def _refusal(part: _Fields, place: _Fields, pieces: int | None) -> Iterator[_Fields]:
    return _deltas("refusal", part["refusal"], place, pieces, "refusal")


def _reasoning(item: _Fields, place: _Fields, pieces: int | None) -> Iterator[_Fields]:
    for index, part in enumerate(item["summary"]):
        there = {**place, "summary_index": index}
        yield {"type": "response.reasoning_summary_part.added", **there, "part": {**part, "text": ""}}
        yield from _deltas("reasoning_summary_text", part["text"], there, pieces, "text")
        yield {"type": "response.reasoning_summary_part.done", **there, "part": part}
    for index, part in enumerate(item.get("content") or ()):
        there = {**place, "content_index": index}
        yield {"type": "response.content_part.added", **there, "part": {**part, "text": ""}}
        yield from _deltas("reasoning_text", part["text"], there, pieces, "text")
        yield {"type": "response.content_part.done", **there, "part": part}


def _deltas(kind: str, text: str, place: _Fields, pieces: int | None, name: str) -> Iterator[_Fields]:
    for piece in cut(text, pieces):
        yield {"type": f"response.{kind}.delta", **place, "delta": piece}
    yield {"type": f"response.{kind}.done", **place, name: text}


def _function(item: _Fields, place: _Fields, pieces: int | None) -> Iterator[_Fields]:
    for event in _deltas("function_call_arguments", item["arguments"], place, pieces, "arguments"):
        yield event | ({"name": item["name"]} if event["type"].endswith("done") else {})


def _custom(item: _Fields, place: _Fields, pieces: int | None) -> Iterator[_Fields]:
    return _deltas("custom_tool_call_input", item["input"], place, pieces, "input")


def _mcp_call(item: _Fields, place: _Fields, pieces: int | None) -> Iterator[_Fields]:
    yield {"type": "response.mcp_call.in_progress", **place}
    yield from _deltas("mcp_call_arguments", item["arguments"], place, pieces, "arguments")
    yield {"type": f"response.mcp_call.{'failed' if item['error'] else 'completed'}", **place}


def _mcp_list(item: _Fields, place: _Fields, pieces: int | None) -> Iterator[_Fields]:  # noqa: ARG001
    yield {"type": "response.mcp_list_tools.in_progress", **place}
    yield {"type": f"response.mcp_list_tools.{'failed' if item['error'] else 'completed'}", **place}


def _code(item: _Fields, place: _Fields, pieces: int | None) -> Iterator[_Fields]:
    yield {"type": "response.code_interpreter_call.in_progress", **place}
    yield from _deltas("code_interpreter_call_code", item["code"], place, pieces, "code")
    yield {"type": "response.code_interpreter_call.interpreting", **place}
    yield {"type": "response.code_interpreter_call.completed", **place}


def _image(item: _Fields, place: _Fields, pieces: int | None) -> Iterator[_Fields]:  # noqa: ARG001
    kind = "response.image_generation_call"
    yield {"type": f"{kind}.in_progress", **place}
    yield {"type": f"{kind}.generating", **place}
    if item["result"]:
        yield {"type": f"{kind}.partial_image", **place, "partial_image_index": 0, "partial_image_b64": PIXEL}
    yield {"type": f"{kind}.completed", **place}


def _shell(item: _Fields, place: _Fields, pieces: int | None) -> Iterator[_Fields]:
    for index, command in enumerate(item["action"]["commands"]):
        there = {"output_index": place["output_index"], "command_index": index}
        yield {"type": "response.shell_call_command.added", **there, "command": ""}
        yield from _deltas("shell_call_command", command, there, pieces, "command")


def _shell_output(item: _Fields, place: _Fields, pieces: int | None) -> Iterator[_Fields]:
    for index, output in enumerate(item["output"]):
        there = {**place, "command_index": index}
        for piece in cut(output["stdout"], pieces):
            yield {"type": "response.shell_call_output_content.delta", **there, "delta": {"stdout": piece}}
        yield {"type": "response.shell_call_output_content.done", **there, "output": [output]}


def _steps(kind: str, *steps: str) -> _Maker:
    def events(item: _Fields, place: _Fields, pieces: int | None) -> Iterator[_Fields]:  # noqa: ARG001
        return ({"type": f"response.{kind}.{step}", **place} for step in steps)

    return events


_MAKERS: dict[str, _Maker] = {
    "message": _message,
    "reasoning": _reasoning,
    "function_call": _function,
    "custom_tool_call": _custom,
    "mcp_call": _mcp_call,
    "mcp_list_tools": _mcp_list,
    "code_interpreter_call": _code,
    "image_generation_call": _image,
    "shell_call": _shell,
    "shell_call_output": _shell_output,
    "web_search_call": _steps("web_search_call", "in_progress", "searching", "completed"),
    "file_search_call": _steps("file_search_call", "in_progress", "searching", "completed"),
    "compaction": _steps("compaction", "compacting"),
}
