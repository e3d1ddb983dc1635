"""Errors as the endpoint answers them: problem documents (RFC 9457), the same for every status and every route.

Beside the members of the RFC they have ``success: false``, which the clients of the wire contract look for, and
``parameter``, which names what is wrong in the request.
"""

from __future__ import annotations

import itertools
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field
from pydantic_core import to_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

MEDIA_TYPE = "application/problem+json"

TITLES = {
    400: "The body is not JSON",
    401: "The API key is missing or wrong",
    403: "The API key does not allow this",
    404: "Nothing is there",
    405: "The method is not allowed here",
    408: "The request took too long to arrive",
    413: "The body is too large",
    415: "The content encoding is not supported",
    422: "The request is not of the documented form",
    429: "Too many wrong API keys",
    431: "The headers are too large",
    500: "It could not be done this time; try again",
    503: "The endpoint is too busy or shutting down; try again",
}

MAX_REASONS = 5


class ProblemDocument(BaseModel):
    """The body of every answer but a good one."""

    type: str = Field(description="Identifies the kind of problem.")
    title: str
    status: int
    detail: str = Field(description="What is wrong with this request.")
    success: Literal[False] = False
    parameter: str | None = Field(None, description="The parameter or key of the body that is wrong, if it is one.")


class Problem(Exception):  # noqa: N818  an answer, not an error of ours
    """Ends a request with ``status``."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        parameter: str | None = None,
        headers: Mapping[str, str] | None = None,
        close: bool = False,
    ) -> None:
        """Describe what is wrong.

        Args:
            status: of HTTP.
            detail: in words, for whoever sent the request.
            parameter: what in the request is wrong.
            headers: more headers of the answer.
            close: whether the connection ends, because the rest of the request is not read.
        """
        super().__init__(detail)
        self.status = status
        self.parameter = parameter
        self.headers = {
            **(headers or {}),
            **({"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}),
        }
        if close:
            self.headers["Connection"] = "close"

    def encode(self) -> bytes:
        """Return the document."""
        title = TITLES.get(self.status) or HTTPStatus(self.status).phrase
        kind = HTTPStatus(self.status).phrase.lower().replace(" ", "-")
        document: dict[str, Any] = {
            "type": f"urn:ainsights:problem:{kind}",
            "title": title,
            "status": self.status,
            "detail": str(self),
            "success": False,
        }
        if self.parameter is not None:
            document["parameter"] = self.parameter
        return to_json(document)

    async def send(self, send: Callable[[Any], Awaitable[None]]) -> None:
        """Answer with it."""
        body = self.encode()
        headers = {**self.headers, "Content-Type": MEDIA_TYPE, "Content-Length": str(len(body))}
        pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})

    def raw(self) -> bytes:
        """Return it as a whole HTTP response that ends the connection, for where there is no request yet."""
        body = self.encode()
        head = (
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\nContent-Type: {MEDIA_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the part of an OpenAPI document that describes the answers with ``statuses``."""
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {
        status: {"description": f"{TITLES[status]}.", "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def invalid(errors: Iterable[Mapping[str, Any]]) -> Problem:
    """Return what pydantic found wrong: where and why, not what was there."""
    first = [
        (".".join(map(str, error["loc"][1:] or error["loc"])), error["msg"])
        for error in itertools.islice(errors, MAX_REASONS)
    ]
    detail = "; ".join(f"{where}: {reason}" for where, reason in first)
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, parameter=first[0][0] if first else None)
