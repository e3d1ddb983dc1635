from __future__ import annotations

import asyncio
import gzip
import json
import select
import signal
import socket
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.polling import wait_until
from support.serve_process import serving
from support.serving import BEARER, KEY, Client, bodies, insight

from ainsights.server import Endpoint, Options, connections, running
from ainsights.server.ingest import IngestRoute
from ainsights.server.ingest import body as ingest_body
from ainsights.server.ingest.openapi import INSIGHT
from ainsights.server.ingest.validation import InvalidInsightError, event_id_of
from ainsights.server.keys import Authorization
from ainsights.server.store import SQLiteStore

if TYPE_CHECKING:
    from pathlib import Path

GOOD = json.dumps(insight()).encode()


@pytest.fixture(scope="module")
def endpoint(bounded_endpoint: Endpoint) -> Endpoint:
    return bounded_endpoint


def connect(endpoint: Endpoint) -> socket.socket:
    url = urlsplit(endpoint.url)
    return socket.create_connection((url.hostname, url.port), timeout=30)


def answer(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Return status and document of what comes until the server closes the connection."""
    received = b""
    while more := connection.recv(65536):
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return int(head.split()[1]), json.loads(body)


def put_encoded(client: Client, body: bytes, encoding: str) -> Any:
    return client.ask("PUT", "/insight", body, {**BEARER, "Content-Encoding": encoding})


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
def test_gzipped_body_is_stored_as_it_was_before(endpoint: Endpoint, client: Client, encoding: str) -> None:
    body = json.dumps(insight(messages=encoding)).encode()

    assert put_encoded(client, gzip.compress(body), encoding).status == 200
    assert bodies(endpoint.database)[-1] == body


def test_gzip_of_two_members_is_one_body(endpoint: Endpoint, client: Client) -> None:
    body = json.dumps(insight(messages="two")).encode()

    assert put_encoded(client, gzip.compress(body[:50]) + gzip.compress(body[50:]), "gzip").status == 200
    assert bodies(endpoint.database)[-1] == body


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (gzip.compress(GOOD)[:-9], "gzip", 400),
        (GOOD, "gzip", 400),
        (zlib.compress(GOOD), "gzip", 400),
        (gzip.compress(b" " * 100_000_000), "gzip", 413),
        (b"", "gzip", 400),
        (gzip.compress(b"") * 1000 + gzip.compress(GOOD), "gzip", 400),
        (GOOD, "br", 415),
        (GOOD, "gzip, gzip", 415),
    ],
    ids=["cut", "plain", "zlib", "bomb", "empty", "thousand members", "brotli", "twice"],
)
def test_body_that_is_not_a_bounded_gzip_is_refused(client: Client, body: bytes, encoding: str, status: int) -> None:
    refused = put_encoded(client, body, encoding)

    assert (refused.status, refused.json["success"]) == (status, False)
    assert client.put(GOOD).status == 200


def test_bodies_of_all_requests_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_body, "MAX_IN_FLIGHT_BYTES", 200_000)
    head = f"PUT /insight HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 1000000\r\n\r\n"
    with running(Options(tmp_path / "insights.db", api_key=KEY)) as endpoint:
        with ExitStack() as stack:
            slow = [stack.enter_context(connect(endpoint)) for _ in range(3)]
            for connection in slow:
                connection.sendall(head.encode() + b" " * 90_000)
            status, document = answer(next(iter(select.select(slow, [], [], 30)[0])))
        with Client(endpoint) as client:
            wait_until(lambda: client.put(insight(inputs={"x": "y" * 150_000})).status == 200)
            assert client.put(insight(inputs={"x": "y" * 150_000})).status == 200

    assert (status, document["success"]) == (503, False)


@pytest.mark.parametrize(("size", "threads"), [(1000, 0), (3_000_000, 1)])
def test_large_body_is_validated_off_the_event_loop(tmp_path: Path, size: int, threads: int) -> None:
    body = json.dumps(insight(inputs={"x": "y" * size})).encode()
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    async def put(route: IngestRoute) -> int:
        with ThreadPoolExecutor() as pool:
            asyncio.get_running_loop().set_default_executor(pool)
            head = {"type": "http", "method": "PUT", "headers": [(b"authorization", f"Bearer {KEY}".encode())]}
            await route(head, receive, send)
            return len(threading.enumerate())

    with SQLiteStore(tmp_path / "insights.db") as store:
        before = len(threading.enumerate())
        assert asyncio.run(put(IngestRoute(store, Authorization(None, KEY), 2**24))) - before == threads
    assert sent[0]["status"] == 200


def test_unknown_keys_are_named_once_and_shortly(tmp_path: Path) -> None:
    with running(Options(tmp_path / "insights.db", api_key=KEY)) as endpoint, Client(endpoint) as client:
        many = client.put(json.dumps(insight() | dict.fromkeys(map(str, range(1_000_000)))).encode())
        long = client.put(json.dumps(insight() | {"x" * 10_000_000: 1}).encode())

    for refused in (many, long):
        assert refused.status == 422
        assert len(json.dumps(refused.json)) < 1000
    assert many.json["parameter"] == "0"
    assert long.json["parameter"].startswith("xxx")


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"messages": "x"}, "response"),
        ({"response": {}, "messages": 1}, "messages"),
        ({"response": {}, "messages": "x", "meta": []}, "meta"),
        ({"response": {}, "messages": "x", "user_id": 7}, "user_id"),
        ({"response": {}, "messages": None, "template": "x"}, "messages"),
    ],
)
def test_problem_names_the_key_that_is_wrong(client: Client, body: Any, parameter: str) -> None:
    assert client.put(body).json["parameter"] == parameter


def test_very_long_event_id_is_stored_once(endpoint: Endpoint, client: Client) -> None:
    body = insight("x" * 50_000)

    assert [client.put(body).status for _ in range(2)] == [200, 200]
    assert bodies(endpoint.database).count(json.dumps(body).encode()) == 1


VALUES = st.sampled_from([None, True, 0, "x", [], ["x"], [{}], ["x", {}], [1], [None], {}, {"a": [1]}])


@given(st.dictionaries(st.sampled_from([*INSIGHT["properties"], "other"]), VALUES))
def test_body_is_accepted_exactly_if_the_openapi_schema_allows_it(body: dict[str, Any]) -> None:
    try:
        event_id_of(json.dumps(body).encode(), 1.0)
        accepted = True
    except InvalidInsightError:
        accepted = False

    assert accepted is allows(INSIGHT, body)


TYPES = {"object": dict, "array": list, "string": str, "null": type(None), "boolean": bool}


def allows(schema: Any, value: Any) -> bool:
    """Whether the part of JSON Schema that the document uses allows ``value``."""
    if "type" in schema and not isinstance(value, TYPES[schema["type"]]):
        return False
    if "anyOf" in schema and not any(allows(each, value) for each in schema["anyOf"]):
        return False
    if isinstance(value, list):
        return all(allows(schema.get("items", {}), item) for item in value)
    if not isinstance(value, dict):
        return True
    known = schema.get("properties", {})
    return (
        all(key in value for key in schema.get("required", ()))
        and (schema.get("additionalProperties", True) or set(value) <= set(known))
        and all(allows(known.get(key, {}), item) for key, item in value.items())
    )


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00" * 20])
def test_malformed_http_gets_a_problem_document(endpoint: Endpoint, sent: bytes) -> None:
    with connect(endpoint) as connection:
        connection.sendall(sent)
        status, document = answer(connection)

    assert (status, document["success"]) == (400, False)


def test_headers_without_end_are_cut_off(endpoint: Endpoint) -> None:
    with connect(endpoint) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n")
        with suppress(ConnectionError):
            for n in range(1000):
                connection.sendall(b"X-%d: " % n + b"x" * 5000 + b"\r\n")
            pytest.fail("all of it was taken")


def test_connection_without_a_request_is_closed_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.1)
    with running(Options(tmp_path / "insights.db", api_key=KEY)) as endpoint:
        with connect(endpoint) as silent, connect(endpoint) as slow:
            slow.sendall(b"PUT /insight HTTP/1.1\r\nHost:")
            assert silent.recv(1000) == b""
            assert answer(slow)[0] == 408
        with Client(endpoint) as client:
            for _ in range(3):
                assert client.put(GOOD).status == 200


def test_body_that_stops_coming_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BODY_IDLE_SECONDS", 0.1)
    with running(Options(tmp_path / "insights.db", api_key=KEY)) as endpoint, connect(endpoint) as slow:
        head = f"PUT /insight HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 1000\r\n\r\n{{"
        slow.sendall(head.encode())

        assert answer(slow)[0] == 408


def test_idle_connections_are_closed_for_new_ones(tmp_path: Path) -> None:
    database = tmp_path / "insights.db"
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))"
    with serving(database, "--api-key", KEY, before=few) as (process, url), ExitStack() as stack:
        endpoint = Endpoint(url, KEY, database)
        idle = [stack.enter_context(connect(endpoint)) for _ in range(100)]
        idle[0].setblocking(False)
        for n in range(20):
            with Client(endpoint) as client:
                assert client.put(insight(f"e{n}")).status == 200
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)

    assert stderr.count("\n") <= 2
    assert len(bodies(database)) == 20


def test_end_with_an_open_request_prints_no_traceback(tmp_path: Path) -> None:
    database = tmp_path / "insights.db"
    with serving(database, "--api-key", KEY) as (process, url), connect(Endpoint(url, KEY, database)) as open_request:
        head = f"PUT /insight HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 1000\r\n\r\n{{"
        open_request.sendall(head.encode())
        with Client(Endpoint(url, KEY, database)) as client:
            client.put(insight("e"))
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
        status, document = answer(open_request)

    assert (process.returncode, stderr) == (0, "")
    assert "on disk" in stdout
    assert (status, document["success"]) == (503, False)


@pytest.mark.parametrize("absent", ["uvloop", "httptools"])
def test_endpoint_without_a_fast_module_works_and_logs_it(tmp_path: Path, absent: str) -> None:
    database = tmp_path / "insights.db"
    hide = (
        f"import importlib.util, sys; sys.modules[{absent!r}] = None; find = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name, *more: None if name == {absent!r} else find(name, *more)"
    )
    with serving(database, "--api-key", KEY, before=hide) as (process, url):
        with Client(Endpoint(url, KEY, database)) as client:
            assert client.put(insight("e")).status == 200
            assert client.put(b"[]").status == 422
        with connect(Endpoint(url, KEY, database)) as connection:
            connection.sendall(b"nonsense\r\n\r\n")
            assert answer(connection)[0] == 400
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)

    assert f"{absent} cannot be imported" in stderr
