"""Has FastAPI answer every error with a problem document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from ainsights.server import problems
from ainsights.server.problems import Problem
from ainsights.server.query import QueryError
from ainsights.server.query.engine import IndexUnavailableError
from ainsights.server.store import StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import FastAPI, Request

    from ainsights.server.keys import Authorization


def install(app: FastAPI, authorization: Authorization, paths: Sequence[str]) -> None:
    """Add the handlers to ``app``. Without a key not even a wrong URL is answered as such.

    Args:
        app: what answers.
        authorization: who may do what.
        paths: where insights are taken.
    """
    taken = ", ".join(f"PUT {path}" for path in paths)
    wrong_url = f"wrong URL: this endpoint has {taken}, GET /insights, and what GET /openapi.json describes"

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> Response:
        return _answer(error)

    @app.exception_handler(HTTPException)
    async def of_the_router(request: Request, error: HTTPException) -> Response:
        try:
            authorization.check_scope(request.scope, dict(request.scope["headers"]), None)
        except Problem as no_key:
            return _answer(no_key)
        detail = {404: wrong_url}.get(error.status_code, error.detail)
        return _answer(Problem(error.status_code, detail, headers=error.headers))

    @app.exception_handler(RequestValidationError)
    async def parameters(_: Request, error: RequestValidationError) -> Response:
        return _answer(problems.invalid(error.errors()))

    _install_failures(app)

    @app.exception_handler(Exception)
    async def bug(_: Request, __: Exception) -> Response:
        return _answer(Problem(500, "an error inside the endpoint; its log has more"))


def _install_failures(app: FastAPI) -> None:
    @app.exception_handler(QueryError)
    async def query(_: Request, error: QueryError) -> Response:
        return _answer(Problem(422, str(error)))

    @app.exception_handler(IndexUnavailableError)
    async def index(_: Request, error: IndexUnavailableError) -> Response:
        return _answer(Problem(503, str(error), headers={"Retry-After": "1"}))

    @app.exception_handler(StoreUnavailableError)
    async def unavailable(_: Request, error: StoreUnavailableError) -> Response:
        return _answer(Problem(503, str(error), headers={"Retry-After": str(error.retry_after)}))

    @app.exception_handler(StoreError)
    async def store(_: Request, error: StoreError) -> Response:
        return _answer(Problem(500, str(error)))


def _answer(problem: Problem) -> Response:
    headers: Mapping[str, str] = problem.headers
    return Response(problem.encode(), problem.status, headers, problems.MEDIA_TYPE)
