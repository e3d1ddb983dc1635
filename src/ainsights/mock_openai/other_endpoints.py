"""The other endpoints of the API: models, embeddings, stored completions. As little as a client needs."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from typing import TYPE_CHECKING, Any

from ainsights.mock_openai.completions import completion
from ainsights.mock_openai.plan import PlannedResponse, error_response, json_response
from ainsights.mock_openai.script import Script
from ainsights.mock_openai.texts import CREATED

if TYPE_CHECKING:
    from ainsights.mock_openai.call import Call

MODELS = ("gpt-4o-mini", "mock:tools", "mock:refusal")
"""A few that are listed; any name is served."""

_DIMENSIONS = 8
_DEEPEST = 255


def health(call: Call) -> PlannedResponse:
    """Report that the server runs."""
    return json_response({"status": "ok"}, call.key)


def models(call: Call) -> PlannedResponse:
    """List some models."""
    listed = [{"id": name, "object": "model", "created": CREATED, "owned_by": "mock"} for name in MODELS]
    return json_response({"object": "list", "data": listed}, call.key)


def embeddings(call: Call) -> PlannedResponse:
    """Return a small vector for each input."""
    request = _object(call.body)
    given = request.get("input")
    if given is None:
        return error_response(400, "Missing required parameter: 'input'.", call.key, param="input")
    inputs = given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]
    in_base64 = request.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(text, in_base64=in_base64)}
        for index, text in enumerate(inputs)
    ]
    usage = {"prompt_tokens": len(inputs), "total_tokens": len(inputs)}
    return json_response({"object": "list", "data": data, "model": request.get("model", ""), "usage": usage}, call.key)


def stored_list(call: Call) -> PlannedResponse:
    """List one stored completion."""
    return json_response(_page([_stored("chatcmpl-stored")]), call.key)


def stored(call: Call) -> PlannedResponse:
    """Retrieve, update or delete a stored completion; each id is known, and none is gone."""
    identity = call.path_params["id"]
    if call.method == "DELETE":
        return json_response({"object": "chat.completion.deleted", "id": identity, "deleted": True}, call.key)
    return json_response(_stored(identity) | {"metadata": _object(call.body).get("metadata") or {}}, call.key)


def stored_messages(call: Call) -> PlannedResponse:
    """List the messages of a stored completion."""
    return json_response(_page([{"id": "msg_0", "role": "user", "content": "Hello!", "name": None}]), call.key)


def _stored(identity: str) -> dict[str, Any]:
    request = {"model": MODELS[0], "messages": [{"role": "user", "content": "Hello!"}]}
    return completion(Script(), request, "stored") | {"id": identity}


def _page(data: list[dict[str, Any]]) -> dict[str, Any]:
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]}
    return {"object": "list", "data": data, **ends, "has_more": False}


def _vector(text: Any, *, in_base64: bool) -> list[float] | str:
    digest = hashlib.blake2b(json.dumps(text).encode(), digest_size=_DIMENSIONS).digest()
    values = [byte / _DEEPEST for byte in digest]
    return base64.b64encode(struct.pack(f"<{_DIMENSIONS}f", *values)).decode() if in_base64 else values


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
