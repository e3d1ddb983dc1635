"""The connection under a request: what ASGI does not show of it, and does not do with it."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ainsights.mock_openai.request_log import RecordedRequest

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

STATE = "connection"
"""Where the connection is found in the ``state`` of an ASGI scope."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _HeaderRecorder(h11.Connection):
    """Keeps the headers of the last request in the case in which they came; uvicorn lowers it."""

    headers: tuple[tuple[bytes, bytes], ...] = ()

    def next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.headers = tuple(event.headers.raw_items())
        return event


class Connection(H11Protocol):
    """A connection with a number and the headers as they came, which can be broken."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = _HeaderRecorder(h11.SERVER)
        self.app_state = {**self.app_state, STATE: self}
        self.number = 0
        """Given by the application, at the first request."""

    @property
    def received_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The headers of the request in hand, as they came."""
        return self.conn.headers  # type: ignore[attr-defined,no-any-return]

    @property
    def is_closing(self) -> bool:
        """Whether either end has given up."""
        return self.transport.is_closing()

    def recorded(self, scope: Scope, body: bytes) -> RecordedRequest:
        """Return the request in hand, or a message of the WebSocket that it opened, for the log."""
        return RecordedRequest(
            method="WEBSOCKET" if scope["type"] == "websocket" else scope["method"],
            path=scope["raw_path"].decode("ascii"),
            query=scope["query_string"].decode("ascii"),
            headers=tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in self.received_headers),
            body=body,
            connection=self.number,
        )

    def close(self) -> None:
        """End the connection after what was written, whether the response is complete or not."""
        self.transport.close()

    def reset(self) -> None:
        """End the connection at once, with RST."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()


async def gone(receive: Receive, within: float | None = None) -> bool:
    """Wait until the client has gone, or for ``within`` seconds; return whether it has gone."""
    try:
        await asyncio.wait_for(_disconnected(receive), within)
    except asyncio.TimeoutError:
        return False
    return True


async def _disconnected(receive: Receive) -> None:
    while not (await receive())["type"].endswith(".disconnect"):
        pass
