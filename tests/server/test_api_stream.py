from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import httpx
from support.polling import wait_until
from support.serving import BEARER, Client, insight

from ainsights.server import Endpoint, Options, running
from ainsights.server.api import stream

if TYPE_CHECKING:
    import pytest


def open_stream(endpoint: Endpoint, after: int | None = None, **params: str) -> Any:
    headers = BEARER | ({"Last-Event-ID": str(after)} if after is not None else {})
    return httpx.stream("GET", f"{endpoint.url}/insights/stream", params=params, headers=headers, timeout=30)


def take(answer: httpx.Response, count: int) -> list[tuple[int, str]]:
    """Return the stream's ids and the event ids of the next events."""
    found: list[tuple[int, str]] = []
    number = 0
    for line in answer.iter_lines():
        if line.startswith("id: "):
            number = int(line[4:])
        if line.startswith("data: "):
            found.append((number, json.loads(line[6:])["id"]))
            if len(found) == count:
                break
    return found


def streams(client: Client) -> int:
    return int(client.ask("GET", "/status").json["streams"])


def test_events_come_as_they_are_stored(endpoint: Endpoint, client: Client) -> None:
    client.put(insight("before"))
    with open_stream(endpoint) as answer:
        for n in range(3):
            client.put(insight(f"e{n}"))

        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert [name for _, name in take(answer, 3)] == ["e0", "e1", "e2"]


def test_stream_has_only_what_passes_the_filter(endpoint: Endpoint, client: Client) -> None:
    with open_stream(endpoint, q="user:ann", status="error") as answer:
        for n, (user, status) in enumerate((("ann", "ok"), ("bob", "error"), ("ann", "error"))):
            client.put(insight(f"e{n}", user_id=user, meta={"status": status}))

        assert [name for _, name in take(answer, 1)] == ["e2"]


def test_stream_resumes_after_the_last_event_id(
    endpoint: Endpoint, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "AT_ONCE", 10)
    for n in range(25):
        client.put(insight(f"e{n}"))
    with open_stream(endpoint, 0) as answer:
        first = take(answer, 12)
    with open_stream(endpoint, first[-1][0]) as answer:
        rest = take(answer, 13)

    assert [name for _, name in first + rest] == [f"e{n}" for n in range(25)]


def test_stream_ends_when_its_client_disconnects(endpoint: Endpoint, client: Client) -> None:
    with open_stream(endpoint) as answer:
        lines = answer.iter_lines()  # httpx ends the answer with the iterator
        next(lines)
        assert streams(client) == 1

    wait_until(lambda: streams(client) == 0)


def test_heartbeat_shows_that_a_silent_stream_lives(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.1)
    with open_stream(endpoint) as answer:
        assert ": alive" in [line for _, line in zip(range(6), answer.iter_lines(), strict=False)]


def test_streams_are_bounded(endpoint: Endpoint, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_STREAMS", 1)
    with open_stream(endpoint) as answer:
        lines = answer.iter_lines()  # httpx ends the answer with the iterator
        next(lines)
        refused = client.ask("GET", "/insights/stream")

    assert (refused.status, refused.headers["Retry-After"]) == (503, "5")


def test_wrong_last_event_id_is_a_problem(client: Client) -> None:
    answer = client.ask("GET", "/insights/stream", headers=client.headers | {"Last-Event-ID": "x"})

    assert (answer.status, answer.json["parameter"]) == (422, "Last-Event-ID")


def test_stream_does_not_hold_up_the_end_of_the_server(options: Options) -> None:
    ended: list[list[str]] = []

    def follow(endpoint: Endpoint, started: threading.Event) -> None:
        with open_stream(endpoint) as answer:
            lines = answer.iter_lines()
            next(lines)
            started.set()
            ended.append(list(lines))

    with running(options) as endpoint:
        started = threading.Event()
        thread = threading.Thread(target=follow, args=(endpoint, started))
        thread.start()
        assert started.wait(30)
    thread.join(30)

    assert ended == [[""]]  # its own end, before the server would cut it off
