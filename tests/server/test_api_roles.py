from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from support.backends import keys_of
from support.polling import wait_until
from support.serving import Client, insight

from ainsights.server import Endpoint, Options, running
from ainsights.server.keys import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

OPEN = {("get", "/health")}
ADMIN = {("delete", "/insights/{event_id}"), ("delete", "/users/{user_id}"), ("get", "/verify"), ("get", "/accesses")}
WRITE = {("put", "/insight")}


@pytest.fixture(scope="module")
def keys(shared_options: Options) -> dict[Role, str]:
    with keys_of(shared_options) as store:
        return {role: store.add(f"test-{role.value}", [role]) for role in Role}


@pytest.fixture(scope="module")
def endpoint(shared_options: Options, keys: dict[Role, str]) -> Iterator[Endpoint]:  # noqa: ARG001  made before it runs
    with running(shared_options) as endpoint:
        with Client(endpoint) as client:
            client.put(insight("e", user_id="ann", meta={"status": "ok"}))
            client.await_index()
        yield endpoint


def operations(endpoint: Endpoint) -> set[tuple[str, str]]:
    """Return every method and path of the OpenAPI document."""
    with Client(endpoint) as client:
        document = client.ask("GET", "/openapi.json").json
    return {(method, path) for path, item in document["paths"].items() for method in item}


def status(endpoint: Endpoint, operation: tuple[str, str], key: str | None, **changes: Any) -> int:
    """Return the status of the operation; the stream is not waited for."""
    method, path = operation
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url = endpoint.url + re.sub(r"\{.*?\}", "none", path)
    content = b"{}" if method == "put" else None
    with httpx.stream(method, url, headers=headers, content=content, timeout=30, **changes) as answer:
        return answer.status_code


def test_document_has_every_route(endpoint: Endpoint) -> None:
    expected = {
        "/insights", "/insights/{event_id}", "/insights/stream", "/query", "/facets", "/questions", "/messages",
        "/urls", "/words", "/templates", "/conversations", "/conversations/{conversation_id}", "/users/{user_id}",
        "/export", "/status",
    }  # fmt: skip
    assert operations(endpoint) == {("get", path) for path in expected} | OPEN | ADMIN | WRITE


def test_nothing_but_health_answers_without_a_key(endpoint: Endpoint) -> None:
    for operation in operations(endpoint):
        assert status(endpoint, operation, None) == (200 if operation in OPEN else 401), operation


def test_write_key_reads_nothing(endpoint: Endpoint, keys: dict[Role, str]) -> None:
    for operation in operations(endpoint) - OPEN - WRITE:
        assert status(endpoint, operation, keys[Role.WRITE]) == 403, operation


def test_read_key_changes_nothing(endpoint: Endpoint, keys: dict[Role, str]) -> None:
    for operation in operations(endpoint) - OPEN:
        refused = operation in ADMIN | WRITE
        assert (status(endpoint, operation, keys[Role.READ]) == 403) is refused, operation

    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for _, path in operations(endpoint):
            assert status(endpoint, (method, path), keys[Role.READ]) in (403, 404, 405), (method, path)


def test_admin_key_erases_and_stores_nothing(endpoint: Endpoint, keys: dict[Role, str]) -> None:
    for operation in operations(endpoint) - OPEN - WRITE:
        assert status(endpoint, operation, keys[Role.ADMIN]) in (200, 404, 422), operation
    assert status(endpoint, ("put", "/insight"), keys[Role.ADMIN]) == 403


def test_erased_event_is_in_no_answer(endpoint: Endpoint) -> None:
    with Client(endpoint) as client:
        for n in range(4):
            client.put(insight(f"x{n}", user_id="eve", messages="unmistakable"))
        client.await_index()

        assert client.ask("DELETE", "/insights/x0?reason=asked").json == {"erased": 1}
        assert client.ask("DELETE", "/insights/x0").status == 404
        assert client.listed(user="eve")["total"] == 3
        assert client.ask("DELETE", "/users/eve").json == {"erased": 3}
        assert client.ask("DELETE", "/users/eve").json == {"erased": 0}
        assert client.listed(q="unmistakable")["items"] == []
        assert client.ask("GET", "/users/eve").status == 404
        assert client.ask("GET", "/insights/x1").status == 404


def test_user_is_erased_to_the_last_event_however_late_it_arrived(endpoint: Endpoint) -> None:
    user = "a/b é\nc"
    with Client(endpoint) as client:
        for n in range(30):
            client.put(insight(f"late{n}", user_id=user))

        assert client.ask("DELETE", f"/users/{quote(user, safe='')}").json == {"erased": 30}


def test_erasures_and_reads_are_in_the_access_log_with_the_key_that_asked(
    endpoint: Endpoint, keys: dict[Role, str]
) -> None:
    with Client(Endpoint(endpoint.url, keys[Role.ADMIN], endpoint.database)) as admin:
        admin.ask("GET", "/users/someone")
        admin.ask("DELETE", "/users/someone?reason=article%2017")

        def logged() -> list[tuple[str, str, str]]:
            items = admin.ask("GET", "/accesses").json["items"]
            return [(item["key"], item["action"], item["detail"]) for item in items]

        wait_until(lambda: ("test-admin", "DELETE /users/someone", "reason=article%2017") in logged())
        assert ("test-admin", "GET /users/someone", "") in logged()


def test_status_reports_how_far_the_index_is(endpoint: Endpoint) -> None:
    with Client(endpoint) as client:
        client.await_index()
        found = client.ask("GET", "/status").json

    assert found["index"]["state"] == "ready"
    assert found["index"]["lag_seconds"] == 0
    assert found["store"]["problem"] is None
    assert found["store"]["bytes"] > 0
    assert 0 < found["disk"]["free_bytes"] <= found["disk"]["total_bytes"]
