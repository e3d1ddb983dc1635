"""Errors in the shape of OpenAI's: https://platform.openai.com/docs/guides/error-codes. Pure."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

_KNOWN: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "The request is invalid, as its script wants."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("request_forbidden", "unsupported_country_region_territory", "Country, region, or territory not supported"),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    409: ("invalid_request_error", "conflict", "The resource was changed by another request."),
    413: ("invalid_request_error", "request_too_large", "The request is too large."),
    422: ("invalid_request_error", "unprocessable_entity", "The request cannot be processed."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    500: ("server_error", None, "The server had an error while processing your request."),
    503: ("server_error", "overloaded", "The engine is currently overloaded, please try again later."),
}


def error_body(status: int, message: str | None = None, *, code: str | None = None, param: str | None = None) -> Any:
    """Return the body of an error: the API's message for that status, or ``message``."""
    server = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    other = ("server_error" if server else "invalid_request_error", None, _phrase(status))
    kind, usual_code, usual_message = _KNOWN.get(status, other)
    return {"error": {"message": message or usual_message, "type": kind, "param": param, "code": code or usual_code}}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"
