"""Chunks and events of the API -> server-sent events, well formed or as the script deviates. Pure.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
from itertools import cycle
from typing import TYPE_CHECKING, Any

from ainsights.mock_openai.errors import error_body

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ainsights.mock_openai.script import Script

DONE = b"[DONE]"

FAILED = "The stream failed, as its script wants."

_SMALL = (1, 2, 3, 5, 7, 11)
_SAFE = {"filtered": False, "severity": "safe"}
_FIRST_OF_AZURE = {
    "choices": [],
    "created": 0,
    "id": "",
    "model": "",
    "object": "",
    "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {"hate": _SAFE, "violence": _SAFE}}],
}
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encoded(value: Any) -> bytes:
    """Return ``value`` as JSON in UTF-8; half a surrogate pair, which UTF-8 does not have, escaped."""
    text = _encode(value)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


def events(chunks: Iterable[dict[str, Any]], script: Script) -> list[bytes]:
    """Return the server-sent events of the chunks of a completion, each with its blank line and what precedes it."""
    payloads = _broken([encoded(chunk) for chunk in _deviating(list(chunks), script)], script)
    middle = len(payloads) // 2
    if script.sse_error:
        payloads[middle:] = [encoded(error_body(500, FAILED))]
    elif not script.nodone:
        payloads.append(DONE)
    return [_event(data, number, script, _name(data, script)) for number, data in enumerate(payloads)]


def named_events(values: Sequence[dict[str, Any]], script: Script) -> list[bytes]:
    """Return the server-sent events of what the Responses API streams: each has its type as its name."""
    sent = deviating_events(values, script)
    payloads = _broken([encoded(value) for value in sent], script)
    names = [value["type"].encode() for value in sent]
    return [_event(data, number, script, names[number]) for number, data in enumerate(payloads)]


def deviating_events(values: Sequence[dict[str, Any]], script: Script) -> list[dict[str, Any]]:
    """Return the events of a response as the script has them: all, without the last, or with an error in the middle."""
    sent = list(values[:-1] if script.nodone else values)
    middle = len(sent) // 2
    if script.sse_error and sent:
        error = {"type": "error", "code": "server_error", "message": FAILED, "param": None}
        sent[middle:] = [error | {"sequence_number": sent[middle]["sequence_number"]}]
    return sent


def cut_small(body: bytes) -> list[bytes]:
    """Return ``body`` in pieces of a few bytes, so that characters and lines are cut in all ways."""
    pieces, start, sizes = [], 0, cycle(_SMALL)
    while start < len(body):
        end = start + next(sizes)
        pieces.append(body[start:end])
        start = end
    return pieces


def _broken(payloads: list[bytes], script: Script) -> list[bytes]:
    middle = len(payloads) // 2
    if script.badjson and payloads:
        payloads[middle] = payloads[middle][: len(payloads[middle]) // 2]
    return payloads


def _name(data: bytes, script: Script) -> bytes | None:
    if not script.event_names or data == DONE:
        return None
    return b"error" if data.startswith(b'{"error"') else b"chunk"


def _event(data: bytes, number: int, script: Script, name: bytes | None) -> bytes:
    lines = [b"data: " + data, b"", b""]
    if name is not None:
        lines.insert(0, b"event: " + name)
    if script.comments:
        lines[:0] = [b": keep-alive %d" % number, b"", b":", b""]
    return (b"\r\n" if script.crlf else b"\n").join(lines)


def _deviating(chunks: list[dict[str, Any]], script: Script) -> Iterator[dict[str, Any]]:
    ids: dict[tuple[int, int], str] = {}
    if script.emptyfirst:
        yield _FIRST_OF_AZURE
    for number, chunk in enumerate(chunks):
        if script.emptychoices and number == len(chunks) // 2:
            yield {**chunk, "choices": []}
        choices = chunk["choices"]
        if script.noindex:
            choices = [_by_id(choice, ids) for choice in choices]
        if script.nulldelta or script.nodelta:
            choices = [_without_delta(choice, script) for choice in choices]
        yield {**chunk, "choices": choices}


def _without_delta(choice: dict[str, Any], script: Script) -> dict[str, Any]:
    if not choice["finish_reason"] or "delta" not in choice:
        return choice
    without = {key: value for key, value in choice.items() if key != "delta"}
    return without if script.nodelta else {**without, "delta": None}


def _by_id(choice: dict[str, Any], ids: dict[tuple[int, int], str]) -> dict[str, Any]:
    calls = []
    for call in choice.get("delta", {}).get("tool_calls", ()):
        known = ids.setdefault((choice["index"], call["index"]), call.get("id", ""))
        calls.append({"id": known} | {key: value for key, value in call.items() if key != "index"})
    return {**choice, "delta": {**choice["delta"], "tool_calls": calls}} if calls else choice
