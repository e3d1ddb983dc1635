"""The HTTP face of the local endpoint: who may, how much, and what is answered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query, Request, Response
from pydantic import BaseModel

from ainsights.server import problems
from ainsights.server.ingest.validation import InvalidInsightError, NotJSONError, event_id_of
from ainsights.server.key_check import KeyCheck
from ainsights.server.listing import Listing, Page, Stored, one, page
from ainsights.server.problems import Problem

if TYPE_CHECKING:
    from ainsights.server.store import SQLiteStore

MAX_BODY_BYTES = 16 * 2**20
"""Twice what the client sends at the most by default."""

SURPLUS = 4
"""A chunked body that is too large is read on to this many times the limit, so that its sender, who reads the answer
only when it has sent all, gets to see it."""

STORED = b'{"success":true}'


class Accepted(BaseModel):
    """It is on disk."""

    success: Literal[True]


def create_app(store: SQLiteStore, api_key: str, max_body_bytes: int = MAX_BODY_BYTES) -> FastAPI:
    """Return the endpoint as an ASGI application. ``store`` is open while it serves; the caller owns it.

    Args:
        store: where insights go.
        api_key: what clients give as ``Authorization: Bearer``.
        max_body_bytes: a larger body is answered 413.
    """
    app = FastAPI(
        title="ainsights: local Insights endpoint",
        docs_url=None,  # it would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    with_key = [Depends(KeyCheck(api_key))]
    _add_writing(app, store, max_body_bytes, with_key)
    _add_reading(app, store, with_key)

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether the endpoint runs. Needs no key."""
        return {"status": "ok"}

    problems.install(app)
    return app


def _add_writing(app: FastAPI, store: SQLiteStore, max_body_bytes: int, with_key: list[Any]) -> None:
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Insight"}}}}

    @app.put(
        "/insight",
        dependencies=with_key,
        openapi_extra={"requestBody": body},
        responses={
            200: {"model": Accepted, "description": "It is on disk."},
            **problems.documented(400, 401, 404, 413, 422, 500),
        },
    )
    async def put_insight(request: Request) -> Response:
        """Store one insight. The same ``ainsights.event_id`` in ``meta`` again is answered 200, and stored once."""
        content = await _body(request, max_body_bytes)
        received_at = time.time()
        try:
            event_id = event_id_of(content, received_at)
        except NotJSONError as error:
            raise Problem(400, str(error)) from error
        except InvalidInsightError as error:
            raise Problem(422, str(error)) from error
        await store.put(event_id, received_at, content)
        return Response(STORED, media_type="application/json")


def _add_reading(app: FastAPI, store: SQLiteStore, with_key: list[Any]) -> None:
    @app.get(
        "/insights",
        dependencies=with_key,
        responses={200: {"model": Page}, **problems.documented(401, 404, 422, 500)},
    )
    def list_insights(wanted: Annotated[Listing, Query()]) -> Response:
        """List what is stored, newest first, in pages."""
        return Response(page(store, wanted), media_type="application/json")

    @app.get(
        "/insights/{event_id:path}",
        dependencies=with_key,
        responses={200: {"model": Stored}, **problems.documented(401, 404, 500)},
    )
    def get_insight(event_id: str) -> Response:
        """Return one stored insight."""
        found = one(store, event_id)
        if found is None:
            raise Problem(404, "no insight has this event id")
        return Response(found, media_type="application/json")


async def _body(request: Request, limit: int) -> bytes:
    """Read the body, keeping no more than ``limit`` of it.

    The rest of a body that was announced as too large is left to the server, which skips it.
    """
    too_large = f"the body is larger than {limit} bytes"
    if int(request.headers.get("content-length", 0)) > limit:
        raise Problem(413, too_large, close="expect" in request.headers)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        elif size > limit * SURPLUS:
            raise Problem(413, too_large, close=True)
    if size > limit:
        raise Problem(413, too_large)
    return b"".join(chunks)
