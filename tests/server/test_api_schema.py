"""Every documented operation with generated parameters: no 5xx, no answer that the OpenAPI document does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from support.serving import BEARER, Client, insight

from ainsights.server import Endpoint, Options, running

if TYPE_CHECKING:
    from collections.abc import Iterator

schemathesis = pytest.importorskip("schemathesis")

ENDLESS = {"/insights/stream"}
OPERATIONS = [
    ("PUT", "/insight"),
    ("GET", "/insights"),
    ("GET", "/insights/{event_id}"),
    ("DELETE", "/insights/{event_id}"),
    ("GET", "/query"),
    ("GET", "/facets"),
    ("GET", "/questions"),
    ("GET", "/messages"),
    ("GET", "/urls"),
    ("GET", "/words"),
    ("GET", "/templates"),
    ("GET", "/conversations"),
    ("GET", "/conversations/{conversation_id}"),
    ("GET", "/users/{user_id}"),
    ("DELETE", "/users/{user_id}"),
    ("GET", "/export"),
    ("GET", "/status"),
    ("GET", "/verify"),
    ("GET", "/accesses"),
    ("GET", "/health"),
]


@pytest.fixture(scope="module")
def endpoint(shared_options: Options) -> Iterator[Endpoint]:
    with running(shared_options) as endpoint:
        with Client(endpoint) as client:
            for n in range(5):
                client.put(insight(f"e{n}", user_id="ann", template="Hi {x}", meta={"latency_ms": n}))
            client.await_index()
        yield endpoint


@pytest.fixture(scope="module")
def schema(endpoint: Endpoint) -> Any:
    return schemathesis.openapi.from_url(f"{endpoint.url}/openapi.json", headers=BEARER)


def check(endpoint: Endpoint, schema: Any, operation: tuple[str, str], examples: int) -> None:
    method, path = operation
    checks = schemathesis.checks

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=examples < 100,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema[path][method].as_strategy())
    def ask(case: Any) -> None:
        answer = case.call(base_url=endpoint.url, headers=BEARER, timeout=30)
        case.validate_response(
            answer,
            checks=[
                checks.not_a_server_error,
                schemathesis.specs.openapi.checks.status_code_conformance,
                schemathesis.specs.openapi.checks.content_type_conformance,
                schemathesis.specs.openapi.checks.response_schema_conformance,
            ],
        )

    ask()


def test_operations_are_those_of_the_document(schema: Any) -> None:
    documented = {(each.ok().method.upper(), each.ok().path) for each in schema.get_all_operations()}

    assert {each for each in documented if each[1] not in ENDLESS} == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
def test_generated_request_gets_a_documented_answer(
    endpoint: Endpoint, schema: Any, operation: tuple[str, str]
) -> None:
    check(endpoint, schema, operation, 15)


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
def test_many_generated_requests_get_documented_answers(
    endpoint: Endpoint, schema: Any, operation: tuple[str, str]
) -> None:
    check(endpoint, schema, operation, 150)
