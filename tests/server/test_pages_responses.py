"""Responses in the Explorer: captured from the mock model API, delivered, stored, and looked at."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import openai
import pytest
from support.explorer import Visitor, put, sample, visiting
from support.mock_responses import ANSWER, QUESTION, needs_responses
from support.serving import insight

import ainsights
from ainsights import mock_openai
from ainsights.server.pages import output_items, resend, snippets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ainsights.server import Options

pytestmark = needs_responses

DIRECTIVES = "reasoning,output=web_search_call+mcp_call"


@pytest.fixture(scope="module")
def visitor(shared_options: Options) -> Iterator[Visitor]:
    with (
        mock_openai.serving() as api,
        visiting(shared_options) as visitor,
        ainsights.Insights(base_url=visitor.endpoint.url, api_key=visitor.endpoint.api_key) as insights,
        insights.watch(openai.OpenAI(base_url=api.base_url, api_key="key")) as client,
    ):
        first = client.responses.create(model="mock:" + DIRECTIVES, input=QUESTION, instructions="Be nice.")
        second = client.responses.create(model="gpt", input="And then?", previous_response_id=first.id)
        client.responses.create(model="mock:length", input="At last?", previous_response_id=second.id)
        client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": "Hi"}])
        insights.flush(20)
        put(visitor.endpoint, [])
        yield visitor


def shown(visitor: Visitor, question: str) -> str:
    """Return the page of the insight with that last user message."""
    return visitor.get(visitor.link(f"/ui/?q={question}", '/ui/insights/[^"]+'))


def text_of(page: str) -> str:
    return " ".join(unescape(re.sub("<[^>]+>", " ", page)).split())


def test_live_view_counts_and_filters_by_api(visitor: Visitor) -> None:
    page = visitor.get("/ui/")
    assert "api%3Aresponses" in page
    assert "api%3Achat" in page
    assert visitor.get("/ui/?q=api%3Aresponses").count("data-id=") == 3
    assert visitor.get("/ui/?q=tool%3Aweb_search").count("data-id=") == 1


def test_insight_shows_answer_reasoning_output_items_and_state(visitor: Visitor) -> None:
    page = text_of(shown(visitor, "Ünïcode"))
    for expected in (ANSWER, "Be nice.", "Reasoning", "web search call completed Wetter Zürich", "mcp call completed"):
        assert expected in page
    assert "roll {" in page
    assert "Status completed" in page
    assert "Incomplete max_output_tokens" in text_of(shown(visitor, "last"))


def test_insight_of_a_successful_response_shows_no_error(visitor: Visitor) -> None:
    assert "HTTP status" not in text_of(shown(visitor, QUESTION))


def test_insight_links_the_response_that_it_continues_and_those_that_continue_it(visitor: Visitor) -> None:
    page = shown(visitor, "then")
    previous = re.search(r'Continues</dt><dd class="mono"><a href="([^"]+)">resp_', page)
    assert previous
    first = visitor.get(unescape(previous[1]))
    assert ANSWER in unescape(first)
    following = re.search(r'Continued by</dt><dd><a href="([^"]+)"', first)
    assert following
    assert visitor.get(unescape(following[1])).count("data-id=") == 1


def test_conversation_of_responses_is_one_thread(visitor: Visitor) -> None:
    pages = [
        visitor.get(link) for link in set(re.findall(r'/ui/conversations/[^"]+', visitor.get("/ui/conversations")))
    ]
    (thread,) = [text_of(page) for page in pages if "And then?" in page]
    assert thread.index(QUESTION) < thread.index("And then?") < thread.index("At last?")
    assert "web search call completed Wetter Zürich" in thread
    assert "Changed: previous" not in thread


def test_request_can_be_copied_in_the_terms_of_its_api(visitor: Visitor) -> None:
    page = unescape(shown(visitor, "then"))
    assert "client.responses.create(" in page
    assert "/v1/responses" in page
    assert "previous_response_id=" in page


def test_copied_request_is_what_the_api_takes() -> None:
    calls = [{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}]
    messages = [
        {"role": "system", "content": "Be nice."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "u"}}]},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_1", "content": "21"},
        {"type": "item_reference", "id": "msg_1"},
    ]
    body = insight(messages=messages, args={"model": "m"}, meta={"api": "responses"})
    with mock_openai.serving() as server, openai.OpenAI(base_url=server.base_url, api_key="key") as client:
        program = snippets.python(body).replace("OpenAI()", "client").replace("from openai import client", "")
        exec(program, {"client": client})
    sent = json.loads(server.requests[-1].body)
    assert [item.get("type", item.get("role")) for item in sent["input"]] == [
        "system",
        "user",
        "function_call",
        "function_call_output",
        "item_reference",
    ]
    assert sent["input"][1]["content"][1] == {"type": "input_image", "image_url": "u", "detail": "auto"}
    legacy = insight(messages=[{"role": "user", "content": "Once"}], meta={"api": "completions"})
    assert resend.call_of(legacy).request["prompt"] == "Once"


@pytest.mark.parametrize(
    "output", [None, 3, "x", [None, 3, "x", {}, {"type": 3}, {"type": "web_search_call", "action": "<b>"}]]
)
def test_output_of_any_form_is_shown_or_left_out(output: Any) -> None:
    assert all(isinstance(item.details, str) for item in output_items.items({"response": {"output": output}}))


def test_sample_has_responses_in_conversations_by_their_ids() -> None:
    bodies = [json.loads(body) for body in sample(2000)]
    made = [body for body in bodies if body["meta"]["ainsights.api"] == "responses"]
    assert 0.05 < len(made) / len(bodies) < 0.3
    ids = {body["response"]["id"] for body in made}
    chained = [body for body in made if "ainsights.previous_response_id" in body["meta"]]
    assert chained
    assert all(body["meta"]["ainsights.previous_response_id"] in ids for body in chained)
    assert {item["type"] for body in made for item in body["response"].get("output", ())} >= {"web_search_call"}
