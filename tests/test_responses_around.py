"""Responses through what stands around the capture: the testing list, drop-in clients, templates, doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import openai
import pytest
from support.endpoints import free_port, running_endpoint
from support.mock_responses import ANSWER, QUESTION, create_params, needs_background, needs_responses

import ainsights
import ainsights.testing
from ainsights import Template, mock_openai

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.doctor import Doctor

    from ainsights.testing import Captured

pytestmark = needs_responses

TEMPLATE = Template([{"role": "system", "content": "Be {mood}."}, {"role": "user", "content": "Hi {name}!"}])


@pytest.fixture(scope="module")
def server() -> Iterator[mock_openai.Server]:
    with mock_openai.serving() as server:
        yield server


@pytest.fixture
def client(server: mock_openai.Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="key", max_retries=0, timeout=10) as client:
        yield client


def test_response_is_in_the_list_of_a_test_at_once(insights: Captured, client: openai.OpenAI) -> None:
    response = client.responses.create(**create_params(user="ann"))
    (insight,) = insights
    assert (insight.user_id, insight.messages) == ("ann", [{"role": "user", "content": QUESTION}])
    assert insight.response["id"] == response.id
    assert insight.response["choices"][0]["message"]["content"] == ANSWER
    assert insight.meta["ainsights.api"] == "responses"


def test_streamed_response_is_in_the_list_when_it_ends(insights: Captured, client: openai.OpenAI) -> None:
    stream = client.responses.create(**create_params(), stream=True)
    assert insights == []
    list(stream)
    assert insights[0].response["choices"][0]["message"]["content"] == ANSWER


@needs_background
def test_response_in_the_background_is_in_the_list_once_it_has_ended(insights: Captured, client: openai.OpenAI) -> None:
    created = client.responses.create(**create_params("polls=2", background=True))
    client.responses.retrieve(created.id)
    assert insights == []
    client.responses.retrieve(created.id)
    client.responses.retrieve(created.id)
    assert [insight.meta["ainsights.status"] for insight in insights] == ["ok"]


def test_apis_that_a_test_names_are_in_its_list(client: openai.OpenAI) -> None:
    with ainsights.testing.capture(capture="completions") as insights:
        client.responses.create(**create_params())
        client.completions.create(model="m", prompt="Once")
    assert [insight.meta["ainsights.api"] for insight in insights] == ["completions"]


def test_drop_in_clients_capture_responses(server: mock_openai.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"base_url": server.base_url, "api_key": "key"}

    async def ask(client: openai.AsyncOpenAI) -> None:
        async with client:
            await client.responses.create(**create_params())

    with running_endpoint() as endpoint:
        monkeypatch.setenv("AINSIGHTS_BASE_URL", endpoint.url)
        monkeypatch.setenv("AINSIGHTS_API_KEY", "key")
        import ainsights.openai as drop_in  # noqa: PLC0415  it captures from here on
        from ainsights import _api  # noqa: PLC0415  the same

        _api.capture_classes(*drop_in._CLASSES)  # as the import did, if another test undid it
        try:
            with drop_in.OpenAI(**options) as client, openai.OpenAI(**options) as bare:
                client.responses.create(**create_params())
                bare.responses.create(**create_params())
            anyio.run(ask, drop_in.AsyncOpenAI(**options))
            assert ainsights.flush(20)
        finally:
            ainsights.shutdown(5)
        assert [body["meta"]["ainsights.api"] for body in endpoint.stored] == ["responses", "responses"]


@pytest.mark.parametrize("stream", [False, True])
def test_event_of_a_response_has_the_template_of_its_input(
    stream: bool,  # noqa: FBT001  a parameter of the case
    insights: Captured,
    client: openai.OpenAI,
) -> None:
    given = TEMPLATE.format_input(mood="kind", name="Ann")
    answer: Any = client.responses.create(model="m", instructions="First.", input=given, stream=stream)
    list(answer)
    (insight,) = insights
    assert (insight.template, insight.inputs) == (TEMPLATE.source, {"mood": "kind", "name": "Ann"})
    assert [message["content"] for message in insight.messages or ()] == ["First.", "Be kind.", "Hi Ann!"]


def test_formatted_input_is_what_format_returns() -> None:
    inputs = {"mood": "kind", "name": "Ann"}
    assert list(TEMPLATE.format_input(**inputs)) == TEMPLATE.format(**inputs)


def test_doctor_names_the_apis_that_are_captured(doctor: Doctor) -> None:
    here = f"http://127.0.0.1:{free_port()}"
    (found,) = doctor("--json", base_url=here, api_key="key").found("capture")
    assert found["details"]["apis"] == ["chat", "responses"]
    (found,) = doctor("--json", base_url=here, api_key="key", capture="responses").found("capture")
    assert "(responses)" in found["message"]


def test_doctor_names_who_wraps_responses(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    from openai.resources.responses import Responses  # noqa: PLC0415  openai before 1.66 has none

    original = Responses.create

    def theirs(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    theirs.__wrapped__ = original  # type: ignore[attr-defined]
    monkeypatch.setattr(Responses, "create", theirs)
    (others,) = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}").found("others")
    assert (others["level"], others["details"]) == ("ok", {"patched": {"Responses.create": [__name__]}})
