from __future__ import annotations

import http.client
import itertools
import json
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from support.polling import wait_until
from support.serving import BEARER, KEY, LIMIT, Client, bodies, event_ids, insight

if TYPE_CHECKING:
    from ainsights.server import Endpoint

GOOD = json.dumps(insight()).encode()


@pytest.fixture(scope="module")
def endpoint(bounded_endpoint: Endpoint) -> Endpoint:
    return bounded_endpoint


BAD = {
    "empty body": ("PUT", "/insight", b"", BEARER, 400),
    "half a body": ("PUT", "/insight", GOOD[:-1], BEARER, 400),
    "two values": ("PUT", "/insight", GOOD + GOOD, BEARER, 400),
    "not UTF-8": ("PUT", "/insight", b'"\xff"', BEARER, 400),
    "UTF-16": ("PUT", "/insight", json.dumps(insight()).encode("utf-16"), BEARER, 400),
    "NaN": ("PUT", "/insight", b'{"response": {"x": NaN}, "messages": ""}', BEARER, 400),
    "nested too deeply": ("PUT", "/insight", b"[" * 50_000 + b"]" * 50_000, BEARER, 400),
    "a list": ("PUT", "/insight", b"[]", BEARER, 422),
    "no response": ("PUT", "/insight", b'{"messages": "x"}', BEARER, 422),
    "response is null": ("PUT", "/insight", b'{"response": null, "messages": "x"}', BEARER, 422),
    "response is text": ("PUT", "/insight", b'{"response": "x", "messages": "x"}', BEARER, 422),
    "no messages": ("PUT", "/insight", b'{"response": {}}', BEARER, 422),
    "mixed messages": ("PUT", "/insight", b'{"response": {}, "messages": ["x", {}]}', BEARER, 422),
    "user_id is a number": ("PUT", "/insight", b'{"response": {}, "messages": "x", "user_id": 1}', BEARER, 422),
    "unknown key": ("PUT", "/insight", b'{"response": {}, "messages": "x", "more": 1}', BEARER, 422),
    "too large": ("PUT", "/insight", b" " * (LIMIT + 1), BEARER, 413),
    "much too large": ("PUT", "/insight", b" " * (LIMIT * 100), BEARER, 413),
    "no key": ("PUT", "/insight", GOOD, {}, 401),
    "wrong key": ("PUT", "/insight", GOOD, {"Authorization": f"Bearer {KEY}x"}, 401),
    "key beyond ASCII": ("PUT", "/insight", GOOD, {"Authorization": "Bearer \xe9"}, 401),
    "other scheme": ("PUT", "/insight", GOOD, {"Authorization": f"Basic {KEY}"}, 401),
    "listing without key": ("GET", "/insights", None, {}, 401),
    "reading without key": ("GET", "/insights/x", None, {}, 401),
    "document without key": ("GET", "/openapi.json", None, {}, 401),
    "wrong URL without key": ("GET", "/nothing", None, {}, 401),
    "wrong method without key": ("POST", "/insights", None, {}, 401),
    "wrong URL": ("PUT", "/v1/insight", GOOD, BEARER, 404),
    "slash at the end": ("PUT", "/insight/", GOOD, BEARER, 404),
    "wrong method": ("POST", "/insight", GOOD, BEARER, 405),
    "unknown event": ("GET", "/insights/nobody", None, BEARER, 404),
    "limit of 0": ("GET", "/insights?limit=0", None, BEARER, 422),
    "limit of 1001": ("GET", "/insights?limit=1001", None, BEARER, 422),
    "limit is text": ("GET", "/insights?limit=many", None, BEARER, 422),
    "since is not a time": ("GET", "/insights?since=yesterday", None, BEARER, 422),
    "until before all years": ("GET", "/insights?until=0001-01-01T00:00:00%2B10:00", None, BEARER, 422),
    "made-up cursor": ("GET", "/insights?cursor=x", None, BEARER, 422),
    "until is a number": ("GET", "/insights?until=0.5", None, BEARER, 422),
    "unknown filter": ("GET", "/insights?modle=gpt", None, BEARER, 422),
}


@pytest.mark.parametrize(("request_", "status"), [(parts[:-1], parts[-1]) for parts in BAD.values()], ids=BAD)
def test_bad_request_gets_its_status_and_reason_and_the_endpoint_serves_on(
    client: Client, request_: tuple[Any, ...], status: int
) -> None:
    answer = client.ask(*request_)

    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["success"] is False
    assert answer.json["status"] == status
    assert all(answer.json[member] for member in ("type", "title", "detail"))
    assert KEY not in str(answer)
    assert "Traceback" not in str(answer)
    assert answer.headers["WWW-Authenticate"] == ("Bearer" if status == 401 else None)
    assert client.put(GOOD).status == 200


GOOD_BODIES: dict[str, Any] = {
    "no more than needed": {"response": {}, "messages": "x"},
    "template instead of messages": {"response": {}, "messages": None, "template": "Hi {x}", "inputs": {"x": 1}},
    "lone surrogates": insight(messages="\ud800", user_id="\udfff", response={"model": "\ud83d", "\ud800": 1}),
    "NUL": insight(messages="\0", user_id="\0", response={"model": "a\0b"}),
    "deep nesting": insight(inputs={"x": json.loads("[" * 300 + "]" * 300)}),
    "huge numbers": insight(
        response={"usage": {"prompt_tokens": 10**30, "total_tokens": True}}, meta={"latency_ms": -(10**400)}
    ),
    "columns of other types": insight(
        response={"model": 1, "usage": []}, meta={"event_id": 5, "timestamp": [], "latency_ms": "1", "status": {}}
    ),
    "impossible timestamp": insight(meta={"timestamp": "0001-01-01T00:00:00+10:00"}),
}


@pytest.mark.parametrize("body", GOOD_BODIES.values(), ids=GOOD_BODIES)
def test_unusual_insight_is_stored_as_received(endpoint: Endpoint, client: Client, body: Any) -> None:
    answer = client.put(body)

    assert (answer.status, answer.json) == (200, {"success": True})
    assert json.loads(bodies(endpoint.database)[-1]) == body
    assert client.listed(limit=1)["items"]


def test_body_larger_than_the_limit_in_chunks_gets_413(client: Client) -> None:
    answer = client.ask("PUT", "/insight", iter([b" " * 1000] * (LIMIT // 1000 + 1)), BEARER)

    assert (answer.status, answer.json["status"]) == (413, 413)
    assert client.put(GOOD).status == 200


def test_body_without_end_is_cut_off(endpoint: Endpoint, client: Client) -> None:
    sent = itertools.count()
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        client.ask("PUT", "/insight", (b" " * 10_000 for _ in sent), BEARER)

    assert next(sent) < 10_000
    with Client(endpoint) as other:
        assert other.put(GOOD).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer wrong", "Content-Length": "1000"}, 401),
        ({**BEARER, "Content-Length": str(10**12)}, 413),
        ({**BEARER, "Content-Length": str(10**12), "Expect": "100-continue"}, 413),
    ],
)
def test_what_the_headers_forbid_is_answered_before_the_body(
    client: Client, headers: dict[str, str], status: int
) -> None:
    client.connection.putrequest("PUT", "/insight")
    for name, value in headers.items():
        client.connection.putheader(name, value)
    client.connection.endheaders()

    assert client.connection.getresponse().status == status


def test_client_that_disconnects_within_its_body_is_not_an_error(
    endpoint: Endpoint, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    before = event_ids(endpoint.database)
    with Client(endpoint) as leaver:
        leaver.connection.putrequest("PUT", "/insight")
        leaver.connection.putheader("Authorization", f"Bearer {KEY}")
        leaver.connection.putheader("Content-Length", "1000")
        leaver.connection.endheaders(b"{")

    assert client.put(GOOD).status == 200
    assert len(event_ids(endpoint.database)) == len(before) + 1
    assert not caplog.records


@pytest.mark.parametrize(
    "body",
    [
        b'{"response": {}, "messages": [' + b"1," * (LIMIT // 3) + b"1]}",
        json.dumps(dict.fromkeys(map(str, range(5000)))).encode(),
    ],
    ids=["items", "keys"],
)
def test_reason_for_a_body_that_is_wrong_throughout_is_short(client: Client, body: bytes) -> None:
    answer = client.put(body)

    assert answer.status == 422
    assert len(answer.json["detail"]) < 500


def test_same_event_id_is_answered_200_and_stored_once(endpoint: Endpoint, client: Client) -> None:
    first, second = insight("twice", user_id="Ann"), insight("twice", user_id="Bob")

    assert [client.put(body).status for body in (first, second)] == [200, 200]
    assert event_ids(endpoint.database).count("twice") == 1
    assert client.ask("GET", "/insights/twice").json["user"] == "Ann"


def test_bodies_without_event_id_get_a_row_each(endpoint: Endpoint, client: Client) -> None:
    before = event_ids(endpoint.database)
    client.put(GOOD)
    client.put(GOOD)

    new = event_ids(endpoint.database)[len(before) :]
    assert len(set(new)) == 2


def test_concurrent_puts_are_all_stored_once(endpoint: Endpoint) -> None:
    statuses: list[int] = []

    def put_all(names: range) -> None:
        with Client(endpoint) as client:
            statuses.extend(client.put(insight(f"concurrent {name}")).status for name in names)

    # each name is put by two threads at about the same time
    threads = [threading.Thread(target=put_all, args=(range(start, start + 100),)) for start in range(0, 800, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    stored = [name for name in event_ids(endpoint.database) if name.startswith("concurrent")]
    assert statuses == [200] * 1600
    assert sorted(stored) == sorted(f"concurrent {name}" for name in range(850))


def test_failing_store_gets_500_until_it_works_again(endpoint: Endpoint, client: Client) -> None:
    client.put(GOOD)
    wait_until(lambda: bool(client.listed()["items"]))
    with closing(sqlite3.connect(endpoint.database)) as other:
        other.execute("ALTER TABLE event RENAME TO gone")
        put, listed = client.put(GOOD), client.ask("GET", "/insights")
        other.execute("ALTER TABLE gone RENAME TO event")

    assert (put.status, put.json["success"]) == (500, False)
    assert listed.status == 500
    assert client.put(GOOD).status == 200


def test_health_needs_no_key_and_reveals_no_more(client: Client) -> None:
    wait_until(lambda: client.ask("GET", "/health", headers={}).status == 200)  # a test before may have made it fail

    assert client.ask("GET", "/health", headers={}).json == {"status": "ok"}


def test_openapi_document_describes_statuses_key_and_body(client: Client) -> None:
    document = client.ask("GET", "/openapi.json").json
    put = document["paths"]["/insight"]["put"]
    schemas = document["components"]["schemas"]

    assert set(put["responses"]) >= {"200", "400", "401", "403", "413", "415", "422", "429", "500", "503"}
    assert set(document["paths"]["/insights"]["get"]["responses"]) == {"200", "401", "403", "422", "429", "500", "503"}
    assert document["components"]["securitySchemes"][next(iter(put["security"][0]))]["scheme"] == "bearer"
    assert put["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Insight"}
    assert schemas["Insight"]["required"] == ["response"]
    assert set(schemas["ProblemDocument"]["properties"]) >= {"type", "title", "status", "detail", "parameter"}
