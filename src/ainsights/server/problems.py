"""What the local endpoint answers when it cannot do what was asked: one JSON shape for every status."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ainsights.server.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastapi import FastAPI, Request

TYPES = {
    400: "not_json",
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    422: "invalid",
    500: "internal",
}

MEANINGS = {
    400: "The body is not JSON.",
    401: "The API key is missing or wrong.",
    404: "Nothing is there.",
    413: "The body is too large.",
    422: "It is not of the documented form.",
    500: "It could not be done this time: try again.",
}

MAX_REASONS = 5


class Reason(BaseModel):
    """What went wrong."""

    type: str
    message: str


class Failure(BaseModel):
    """The body of every answer but a good one."""

    success: Literal[False] = False
    error: Reason


class Problem(Exception):  # noqa: N818  an answer, not an error of ours
    """Ends a request with ``status``; ``close`` ends the connection too."""

    def __init__(self, status: int, message: str, *, close: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.close = close


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the part of the OpenAPI document that tells of ``statuses``."""
    return {status: {"model": Failure, "description": MEANINGS[status]} for status in statuses}


def told(errors: Iterable[Mapping[str, Any]]) -> str:
    """Return in words what pydantic found wrong: where and why, not what was there."""
    first = itertools.islice(errors, MAX_REASONS)
    return "; ".join(f"{'.'.join(map(str, error['loc'])) or 'the body'}: {error['msg']}" for error in first)


def install(app: FastAPI) -> None:
    """Have ``app`` answer every error in the one shape."""

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> JSONResponse:
        headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}  # noqa: PLR2004  as in TYPES
        if error.close:
            headers["Connection"] = "close"
        return _answer(error.status, str(error), headers)

    @app.exception_handler(HTTPException)
    async def of_the_router(_: Request, error: HTTPException) -> JSONResponse:
        messages = {404: "wrong URL: this endpoint has PUT /insight, GET /insights and GET /health"}
        return _answer(error.status_code, messages.get(error.status_code, error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def query(_: Request, error: RequestValidationError) -> JSONResponse:
        return _answer(422, told(error.errors()))

    @app.exception_handler(StoreError)
    async def store(_: Request, error: StoreError) -> JSONResponse:
        return _answer(500, str(error))

    @app.exception_handler(ClientDisconnect)
    async def nobody_waits(_: Request, __: ClientDisconnect) -> JSONResponse:
        return _answer(400, "the connection ended within the body")

    @app.exception_handler(Exception)
    async def bug(_: Request, __: Exception) -> JSONResponse:
        return _answer(500, "an error inside the endpoint; its log tells more")


def _answer(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    kind = TYPES.get(status, "error")
    failure = Failure(error=Reason(type=kind, message=message))
    return JSONResponse(failure.model_dump(), status, headers)
