"""Speaking HTTP with the local endpoint in tests."""

from __future__ import annotations

import http.client
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from ainsights.server.store import StoredBody
from ainsights.server.store.reader import Reader
from support.polling import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from typing_extensions import Self

    from ainsights.server import Endpoint

KEY = "key-of-the-test"
BEARER = {"Authorization": f"Bearer {KEY}"}
LIMIT = 100_000
"""Bytes of a body that the endpoint of some tests takes."""


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    json: Any


def insight(event_id: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return a body that the endpoint takes; ``meta`` in ``fields`` goes without its prefix."""
    meta = {f"ainsights.{key}": value for key, value in fields.pop("meta", {}).items()}
    if event_id is not None:
        meta["ainsights.event_id"] = event_id
    return {"response": {"model": "gpt"}, "messages": "hello", "meta": meta, **fields}


class Client:
    """One kept-alive connection."""

    def __init__(self, endpoint: Endpoint) -> None:
        url = urlsplit(endpoint.url)
        self.connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)
        self.headers = {"Authorization": f"Bearer {endpoint.api_key}"}

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        self.connection.request(method, path, body, self.headers if headers is None else headers)
        answer = self.connection.getresponse()
        return Answer(answer.status, answer.headers, json.loads(answer.read()))

    def put(self, body: Any) -> Answer:
        return self.ask("PUT", "/insight", body if isinstance(body, bytes) else json.dumps(body).encode())

    def await_index(self) -> None:
        """Wait until what is stored now can be found."""

        def is_done() -> bool:
            status = self.ask("GET", "/status").json
            return bool(status["index"]["indexed_seq"] >= status["store"]["last_seq"])

        wait_until(is_done)

    def listed(self, **query: Any) -> Any:
        """Return the list of events, once all that is stored now can be found."""
        self.await_index()
        answer = self.ask("GET", f"/insights?{urlencode(query)}")
        assert answer.status == 200, answer.json
        return answer.json

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


def event_ids(database: Path) -> list[str]:
    """Return the ids of what is in the file, oldest first."""
    with closing(sqlite3.connect(database)) as connection:
        return [event_id for (event_id,) in connection.execute("SELECT event_id FROM event ORDER BY seq")]


def bodies(database: Path) -> list[bytes]:
    """Return the bodies of what is in the file, oldest first."""
    reader, found = Reader(database), [StoredBody(0, "", 0, b"")]
    while more := reader.bodies_after(found[-1].seq, 1000):
        found += more
    reader.renew()
    return [stored.body for stored in found[1:]]
