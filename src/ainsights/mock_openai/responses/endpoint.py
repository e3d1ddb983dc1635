"""The routes of the Responses API over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ainsights.mock_openai import sse
from ainsights.mock_openai.plan import PlannedResponse, error_response, json_response, plan_response
from ainsights.mock_openai.request import InvalidRequestError, read_request, require
from ainsights.mock_openai.responses.body import input_messages, input_tokens, response_body
from ainsights.mock_openai.responses.events import stream_events
from ainsights.mock_openai.responses.samples import sample
from ainsights.mock_openai.responses.stored import ResponseStore, StoredResponse
from ainsights.mock_openai.script import parse_directives
from ainsights.mock_openai.scripted import SCRIPT_HEADER, Scripted, script_of
from ainsights.mock_openai.texts import CREATED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ainsights.mock_openai.call import Call
    from ainsights.mock_openai.script import Script

_LARGEST_PAGE = 100
_USUAL_PAGE = 20


_OTHER_TYPES = {"previous_response_id": str, "text": dict}
"""Of parameters that are made use of, beside the input."""


class ResponsesApi:
    """Creates responses, and remembers them."""

    def __init__(self) -> None:
        self._store = ResponseStore()
        self._scripted = Scripted(self._answer, self.check)

    def create(self, call: Call) -> PlannedResponse:
        """Create a response."""
        return self._scripted(call)

    def one(self, call: Call) -> PlannedResponse:
        """Retrieve a response, as it is or as a stream, or delete it."""
        return _guarded(call, self._delete if call.method == "DELETE" else self._retrieve)

    def cancel(self, call: Call) -> PlannedResponse:
        """Cancel a response that runs in the background."""
        return _guarded(call, lambda call: json_response(self._stored(call).cancel(), call.key))

    def input_items(self, call: Call) -> PlannedResponse:
        """List the input of a response."""
        return _guarded(call, self._input_items)

    def compact(self, call: Call) -> PlannedResponse:
        """Compact an input."""
        return _guarded(call, self._compact)

    def input_tokens(self, call: Call) -> PlannedResponse:
        """Count the tokens of an input."""
        return _guarded(call, self._input_tokens)

    def forget(self) -> None:
        """Forget all responses, and count equal requests from 1 again."""
        self._store.clear()
        self._scripted.forget()

    @staticmethod
    def check(request: dict[str, Any]) -> None:
        """Raise :class:`InvalidRequestError` if a request has no input, or continues what is not known."""
        sources = ("input", "prompt", "previous_response_id", "conversation")
        if all(request.get(name) in (None, []) for name in sources):
            require(request, "input")
            raise InvalidRequestError("One of 'input', 'previous_response_id', 'prompt' or 'conversation' is needed.")
        if not isinstance(request.get("input"), str | list | None):
            raise InvalidRequestError("Invalid type for 'input': give a string or an array.", "input", "invalid_type")
        for name, kind in _OTHER_TYPES.items():
            if not isinstance(request.get(name), kind | None):
                raise InvalidRequestError(f"Invalid type for '{name}'.", name, "invalid_type")
        if request.get("background") is True and request.get("store") is False:
            raise InvalidRequestError("Background mode requires 'store' to be true.", "background")

    def stored(self, script: Script, request: Mapping[str, Any], key: str) -> StoredResponse:
        """Return the response to a valid request, and remember it if it is to be stored."""
        response = response_body(script, request, self._store.history(request), key)
        in_background = response["background"] is True and request.get("stream") is not True
        stored = StoredResponse(script, request, response, script.polls if in_background else 0)
        if response["store"] is not False:
            self._store.add(stored)
        return stored

    def _answer(self, script: Script, request: Mapping[str, Any], key: str) -> Any:
        stored = self.stored(script, request, key)
        if request.get("stream") is not True:
            return stored.body()
        return sse.named_events(stream_events(stored.response, script, obfuscate=obfuscates(request)), script)

    def _stored(self, call: Call) -> StoredResponse:
        return self._store.get(call.path_params["id"])

    def _delete(self, call: Call) -> PlannedResponse:
        identity = call.path_params["id"]
        self._store.delete(identity)
        return json_response({"id": identity, "object": "response", "deleted": True}, call.key)

    def _retrieve(self, call: Call) -> PlannedResponse:
        stored = self._stored(call)
        header = call.header(SCRIPT_HEADER)
        script = stored.script.without_faults() if header is None else parse_directives(header)
        is_stream = call.query.get("stream") == "true"

        def answer(script: Script) -> Any:
            if not is_stream:
                return stored.poll()
            after = _whole_number(call, "starting_after", -1)
            obfuscate = call.query.get("include_obfuscation") != "false"
            events = stream_events(stored.response, script, obfuscate=obfuscate)
            return sse.named_events(events[after + 1 :], script)

        return plan_response(script, answer, call.key, is_stream=is_stream)

    def _input_items(self, call: Call) -> PlannedResponse:
        stored = self._stored(call)
        key = stored.response["id"].removeprefix("resp_")
        items = [_input_item(item, f"{key}i{index}") for index, item in enumerate(input_messages(stored.request))]
        if call.query.get("order") != "asc":
            items.reverse()
        ids = [item["id"] for item in items]
        start = ids.index(call.query["after"]) + 1 if call.query.get("after") in ids else 0
        limit = min(_whole_number(call, "limit", _USUAL_PAGE), _LARGEST_PAGE)
        data = items[start : start + limit]
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
        page = {"object": "list", "data": data, **ends, "has_more": start + limit < len(items)}
        return json_response(page, call.key)

    def _compact(self, call: Call) -> PlannedResponse:
        request = read_request(call.body)
        history = self._store.history(request)
        compacted = {
            "id": f"resp_{call.key}",
            "object": "response.compaction",
            "created_at": CREATED,
            "output": [sample("compaction", call.key)],
            "usage": response_body(script_of(request, None), request, history, call.key)["usage"],
        }
        return json_response(compacted, call.key)

    def _input_tokens(self, call: Call) -> PlannedResponse:
        request = read_request(call.body)
        count = input_tokens([*self._store.history(request), *input_messages(request)], request)
        return json_response({"object": "response.input_tokens", "input_tokens": count}, call.key)


def obfuscates(request: Mapping[str, Any]) -> bool:
    """Return whether the deltas of a stream are padded."""
    options = request.get("stream_options")
    return not (isinstance(options, dict) and options.get("include_obfuscation") is False)


def _guarded(call: Call, plan: Callable[[Call], PlannedResponse]) -> PlannedResponse:
    try:
        return plan(call)
    except InvalidRequestError as error:
        return error_response(error.status, str(error), call.key, **error.details)


def _whole_number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise InvalidRequestError(f"Invalid '{name}': give a whole number.", name, "invalid_type") from None


def _input_item(item: Any, key: str) -> dict[str, Any]:
    """Return an item of the input as the API lists it: with an id, a type and a list as its content."""
    known = item if isinstance(item, dict) else {"role": "user", "content": str(item)}
    if "role" not in known:
        return {"id": f"item_{key}", **known}
    content = known.get("content")
    parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
    return {"id": f"msg_{key}", "type": "message", "status": "completed", **known, "content": parts}
