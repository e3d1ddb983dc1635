"""Whatever client makes it, and whoever hands it over, a response is one event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest

pytest.importorskip("openai.types.responses", reason="this openai has no Responses API")

from openai.types.responses import Response
from support import programs
from support.endpoints import running_endpoint
from support.models import client, http
from support.responses import ID, BackgroundApi, answering, call, message, response

import ainsights
import ainsights.openai
import ainsights.testing
from ainsights import Insights
from ainsights.mock_openai import serving

if TYPE_CHECKING:
    from ainsights.testing import Captured

HELLO = response(message("hello"))
QUEUED = response(status="queued", background=True)


def create_response(made: Any) -> Any:
    return made.responses.create(model="m", input="hi")


def over_transport(kind: Any, **options: Any) -> Any:
    transport = http.MockTransport(answering(HELLO))
    return kind(api_key="k", max_retries=0, http_client=http.Client(transport=transport), **options)


def contents(insights: Captured) -> list[Any]:
    return [each.response["choices"][0]["message"]["content"] for each in insights]


def test_drop_in_client_is_captured(insights: Captured) -> None:
    create_response(over_transport(ainsights.openai.OpenAI))
    assert contents(insights) == ["hello"]


def test_azure_client_is_captured(insights: Captured) -> None:
    azure = over_transport(openai.AzureOpenAI, azure_endpoint="https://a.example", api_version="2025-03-01-preview")
    create_response(azure)
    create_response(azure.with_options(timeout=5))
    assert contents(insights) == ["hello", "hello"]
    assert insights[0].meta["ainsights.base_url"] == "https://a.example/openai"


def test_only_the_client_that_is_watched_is_captured() -> None:
    with running_endpoint() as endpoint:
        with Insights(base_url=endpoint.url) as insights:
            create_response(insights.watch(client(answering(HELLO))).with_options(timeout=3))
            create_response(client(answering(HELLO)))
        assert [each["meta"]["ainsights.api"] for each in endpoint.stored] == ["responses"]


def test_nothing_is_captured_at_the_sample_rate_zero() -> None:
    with running_endpoint() as endpoint:
        with Insights(base_url=endpoint.url, sample_rate=0) as insights:
            create_response(insights.watch(client(answering(HELLO))))
        assert endpoint.stored == []


def test_what_the_sample_rate_leaves_out_is_not_captured_by_a_poll() -> None:
    api = BackgroundApi(QUEUED, response(message("done"), background=True))
    with running_endpoint() as endpoint:
        with Insights(base_url=endpoint.url, sample_rate=0) as insights:
            made = insights.watch(client(api))
            made.responses.create(model="m", input="hi", extra_body={"background": True})
            insights.reconfigure(insights.settings.model_copy(update={"sample_rate": 1.0}))
            made.responses.retrieve(ID)
        assert endpoint.stored == []


def test_failed_calls_are_left_out_on_demand() -> None:
    failed = response(status="failed", error={"code": "server_error", "message": "no"})
    with ainsights.testing.capture(capture_errors=False) as insights:
        create_response(client(answering(failed)))
        create_response(client(answering(HELLO)))
    assert contents(insights) == ["hello"]


def test_response_may_be_passed(insights: Captured) -> None:
    given = Response.model_validate(response(message("hello"), call()))
    ainsights.capture(response=given, messages="hi", args={"model": "m"})
    (insight,) = insights
    assert contents(insights) == ["hello"]
    assert insight.response["choices"][0]["message"]["tool_calls"][0]["id"] == "call_0"
    assert insight.meta["ainsights.api"] == "responses"
    assert insight.response["usage"]["prompt_tokens"] == 3


def test_what_parse_adds_to_a_response_is_left_out(insights: Captured) -> None:
    part = {"type": "output_text", "text": "{}", "annotations": [], "parsed": {"a": 1}}
    ainsights.capture(response=response(message(content=[part]), call(parsed_arguments={"a": 1})), messages="hi")
    assert "parsed" not in insights[0].model_dump_json()


PROGRAM = """
import openai
made = openai.OpenAI(base_url=sys.argv[1], api_key="k", max_retries=0)
made.responses.create(model="mock:polls=9", input="hi", extra_body={"background": True})
"""


def test_response_that_is_not_at_its_end_is_reported_when_the_process_exits() -> None:
    with serving() as model, running_endpoint() as endpoint:
        source = "import ainsights, sys; ainsights.instrument()\n" + PROGRAM
        done = programs.run(source, model.base_url, **programs.settings(endpoint.url))
        assert done.status == 0, done.err
        (event,) = endpoint.stored
    assert event["meta"]["ainsights.status"] == "abandoned"
    assert event["response"]["status"] in {"queued", "in_progress"}
    assert event["messages"] == [{"role": "user", "content": "hi"}]
