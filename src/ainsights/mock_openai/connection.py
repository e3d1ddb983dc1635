"""The connection under a request: what ASGI does not show of it, and does not do with it."""

from __future__ import annotations

import socket
import struct
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

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

    def close(self) -> None:
        """End the connection after what was written, whether the response is complete or not."""
        self.transport.close()

    def reset(self) -> None:
        """End the connection at once, with RST."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()
