"""Responses and their streams as the API sends them, and a model API in memory that makes some in the background."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import openai

from support.models import Body, client, http

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "resp_1"
BEGINNING = ("created", "in_progress")
EMPTY: dict[str, Any] = {"content": [], "summary": [], "arguments": "", "input": ""}
USAGE = {
    "input_tokens": 3,
    "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 5,
}


def response(*output: Any, status: str = "completed", **fields: Any) -> dict[str, Any]:
    """Return a response as the API sends it."""
    head = {"id": ID, "object": "response", "created_at": 1700000000, "status": status, "background": False}
    rest = {"error": None, "incomplete_details": None, "instructions": None, "model": "gpt-5", "tools": []}
    usage = {"usage": USAGE if status in {"completed", "incomplete"} else None}
    more = {"parallel_tool_calls": True, "previous_response_id": None, "temperature": 1.0, "tool_choice": "auto"}
    return head | rest | {"output": list(output)} | more | {"metadata": {}} | usage | fields


def message(*texts: str, at: int = 0, status: str = "completed", **fields: Any) -> dict[str, Any]:
    parts = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []} for text in texts]
    return {"id": f"msg_{at}", "type": "message", "status": status, "role": "assistant", "content": parts} | fields


def call(arguments: str = '{"a":1}', at: int = 0, **fields: Any) -> dict[str, Any]:
    head = {"id": f"fc_{at}", "type": "function_call", "status": "completed", "call_id": f"call_{at}", "name": "f"}
    return head | {"arguments": arguments} | fields


def reasoning(*summary: str, at: int = 0, content: list[str] | None = None, **fields: Any) -> dict[str, Any]:
    parts = [{"type": "summary_text", "text": text} for text in summary]
    texts = {} if content is None else {"content": [{"type": "reasoning_text", "text": text} for text in content]}
    return {"id": f"rs_{at}", "type": "reasoning", "summary": parts} | texts | fields


def halves(text: str) -> list[str]:
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def events_of(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events by which the API streams ``whole``, numbered."""
    begun = whole | {"status": "in_progress", "output": [], "usage": None}
    made: list[dict[str, Any]] = [
        {"type": f"response.{word}", "response": begun} for word in ("created", "in_progress")
    ]
    for index, item in enumerate(whole["output"]):
        made += _item_events(item, index)
    made.append({"type": f"response.{whole['status']}", "response": whole})
    return [event | {"sequence_number": number} for number, event in enumerate(made)]


def _item_events(item: dict[str, Any], index: int) -> Iterator[dict[str, Any]]:
    place = {"output_index": index, "item_id": item.get("id")}
    empty = {
        key: value for key, value in {"content": [], "summary": [], "arguments": "", "input": ""}.items() if key in item
    }
    begun = item | empty | ({"status": "in_progress"} if "status" in item else {})
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    for at, part in enumerate(item.get("content") or ()):
        yield from _part_events(part, place | {"content_index": at})
    for at, part in enumerate(item.get("summary") or ()):
        yield {
            "type": "response.reasoning_summary_part.added",
            **place,
            "summary_index": at,
            "part": part | {"text": ""},
        }
        yield from _text_events("reasoning_summary_text", "text", part["text"], place | {"summary_index": at})
        yield {"type": "response.reasoning_summary_part.done", **place, "summary_index": at, "part": part}
    for kind, name in (("function_call", "arguments"), ("mcp_call", "arguments"), ("custom_tool_call", "input")):
        if item["type"] == kind:
            yield from _text_events(f"{kind}_{name}", name, item[name], place)
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _part_events(part: dict[str, Any], place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    name = "refusal" if part["type"] == "refusal" else "text"
    empty = {key: [] if key == "annotations" else value for key, value in part.items()} | {name: ""}
    yield {"type": "response.content_part.added", **place, "part": empty}
    yield from _text_events(part["type"], name, part[name], place)
    for at, annotation in enumerate(part.get("annotations") or ()):
        yield {
            "type": "response.output_text.annotation.added",
            **place,
            "annotation_index": at,
            "annotation": annotation,
        }
    yield {"type": "response.content_part.done", **place, "part": part}


def _text_events(kind: str, name: str, text: str, place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for piece in halves(text):
        yield {"type": f"response.{kind}.delta", **place, "delta": piece, "obfuscation": "xY"}
    yield {"type": f"response.{kind}.done", **place, name: text}


def sse(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def streamed(*events: dict[str, Any] | BaseException) -> Any:
    pieces = [event if isinstance(event, BaseException) else sse(event) for event in events]
    return http.Response(200, headers={"content-type": "text/event-stream"}, stream=Body(*pieces))


def answering(whole: dict[str, Any]) -> Any:
    """Return a model API that answers with ``whole``, streamed where that is asked for."""

    def answer(request: Any) -> Any:
        is_streamed = json.loads(request.content or b"{}").get("stream") or request.url.params.get("stream") == "true"
        return (
            streamed(*events_of(whole))
            if is_streamed
            else http.Response(200, json=whole, headers={"x-request-id": "r1"})
        )

    return answer


def compatible_arguments(method: Any, **arguments: Any) -> dict[str, Any]:
    """Return arguments for ``method`` of any openai: in the body those that this one does not name."""
    known = inspect.signature(method).parameters
    named = {key: value for key, value in arguments.items() if key in known}
    others = {key: value for key, value in arguments.items() if key not in known}
    return named | ({"extra_body": others} if others else {})


def create_in_background(api: Any, **more: Any) -> Any:
    """Return what creates a response in the background."""
    create = client(api).responses.create
    return create(model="m", input="hi", **compatible_arguments(create, background=True, **more))


def resume_stream(api: Any, after: int) -> Any:
    """Return the stream of a response that was created before."""
    return stream_of(client(api), ID, after)


def stream_of(made: Any, response_id: str, after: int) -> Any:
    """Return the stream of a response that was created before, as the client ``made`` gets it."""
    query: dict[str, Any] = {"stream": True, "starting_after": after}
    if query.keys() <= inspect.signature(made.responses.retrieve).parameters.keys():
        return made.responses.retrieve(response_id, **query)
    path = f"/responses/{response_id}?stream=true&starting_after={after}"
    return made.get(path, cast_to=object, stream=True, stream_cls=openai.Stream[Any])


def cancel_response(api: Any) -> Any:
    """Return what cancels a response."""
    responses = client(api).responses
    if hasattr(responses, "cancel"):
        return responses.cancel(ID)
    return responses._post(f"/responses/{ID}/cancel", cast_to=object)


class BackgroundApi:
    """A model API that makes a response in the background: each call of it gets the next state.

    Attributes:
        requests: the method and the path of each request.
    """

    def __init__(self, *states: Any) -> None:
        self._states = iter(states)
        self.requests: list[tuple[str, str]] = []

    def __call__(self, request: Any) -> Any:
        self.requests.append((request.method, request.url.path))
        state = next(self._states)
        if isinstance(state, list):
            return streamed(*state)
        return (
            http.Response(state, json={"error": {"message": "no"}})
            if isinstance(state, int)
            else http.Response(200, json=state)
        )
