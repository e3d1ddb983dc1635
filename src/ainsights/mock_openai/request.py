"""The body of a request -> the request, or why the API would not take it. Pure."""

from __future__ import annotations

import json
from typing import Any

from ainsights.mock_openai.script import PREFIX


class InvalidRequestError(ValueError):
    """A request that the API would not take.

    Attributes:
        status: of the answer.
        details: ``param`` and ``code`` of the answer's error, as far as there are any.
    """

    def __init__(self, message: str, param: str = "", code: str = "", *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.details = {name: value for name, value in (("param", param), ("code", code)) if value}


def read_request(body: bytes, deployment: str | None = None) -> dict[str, Any]:
    """Return the request in ``body``.

    Args:
        body: as received.
        deployment: of Azure; it stands in for a model, and its directives for those that the model does not have.

    Raises:
        InvalidRequestError: the body is not a JSON object, or lacks a model.
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
    return request


def require(request: dict[str, Any], name: str) -> Any:
    """Return the parameter ``name`` of a request.

    Raises:
        InvalidRequestError: there is none.
    """
    if name not in request:
        raise InvalidRequestError(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")
    return request[name]
