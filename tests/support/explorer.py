"""The Explorer over a running endpoint: signed in with a key, as a browser would be."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from html import unescape
from typing import TYPE_CHECKING

import httpx

from ainsights import server
from ainsights.server.sample import generate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typing_extensions import Self

    from ainsights.server import Endpoint, Options

KEY = "key-of-the-test"


class Visitor:
    """A signed-in visitor."""

    def __init__(self, endpoint: Endpoint, key: str = KEY) -> None:
        self.endpoint = endpoint
        self.client = httpx.Client(base_url=endpoint.url, timeout=60)
        self.signed_in = self.post("/ui/login", key=key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def get(self, path: str, status: int = 200, **headers: str) -> str:
        answer = self.client.get(path, headers=headers)
        assert answer.status_code == status, (path, answer.status_code, answer.text[:2000])
        return answer.text

    def post(self, path: str, **form: str) -> httpx.Response:
        return self.client.post(path, data=form, headers={"Origin": self.endpoint.url})

    def link(self, path: str, pattern: str) -> str:
        """Return the first link of a page that matches."""
        found = re.search(rf'href="({pattern})"', self.get(path))
        assert found, (path, pattern)
        return unescape(found[1])


@contextmanager
def visiting(options: Options, bodies: Sequence[bytes] = ()) -> Iterator[Visitor]:
    """Run an endpoint that has these bodies, and sign in."""
    with server.running(options) as endpoint:
        put(endpoint, bodies)
        with Visitor(endpoint) as visitor:
            yield visitor


def put(endpoint: Endpoint, bodies: Sequence[bytes]) -> None:
    """Send the bodies, and wait until queries see them."""
    headers = {"Authorization": f"Bearer {endpoint.api_key}", "Content-Type": "application/json"}
    with httpx.Client(base_url=endpoint.url, headers=headers, timeout=60) as client:
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda body: client.put("/insight", content=body), bodies))
        assert {answer.status_code for answer in answers} <= {200}
        while True:
            status = client.get("/status").json()["index"]
            if status["indexed_seq"] >= status["last_seq"]:
                return


def sample(count: int, until: float = 1_764_000_000.0, days: float = 7) -> list[bytes]:
    """Return the bodies of a generated sample."""
    return [each.body for each in generate(count, until=until, days=days)]
