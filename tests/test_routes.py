"""Which calls are captured, by their routes and by the setting; and which are counted as not captured."""

from __future__ import annotations

from typing import Any

import pytest
from support.endpoints import free_port
from support.models import MESSAGES, client, completed, http

import ainsights
import ainsights.testing
from ainsights import ConfigurationError, Insights
from ainsights._config import load
from ainsights._instrumentation.routes import CHAT, COMPLETIONS, RESPONSES, RETRIEVE, base_of, find_route

AZURE = "https://a.openai.azure.com/openai/deployments/gpt/chat/completions?api-version=2024-06-01"
NAMES = {
    ("POST", "/chat/completions"): "chat/completions",
    ("post", "chat/completions"): "chat/completions",
    ("post", "/chat/completions/"): "chat/completions",
    ("post", AZURE): "chat/completions",
    ("post", "/responses"): "responses",
    ("post", "/responses?beta=true"): "responses",
    ("post", "https://a.openai.azure.com/openai/v1/responses?api-version=preview"): "responses",
    ("post", "/openai/deployments/gpt/responses"): "responses",
    ("get", "/responses/resp_1"): "responses/{id}",
    ("GET", "/v1/responses/resp_1?stream=true&starting_after=4"): "responses/{id}",
    ("post", "/responses/resp_1/cancel"): "responses/{id}/cancel",
    ("post", "/responses/compact"): "responses/compact",
    ("post", "/completions"): "completions",
    ("post", "/openai/deployments/gpt/completions"): "completions",
    ("post", "/threads/runs"): "threads/runs",
    ("post", "/threads/th_1/runs"): "threads/runs",
    ("get", "/responses"): None,
    ("get", "/responses/resp_1/input_items"): None,
    ("post", "/responses/input_tokens"): None,
    ("delete", "/responses/resp_1"): None,
    ("get", "/chat/completions"): None,
    ("get", "/chat/completions/c1"): None,
    ("post", "/embeddings"): None,
    ("post", "/images/generations"): None,
    ("post", "/audio/speech"): None,
    ("post", "/moderations"): None,
    ("post", "/files"): None,
    ("get", "/models"): None,
    ("post", "/my-responses"): None,
    ("post", "/mychat/completions"): "completions",
    ("post", ""): None,
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1700000000,
    "model": "gpt-5",
    "status": "completed",
    "output": [
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "hello", "annotations": []}],
        }
    ],
}
TEXT_COMPLETION = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "text": "abc", "finish_reason": "stop", "logprobs": None}],
}


@pytest.mark.parametrize(("call", "name"), NAMES.items(), ids=str)
def test_route_of_a_call(call: tuple[str, str], name: str | None) -> None:
    method, url = call
    route = find_route(url, method)
    assert (route and route.name) == name


@pytest.mark.parametrize(
    ("path", "route", "base"),
    [
        ("/v1/chat/completions", CHAT, "/v1"),
        ("/openai/deployments/gpt/chat/completions", CHAT, "/openai"),
        ("/v1/responses", RESPONSES, "/v1"),
        ("/api/openai/v1/responses/resp_1", RETRIEVE, "/api/openai/v1"),
        ("/completions", COMPLETIONS, ""),
    ],
)
def test_base_is_the_path_before_the_route(path: str, route: Any, base: str) -> None:
    assert base_of(path, route) == base


def answer(request: Any) -> Any:
    path = request.url.path
    if path.endswith("/chat/completions"):
        return completed(request)
    return http.Response(200, json=RESPONSE if "/responses" in path else TEXT_COMPLETION)


def call_all() -> None:
    openai = client(answer)
    openai.chat.completions.create(model="m", messages=MESSAGES)
    openai.post("/responses", body={"model": "m", "input": "hi"}, cast_to=object)
    openai.completions.create(model="m", prompt="hi")


@pytest.mark.parametrize(
    ("setting", "apis"),
    [
        (None, ["chat", "responses"]),
        ("chat,responses,completions", ["chat", "responses", "completions"]),
        (" completions ", ["completions"]),
        (["responses"], ["responses"]),
    ],
)
def test_setting_names_the_apis_that_are_captured(setting: Any, apis: list[str]) -> None:
    with ainsights.testing.capture(capture=setting) as insights:
        call_all()
    assert [insight.meta["ainsights.api"] for insight in insights] == apis


def test_unknown_api_is_an_error_that_names_the_variable_and_what_it_takes() -> None:
    with pytest.raises(ConfigurationError, match=r"AINSIGHTS_CAPTURE='images'.*It takes names of APIs.*completions"):
        load({"AINSIGHTS_CAPTURE": "images"})


def test_lookup_is_not_counted_as_an_uncaptured_call() -> None:
    with Insights(base_url=f"http://127.0.0.1:{free_port()}", capture="chat") as insights:
        openai = insights.watch(client(answer))
        openai.post("/responses", body={}, cast_to=object)
        openai.get("/responses/resp_1", cast_to=object)
        assert insights.stats().uncaptured == {"responses": 1}


def test_calls_that_are_seen_and_not_captured_are_counted_by_route() -> None:
    with Insights(base_url=f"http://127.0.0.1:{free_port()}") as insights:
        openai = insights.watch(client(answer))
        openai.completions.create(model="m", prompt="hi")
        openai.completions.create(model="m", prompt="hi")
        openai.post("/responses/compact", body={}, cast_to=object)
        openai.post("/embeddings", body={}, cast_to=object)
        with ainsights.context(capture=False):
            openai.completions.create(model="m", prompt="hi")
        stats = insights.stats()
    assert stats.uncaptured == {"completions": 2, "responses/compact": 1}
    assert "2 not captured (completions)" in str(stats)
    assert stats.captured == 0
