"""Responses, whole and streamed, to openai's client and by openai's types."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import BaseModel
from support.mock_openai import BROKEN, TIMED_OUT, RawResponse
from support.mock_responses import (
    ANSWER,
    IS_FOLLOWED,
    check_event,
    check_response,
    create_params,
    known_types,
    needs_responses,
)
from support.response_cases import PYTHON, RESPONSE_CASES, WEATHER, ResponseCase

from ainsights.mock_openai.responses.samples import NAMES

if TYPE_CHECKING:
    from ainsights import mock_openai

pytestmark = needs_responses

PATH = "/v1/responses"
EVERYTHING = "output=all,reasoning,tools,text=Zürich 好,audio,logprobs"
DIRECTIVES = ("", "tools", "refusal", "reasoning", "length", "filter", "failed", "json", "vendor,logprobs", EVERYTHING)


def whole(server: mock_openai.Server, directive: str = "", **more: Any) -> Any:
    return RawResponse(server, create_params(directive, **more), PATH).json


def streamed(server: mock_openai.Server, directive: str = "", **more: Any) -> list[Any]:
    return events_in(RawResponse(server, create_params(directive, stream=True, **more), PATH).body)


def events_in(body: bytes) -> list[Any]:
    parts = [part.split(b"\n") for part in body.split(b"\n\n") if part]
    events = [json.loads(lines[-1].removeprefix(b"data: ")) for lines in parts]
    assert [lines[-2].removeprefix(b"event: ").decode() for lines in parts] == [event["type"] for event in events]
    return events


def without_ids(value: Any) -> str:
    """Return ``value`` with all ids equal: they derive from the request, which differs if it asks for a stream."""
    return re.sub(r"_[0-9a-f]{24}", "_", json.dumps(value))


@pytest.mark.parametrize("directive", DIRECTIVES)
def test_a_response_and_the_events_of_its_stream_are_valid_by_openais_types(
    directive: str, server: mock_openai.Server
) -> None:
    extras: dict[str, Any] = {"tools": [WEATHER, PYTHON]} if "tools" in directive else {}
    body = whole(server, directive, **extras)
    check_response(body)
    events = streamed(server, directive, **extras)
    for event in events:
        check_event(event)
    assert without_ids(events[-1]["response"]["output"]) == without_ids(body["output"])
    assert events[-1]["type"] == f"response.{body['status']}"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


@pytest.mark.skipif(not IS_FOLLOWED, reason="some types of earlier versions have other names")
def test_the_output_has_an_item_of_every_type_that_openai_has(server: mock_openai.Server) -> None:
    tools = [WEATHER, PYTHON]
    answered = {item["type"] for item in whole(server, EVERYTHING, tools=tools)["output"]}
    assert answered >= known_types("ResponseOutputItem")
    assert answered - known_types("ResponseOutputItem") >= {"hologram_call"}


@pytest.mark.skipif(not IS_FOLLOWED, reason="some types of earlier versions have other names")
def test_a_stream_has_an_event_of_every_type_that_openai_has(server: mock_openai.Server) -> None:
    tools = [WEATHER, PYTHON]
    directives = (EVERYTHING, "refusal", "length", "failed", "sse-error")
    seen = {event["type"] for directive in directives for event in streamed(server, directive, tools=tools)}
    seen |= {event["type"] for event in streamed(server, "", background=True)}
    assert known_types("ResponseStreamEvent") <= seen


def test_deltas_join_to_what_is_done(server: mock_openai.Server) -> None:
    events = streamed(server, EVERYTHING, tools=[WEATHER])
    joined: dict[Any, str] = {}
    for event in events:
        kind, _, step = event["type"].rpartition(".")
        names = ("item_id", "output_index", "content_index", "summary_index", "command_index")
        place = (kind, *(event.get(name) for name in names))
        if step == "delta" and isinstance(event["delta"], str):
            joined[place] = joined.get(place, "") + event["delta"]
        elif step == "done" and place in joined:
            whole_text = {
                name: event[name] for name in ("text", "arguments", "input", "code", "command") if name in event
            }
            assert list(whole_text.values()) in ([joined[place]], [])


def test_text_tools_refusal_and_ends_are_as_the_script_wants(client: openai.OpenAI) -> None:
    assert client.responses.create(**create_params()).output_text == ANSWER
    assert client.responses.create(**create_params("text=Hö%2C")).output_text == "Hö,"
    called: Any = client.responses.create(**create_params("tools", tools=[WEATHER])).output
    assert [(item.type, json.loads(item.arguments)["city"]) for item in called] == [
        ("function_call", "Zürich"),
        ("function_call", "東京"),
    ]
    custom: Any = client.responses.create(**create_params("tools", tools=[PYTHON])).output
    assert "ü" in (custom[0].input if hasattr(custom[0], "input") else custom[0]["input"])
    refused: Any = client.responses.create(**create_params("refusal")).output[0]
    assert refused.content[0].refusal.startswith("Sorry")
    for directive, reason in (("length", "max_output_tokens"), ("filter", "content_filter")):
        response = client.responses.create(**create_params(directive))
        assert response.status == "incomplete"
        assert response.incomplete_details
        assert response.incomplete_details.reason == reason
    failed = client.responses.create(**create_params("failed"))
    assert failed.error
    assert (failed.status, failed.error.code) == ("failed", "server_error")


def test_a_tool_that_the_request_has_is_used(server: mock_openai.Server) -> None:
    tools = [{"type": "web_search"}, {"type": "mcp", "server_label": "dice", "server_url": "https://x"}]
    output = whole(server, "tools", tools=tools)["output"]
    assert [item["type"] for item in output] == ["web_search_call", "mcp_list_tools", "mcp_call", "message"]
    assert output[-1]["content"][0]["annotations"][0]["type"] == "url_citation"


def test_the_output_of_a_tool_is_answered_by_text(client: openai.OpenAI) -> None:
    first: Any = client.responses.create(**create_params("tools", tools=[WEATHER]))
    outputs = [{"type": "function_call_output", "call_id": item.call_id, "output": "21"} for item in first.output]
    second = client.responses.create(
        **create_params("tools", tools=[WEATHER], previous_response_id=first.id) | {"input": outputs}
    )
    assert second.output_text == ANSWER
    assert second.previous_response_id == first.id


def test_parse_gets_an_instance_of_its_model(client: openai.OpenAI) -> None:
    class Person(BaseModel):
        name: str
        age: int

    parsed = client.responses.parse(**create_params(), text_format=Person)
    assert parsed.output_parsed == Person(name="café", age=1)


def test_the_clients_own_stream_helper_assembles_the_response(client: openai.OpenAI) -> None:
    newer = ("nulloutput", "output=mcp_call") if IS_FOLLOWED else ()  # on which earlier versions fail
    for directive in ("", "tools", "reasoning,output=web_search_call", *newer):
        with client.responses.stream(**create_params(directive)) as stream:
            final = stream.get_final_response()
        alone = client.responses.create(**create_params(directive))
        assert [item.type for item in final.output] == [item.type for item in alone.output]


def test_what_is_to_be_included_is_there_only_if_the_request_includes_it(server: mock_openai.Server) -> None:
    include = ["file_search_call.results", "reasoning.encrypted_content", "web_search_call.action.sources"]
    directive = "reasoning,output=file_search_call+web_search_call"
    without = whole(server, directive)["output"]
    with_all = whole(server, directive, include=include)["output"]
    assert without[1]["results"] is None
    assert with_all[1]["results"]
    assert "encrypted_content" not in without[0]
    assert with_all[0]["encrypted_content"]
    assert ["sources" in output[2]["action"] for output in (without, with_all)] == [False, True]


def test_deltas_are_obfuscated_unless_the_request_declines(server: mock_openai.Server) -> None:
    padded, plain = streamed(server), streamed(server, stream_options={"include_obfuscation": False})
    assert all(event.get("obfuscation") for event in padded if "delta" in event)
    assert not any("obfuscation" in event for event in plain)


def test_streams_deviate_as_the_script_wants(server: mock_openai.Server) -> None:
    types = [event["type"] for event in streamed(server)]
    assert types[:2] == ["response.created", "response.in_progress"]
    assert [event["type"] for event in streamed(server, "nodone")] == types[:-1]
    assert streamed(server, "nulloutput")[-1]["response"]["output"] is None
    error = streamed(server, "sse-error")[-1]
    check_event(error)
    assert (error["type"], "error" in error) == ("error", False)
    plain = RawResponse(server, create_params(stream=True), PATH).body
    for directive in ("split", "merge", "gzip"):
        answer = RawResponse(server, create_params(stream=True), PATH, **{"x-mock": directive})
        assert directive == "gzip" or answer.body == plain
    assert b": keep-alive" in RawResponse(server, create_params("comments", stream=True), PATH).body
    assert b"[DONE]" not in plain


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("directive", "error"),
    [
        ("status=400", openai.BadRequestError),
        ("status=429", openai.RateLimitError),
        ("status=503", openai.InternalServerError),
        ("abort=3", BROKEN),
        ("reset", BROKEN),
        ("hang", TIMED_OUT),
        ("badjson", json.JSONDecodeError),
    ],
)
def test_faults_are_as_those_of_chat(directive: str, stream: bool, error: Any, client: openai.OpenAI) -> None:  # noqa: FBT001
    with pytest.raises(error):
        list(client.with_options(timeout=0.2).responses.create(**create_params(directive), stream=stream))


OF_LATER_VERSIONS = () if IS_FOLLOWED else ("not obfuscated, streamed", "error event, streamed")


@pytest.mark.parametrize(
    "case",
    [case for case in RESPONSE_CASES if not case.fails and case.name not in OF_LATER_VERSIONS],
    ids=lambda case: case.name,
)
def test_a_case_that_succeeds_is_answered_to_openais_client(case: ResponseCase, client: openai.OpenAI) -> None:
    answer: Any = client.responses.create(**case.arguments())
    events: list[Any] = list(answer) if case.stream else []
    last = events[-1].response if hasattr(events[-1] if events else None, "response") else answer
    assert (
        last.model == case.model
        if hasattr(last, "model")
        else events[-1].type in ("error", "response.output_item.done")
    )


def test_invalid_requests_are_400(server: mock_openai.Server) -> None:
    for request, message in (
        ({"model": "m"}, "'input'"),
        ({"input": "x"}, "model"),
        ({"model": "m", "input": 4}, "'input'"),
        (create_params("output=nonsense"), "hologram_call"),
        (create_params("tols"), "Unknown directive"),
        (create_params(previous_response_id="resp_none"), "'resp_none' not found"),
        (create_params(background=True, store=False), "store"),
        (create_params(previous_response_id=[1]), "'previous_response_id'"),
        (create_params(text=7), "'text'"),
    ):
        answer = RawResponse(server, request, PATH)
        assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
        assert message in answer.json["error"]["message"]


def test_all_names_of_items_are_distinguished(server: mock_openai.Server) -> None:
    output = whole(server, "output=" + "+".join(NAMES))["output"]
    assert len(output) == len(NAMES) + 1
    assert all(one["id"] != other["id"] for one, other in pairwise(sorted(output, key=lambda item: str(item["id"]))))


def test_azure_s_paths_are_served(server: mock_openai.Server) -> None:
    azure: dict[str, Any] = {"azure_endpoint": server.url, "api_key": "key", "api_version": "2025-03-01-preview"}
    with openai.AzureOpenAI(**azure) as client:
        assert client.responses.create(**create_params()).output_text == ANSWER
    assert server.requests[-1].path == "/openai/responses"
