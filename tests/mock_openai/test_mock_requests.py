"""Requests that are not ordinary, other endpoints, and what is recorded."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
from support.mock_openai import ASK, IS_OLD, RawResponse, create_params, tool_call_types

from ainsights.mock_openai import DIRECTIVES
from ainsights.mock_openai.request_log import KEPT, RecordedRequest, RequestLog

if TYPE_CHECKING:
    from ainsights import mock_openai


def test_an_unknown_directive_is_answered_with_the_list_of_them(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**create_params("tols"))
    assert caught.value.code == "unknown_directive"
    assert all(directive in caught.value.message for directive in DIRECTIVES)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"no JSON", "parse"),
        (b"[" * 100_000, "parse"),
        (b"[]", "object"),
        ({"messages": ASK["messages"]}, "model"),
        ({"model": 4, "messages": ASK["messages"]}, "model"),
        ({"model": "gpt"}, "'messages'"),
        ({"model": "gpt", "messages": []}, "'messages'"),
        ({"model": "gpt", "messages": "hello"}, "'messages'"),
    ],
)
def test_an_invalid_request_is_400(server: mock_openai.Server, body: Any, message: str) -> None:
    answer = RawResponse(server, body)
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert message in answer.json["error"]["message"]


def test_unknown_path_is_404_and_unknown_method_405(server: mock_openai.Server) -> None:
    for path, method, status in (("/v1/nothing", "GET", 404), ("/v1/models", "POST", 405), ("/v1/models/", "GET", 404)):
        answer = RawResponse(server, None, path, method=method)
        assert (answer.status, answer.json["error"]["message"]) == (status, f"Invalid URL ({method} {path})")


def test_an_internal_error_has_the_shape_of_the_api_s(server: mock_openai.Server) -> None:
    schema = {"type": "json_schema", "json_schema": {"schema": {"type": "string", "minLength": "x"}}}
    answer = RawResponse(server, ASK | {"response_format": schema})
    assert answer.status == 500
    assert answer.json["error"]["message"] == "The mock server failed: TypeError"
    assert RawResponse(server, ASK).status == 200


def test_azure_is_served(server: mock_openai.Server) -> None:
    azure: dict[str, Any] = {"azure_endpoint": server.url, "api_key": "key", "api_version": "2024-10-21"}
    with openai.AzureOpenAI(**azure) as client:
        assert tool_call_types(client.chat.completions.create(**create_params("tools"))) == ["function"] * 2
    with openai.AzureOpenAI(**azure, azure_deployment="mock:n=2") as client:
        assert len(client.chat.completions.create(**ASK).choices) == 2
    assert "/deployments/mock" in server.requests[-1].path
    assert server.requests[-1].query == "api-version=2024-10-21"


@pytest.mark.skipif(IS_OLD, reason="this openai has no stored completions")
def test_stored_completions_models_and_embeddings_are_served(client: openai.OpenAI) -> None:
    stored = client.chat.completions
    assert [item.id for item in stored.list()] == ["chatcmpl-stored"]
    assert stored.retrieve("a").id == "a"
    assert stored.update("a", metadata={"k": "v"}).metadata == {"k": "v"}
    assert stored.delete("a").deleted
    assert [item.content for item in stored.messages.list("a")] == ["Hello!"]
    assert "gpt-4o-mini" in [model.id for model in client.models.list()]
    vectors = [item.embedding for item in client.embeddings.create(model="e", input=["a", "b"]).data]
    assert len(vectors) == 2
    assert vectors[0] != vectors[1]
    floats = client.embeddings.create(model="e", input="a", encoding_format="float").data[0].embedding
    assert floats == pytest.approx(vectors[0])
    with pytest.raises(openai.BadRequestError):
        client.post("/embeddings", body={}, cast_to=object)


def test_health_is_served_and_not_recorded(server: mock_openai.Server) -> None:
    server.requests.clear()
    assert RawResponse(server, None, "/health", method="GET").json == {"status": "ok"}
    assert server.requests.total == 0


def test_requests_are_recorded_as_received(server: mock_openai.Server) -> None:
    server.requests.clear()
    body = json.dumps(ASK, indent=3).encode()
    RawResponse(server, body, "/v1/chat/completions?a=%20b", **{"X-Mixed-Case": "grün"})
    received = server.requests[0]
    assert (received.method, received.path, received.query) == ("POST", "/v1/chat/completions", "a=%20b")
    assert ("X-Mixed-Case", "grün") in received.headers
    assert received.body == body

    listed = RawResponse(server, None, "/mock/requests", method="GET").json
    assert listed["total"] == 1
    assert base64.b64decode(listed["requests"][0].pop("body")) == body
    assert listed["requests"][0]["headers"][0][0] == "Host"
    assert RawResponse(server, None, "/mock/requests", method="DELETE").json == {"total": 0, "requests": []}
    assert list(server.requests) == []


def test_requests_have_the_number_of_their_connection(server: mock_openai.Server) -> None:
    server.requests.clear()
    for _ in range(2):
        with openai.OpenAI(base_url=server.base_url, api_key="key") as client:
            for _ in range(2):
                client.chat.completions.create(**ASK)
    first, second, third, fourth = (request.connection for request in server.requests)
    assert first == second != third == fourth


def test_requests_are_bounded_in_number_and_size() -> None:
    requests = RequestLog()
    for number in range(KEPT + 5):
        requests.add(RecordedRequest("POST", f"/{number}", "", (), b"", 1))
    assert (requests.total, len(requests), requests[0].path) == (KEPT + 5, KEPT, "/5")
    for _ in range(5):
        requests.add(RecordedRequest("POST", "/", "", (), bytes(20 * 2**20), 1))
    assert len(requests) == 3
    assert [request.path for request in requests[-2:]] == ["/", "/"]
    requests.add(RecordedRequest("POST", "/", "", (), bytes(70 * 2**20), 1))
    assert len(requests) == 1
