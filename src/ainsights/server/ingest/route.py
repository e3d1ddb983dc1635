"""``PUT /insight`` as a plain ASGI application: nothing of a framework stands on this path."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from ainsights._logging import log_rate_limited
from ainsights.server.ingest.body import BodyReader, DisconnectedError
from ainsights.server.ingest.validation import InvalidInsightError, NotJSONError, event_id_of
from ainsights.server.keys import Role
from ainsights.server.problems import Problem
from ainsights.server.store import StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ainsights.server.keys import Authorization
    from ainsights.server.store import Store

INLINE_BYTES = 2**20
"""A larger body is validated on another thread: several at the same time would keep all other requests waiting."""

BODY = b'{"success":true}'
STORED = (
    {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))],
    },
    {"type": "http.response.body", "body": BODY},
)


class IngestRoute:
    """Answers 200 for what is on disk, and a problem document for all else."""

    def __init__(self, store: Store, authorization: Authorization, max_body_bytes: int) -> None:
        self._store = store
        self._authorization = authorization
        self._bodies = BodyReader(max_body_bytes)

    async def __call__(
        self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Handle one request."""
        try:
            await self._store_one(scope, receive)
        except DisconnectedError:
            return
        except Exception as error:  # noqa: BLE001  a bug of ours is answered, too
            await _problem(error).send(send)
        else:
            for message in STORED:
                await send(message)

    async def _store_one(self, scope: Any, receive: Callable[[], Awaitable[Any]]) -> None:
        if scope["method"] != "PUT":
            raise Problem(405, "only PUT is allowed here", headers={"Allow": "PUT"})
        headers = dict(scope["headers"])
        self._authorization.check_scope(scope, headers, Role.WRITE)
        body = await self._bodies.read(headers, receive)
        try:
            received_at = time.time()
            await self._store.put(await _event_id_of(body, received_at), received_at, body)
        finally:
            self._bodies.release(body)


async def _event_id_of(body: bytes, received_at: float) -> str:
    if len(body) <= INLINE_BYTES:
        return event_id_of(body, received_at)
    return await asyncio.to_thread(event_id_of, body, received_at)


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, NotJSONError):
        return Problem(400, str(error))
    if isinstance(error, InvalidInsightError):
        return Problem(422, str(error), parameter=error.field or None)
    if isinstance(error, StoreUnavailableError):
        return Problem(503, str(error), headers={"Retry-After": str(error.retry_after)})
    if isinstance(error, StoreError):
        return Problem(500, str(error))
    log_rate_limited("error", "ingest", "Internal error while storing an insight: %r", error, error=error)
    return Problem(500, "an error inside the endpoint; its log has more")
