"""Chat completions: the body of a request -> its response."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ainsights.mock_openai.responses import error_response, plan_response
from ainsights.mock_openai.script import PREFIX, ScriptError, directives_of, parse_directives

if TYPE_CHECKING:
    from ainsights.mock_openai.call import Call
    from ainsights.mock_openai.responses import PlannedResponse
    from ainsights.mock_openai.script import Script

SCRIPT_HEADER = b"x-mock"
"""Has directives, and wins over those of the model's name."""

ID_HEADER = b"x-mock-id"
"""Requests that have the same one count as equal for ``fail=N``; without one, those with the same body do."""

_KNOWN = 10_000


class InvalidRequestError(ValueError):
    """A body that the API would not take."""

    def __init__(self, message: str, param: str = "", code: str = "") -> None:
        super().__init__(message)
        self.details = {name: value for name, value in (("param", param), ("code", code)) if value}


class Chat:
    """Answers chat completions. Its only state is how often it saw those that are to fail at first."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[bytes | str, int] = OrderedDict()

    def __call__(self, call: Call) -> PlannedResponse:
        """Return the response to ``call``."""
        headers = dict(call.headers)
        try:
            request = read_request(call.body, call.path_params.get("deployment"))
            script = parse_directives(directives_of(request["model"], _decoded(headers.get(SCRIPT_HEADER))))
        except ScriptError as error:
            return error_response(400, str(error), call.key, param="model", code="unknown_directive")
        except InvalidRequestError as error:
            return error_response(400, str(error), call.key, **error.details)
        return plan_response(script, request, call.key, self._attempt(script, headers.get(ID_HEADER, call.key)))

    def forget(self) -> None:
        """Count equal requests from 1 again."""
        self._attempts.clear()

    def _attempt(self, script: Script, identity: bytes | str) -> int:
        if not script.fail:
            return 1
        attempt = self._attempts[identity] = self._attempts.get(identity, 0) + 1
        if len(self._attempts) > _KNOWN:
            self._attempts.popitem(last=False)
        return attempt


def _decoded(header: bytes | None) -> str | None:
    return None if header is None else header.decode(errors="replace")


def read_request(body: bytes, deployment: str | None = None) -> dict[str, Any]:
    """Return the request in ``body``.

    Args:
        body: as received.
        deployment: of Azure; it stands in for a model, and its directives for those that the model does not have.

    Raises:
        InvalidRequestError: it is no JSON object, or lacks model or messages.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidRequestError("We could not parse the JSON body of your request.") from None
    if not isinstance(request, dict):
        raise InvalidRequestError("The body of a request must be a JSON object.")
    if deployment and not str(request.get("model", "")).startswith(PREFIX):
        request["model"] = deployment if deployment.startswith(PREFIX) else request.get("model", deployment)
    if not request.get("model") or not isinstance(request["model"], str):
        raise InvalidRequestError("you must provide a model parameter", "model")
    if "messages" not in request:
        raise InvalidRequestError("Missing required parameter: 'messages'.", "messages", "missing_required_parameter")
    if not request["messages"] or not isinstance(request["messages"], list):
        raise InvalidRequestError("Invalid 'messages': give an array with one message or more.", "messages")
    return request
