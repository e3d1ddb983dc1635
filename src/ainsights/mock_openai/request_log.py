"""What the server received: the last requests, and how many there were."""

from __future__ import annotations

import base64
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT = 1000
"""So many requests are kept; older ones are only counted."""

KEPT_BYTES = 64 * 2**20
"""So many bytes of their bodies are kept, and the last one however large."""


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request, as it came.

    Attributes:
        method: in upper case; ``WEBSOCKET`` for a message that came over a WebSocket.
        path: as sent, percent-encoded.
        query: as sent, without the question mark.
        headers: name and value in the case and the order in which they came.
        body: its bytes, still encoded where they were.
        connection: the number of the connection, from 1 in the order of their opening.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int

    def as_json(self) -> dict[str, Any]:
        """Return the request for JSON, its body in base64."""
        return {
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": [list(header) for header in self.headers],
            "body": base64.b64encode(self.body).decode(),
            "connection": self.connection,
        }


class RequestLog(Sequence[RecordedRequest]):
    """The last requests, oldest first. Safe to read while the server runs."""

    def __init__(self) -> None:
        self.total = 0
        """How many came since the start or the last :meth:`clear`."""
        self._kept: deque[RecordedRequest] = deque()
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, request: RecordedRequest) -> None:
        """Note one more request, and forget the oldest if there are too many."""
        with self._lock:
            self.total += 1
            self._kept.append(request)
            self._bytes += len(request.body)
            while len(self._kept) > KEPT or (self._bytes > KEPT_BYTES and len(self._kept) > 1):
                self._bytes -= len(self._kept.popleft().body)

    def clear(self) -> None:
        """Forget them all, and count from 0 again."""
        with self._lock:
            self.total = self._bytes = 0
            self._kept.clear()

    def __iter__(self) -> Iterator[RecordedRequest]:
        with self._lock:
            return iter(tuple(self._kept))

    def __len__(self) -> int:
        return len(self._kept)

    @overload
    def __getitem__(self, index: int) -> RecordedRequest: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RecordedRequest]: ...
    def __getitem__(self, index: int | slice) -> RecordedRequest | Sequence[RecordedRequest]:
        return tuple(self)[index]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.total} in all, the last {len(self)} kept>"
