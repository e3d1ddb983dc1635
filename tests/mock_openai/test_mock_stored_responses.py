"""Responses that the mock model API remembers: in the background, retrieved, resumed, cancelled, deleted, listed."""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Any

import openai
import pytest
from support.mock_openai import BROKEN, RawResponse
from support.mock_responses import (
    ANSWER,
    QUESTION,
    check_event,
    check_response,
    create_params,
    needs_background,
    needs_responses,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ainsights import mock_openai

pytestmark = needs_responses


@needs_background
def test_a_response_in_the_background_is_queued_then_in_progress_then_completed(client: openai.OpenAI) -> None:
    created = client.responses.create(**create_params("polls=3", background=True))
    statuses, outputs = [created.status], [created.output]
    while statuses[-1] in ("queued", "in_progress"):
        polled = client.responses.retrieve(created.id)
        check_response(json.loads(polled.to_json()))
        statuses.append(polled.status)
        outputs.append(polled.output)
    assert statuses == ["queued", "in_progress", "in_progress", "completed"]
    assert outputs[:-1] == [[], [], []]
    assert polled.output_text == ANSWER
    assert client.responses.retrieve(created.id) == polled


@needs_background
def test_a_response_in_the_background_ends_as_its_script_wants(client: openai.OpenAI) -> None:
    for directive, status in (("failed", "failed"), ("length", "incomplete")):
        created = client.responses.create(**create_params(f"{directive},polls=1", background=True))
        assert created.status == "queued"
        assert client.responses.retrieve(created.id).status == status


def test_a_response_is_cancelled_only_in_the_background_and_before_its_end(server: mock_openai.Server) -> None:
    def cancelled(identity: str) -> RawResponse:
        return RawResponse(server, b"", f"/v1/responses/{identity}/cancel")

    created = RawResponse(server, create_params("", background=True), "/v1/responses").json["id"]
    for _ in range(2):
        answer = cancelled(created)
        check_response(answer.json)
        assert (answer.status, answer.json["status"], answer.json["output"]) == (200, "cancelled", [])
    foreground = RawResponse(server, create_params(), "/v1/responses").json["id"]
    ended = RawResponse(server, create_params("polls=1", background=True), "/v1/responses").json["id"]
    RawResponse(server, None, f"/v1/responses/{ended}", method="GET")
    assert [cancelled(identity).status for identity in (foreground, ended, "resp_none")] == [400, 400, 404]


@needs_background
def test_a_stream_that_broke_is_resumed_after_the_last_event_received(client: openai.OpenAI) -> None:
    seen = until_broken(client.responses.create(**create_params("abort=4", background=True, stream=True)))
    assert [event.sequence_number for event in seen] == [0, 1, 2, 3]
    identity = seen[0].response.id
    first = list(client.responses.retrieve(identity, stream=True))
    assert [event.type for event in first[:2]] == ["response.created", "response.queued"]
    rest = list(client.responses.retrieve(identity, stream=True, starting_after=3))
    assert [event.sequence_number for event in rest] == list(range(4, len(first)))
    for event in rest:
        check_event(json.loads(event.to_json()))
    assert rest[-1].type == "response.completed"


def until_broken(stream: Iterable[Any]) -> list[Any]:
    seen: list[Any] = []
    with pytest.raises(BROKEN):
        deque(map(seen.append, stream), maxlen=0)
    return seen


def test_deleted_and_unstored_responses_are_not_found(client: openai.OpenAI) -> None:
    stored = client.responses.create(**create_params(user="one"))
    assert client.responses.retrieve(stored.id).output_text == ANSWER
    client.responses.delete(stored.id)
    unstored = client.responses.create(**create_params(store=False))
    for identity in (stored.id, unstored.id):
        with pytest.raises(openai.NotFoundError, match=identity):
            client.responses.retrieve(identity)
        with pytest.raises(openai.NotFoundError):
            client.responses.delete(identity)
        with pytest.raises(openai.BadRequestError, match="not found"):
            client.responses.create(**create_params(previous_response_id=identity))


def test_the_input_of_a_response_is_listed_in_pages(client: openai.OpenAI) -> None:
    assert [item.content[0].text for item in listed(client, create_params())] == [QUESTION]
    turns = [{"role": "user", "content": str(number)} for number in range(5)]
    output = {"type": "function_call_output", "call_id": "call_1", "output": "21"}
    request = create_params() | {"input": [*turns, output]}
    items = listed(client, request, order="asc", limit=2)
    assert [item.type for item in items] == ["message"] * 5 + ["function_call_output"]
    assert [item.content[0].text for item in items[:5]] == list("01234")
    assert [item.id for item in listed(client, request)] == [item.id for item in reversed(items)]


def listed(client: openai.OpenAI, request: dict[str, Any], **how: Any) -> list[Any]:
    return list(client.responses.input_items.list(client.responses.create(**request).id, **how))


def test_a_conversation_is_repeated_and_a_chain_is_read(client: openai.OpenAI) -> None:
    response: Any = client.responses.create(**create_params(), extra_body={"conversation": "conv_1"})
    body = json.loads(response.to_json())
    assert body["conversation"] == {"id": "conv_1"}
    second = client.responses.create(model="gpt", input=[], previous_response_id=response.id)
    assert second.output_text == ANSWER
    assert second.usage
    assert second.usage.input_tokens > response.usage.input_tokens


def test_compaction_and_token_counts_are_served(server: mock_openai.Server) -> None:
    compacted = RawResponse(server, create_params(), "/v1/responses/compact").json
    assert [item["type"] for item in compacted["output"]] == ["compaction"]
    responses = pytest.importorskip("openai.types.responses")
    counted = RawResponse(server, create_params(), "/v1/responses/input_tokens").json
    assert counted["object"] == "response.input_tokens"
    assert (
        counted["input_tokens"] == RawResponse(server, create_params(), "/v1/responses").json["usage"]["input_tokens"]
    )
    if compacted_type := getattr(responses, "CompactedResponse", None):
        compacted_type.model_validate(compacted)


def test_the_store_is_emptied_with_the_log(server: mock_openai.Server) -> None:
    identity = RawResponse(server, create_params(), "/v1/responses").json["id"]
    RawResponse(server, None, "/mock/requests", method="DELETE")
    assert RawResponse(server, None, f"/v1/responses/{identity}", method="GET").status == 404
