from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any

import anyio
import openai
import pytest
from support.endpoints import Endpoint, running_endpoint
from support.models import EVENTS, MESSAGES, completed, http, streaming

import ainsights
import ainsights.openai as drop_in
from ainsights import ConfigurationError, Insights, _api

if TYPE_CHECKING:
    from collections.abc import Iterator

ainsights.uninstrument()  # the import captures from then on; here only where a test asks for it

TRANSPORT = http.MockTransport(completed)
OPTIONS: dict[str, Any] = {"api_key": "sk-secret", "max_retries": 0}
AZURE = {**OPTIONS, "azure_endpoint": "https://azure.example", "api_version": "2024-06-01"}
CLASSES = [drop_in.OpenAI, drop_in.AzureOpenAI]


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    with running_endpoint() as endpoint:
        monkeypatch.setenv("AINSIGHTS_BASE_URL", endpoint.url)
        monkeypatch.setenv("AINSIGHTS_API_KEY", "key")
        _api.capture_classes(*ainsights.openai._CLASSES)  # as the import did, for another test undid it
        try:
            yield endpoint
        finally:
            ainsights.shutdown(5)


def new_client(of: type[Any], **more: Any) -> Any:
    options = AZURE if "Azure" in of.__name__ else OPTIONS
    return of(**options, http_client=http.Client(transport=TRANSPORT), **more)


def ask(client: Any, text: str = "hi") -> Any:
    return client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])


def delivered_questions(endpoint: Endpoint) -> list[str]:
    assert ainsights.flush(20)
    return sorted(body["messages"][0]["content"] for body in endpoint.stored)


def test_only_drop_in_clients_are_captured(endpoint: Endpoint) -> None:
    ask(new_client(openai.OpenAI), "not this")
    for kind in CLASSES:
        ask(new_client(kind), kind.__name__)
    assert delivered_questions(endpoint) == ["AzureOpenAI", "OpenAI"]


def test_asynchronous_drop_in_clients_are_captured(endpoint: Endpoint) -> None:
    async def main() -> None:
        for kind, options in ((drop_in.AsyncOpenAI, OPTIONS), (drop_in.AsyncAzureOpenAI, AZURE)):
            async with kind(**options, http_client=http.AsyncClient(transport=TRANSPORT)) as client:
                await client.chat.completions.create(model="m", messages=[{"role": "user", "content": kind.__name__}])

    anyio.run(main)
    assert delivered_questions(endpoint) == ["AsyncAzureOpenAI", "AsyncOpenAI"]


def test_copies_are_captured(endpoint: Endpoint) -> None:
    client = new_client(drop_in.OpenAI)
    ask(client.with_options(timeout=5), "with_options")
    ask(client.copy().with_options(max_retries=1), "copy")
    assert delivered_questions(endpoint) == ["copy", "with_options"]


def test_subclass_is_captured(endpoint: Endpoint) -> None:
    ask(new_client(type("Mine", (drop_in.OpenAI,), {})), "mine")
    assert delivered_questions(endpoint) == ["mine"]


def test_call_is_one_event_also_together_with_instrument(endpoint: Endpoint) -> None:
    ainsights.instrument()
    ask(new_client(drop_in.OpenAI), "drop-in")
    ask(new_client(openai.OpenAI), "other")
    assert delivered_questions(endpoint) == ["drop-in", "other"]


def test_stream_is_one_event(endpoint: Endpoint) -> None:
    client = drop_in.OpenAI(**OPTIONS, http_client=http.Client(transport=http.MockTransport(streaming(*EVENTS))))
    assert len(list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))) == 3
    assert delivered_questions(endpoint) == ["hi"]


def test_client_of_the_module_is_captured(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "http_client", http.Client(transport=TRANSPORT))
    monkeypatch.setattr(openai, "api_key", None)
    drop_in.api_key = "sk-secret"
    try:
        assert openai.api_key == "sk-secret"
        ask(drop_in, "module")
    finally:
        openai._reset_client()  # type: ignore[attr-defined]
    assert delivered_questions(endpoint) == ["module"]


def test_uninstrument_ends_it(endpoint: Endpoint) -> None:
    client = new_client(drop_in.OpenAI)
    ask(client, "before")
    ainsights.uninstrument()
    ask(client, "after")
    assert delivered_questions(endpoint) == ["before"]


@pytest.mark.usefixtures("endpoint")
def test_wrong_setting_is_reported_when_the_drop_in_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AINSIGHTS_SAMPLE_RATE", "2")
    with pytest.raises(ConfigurationError, match="AINSIGHTS_SAMPLE_RATE='2' is wrong"):
        _api.capture_classes()


def test_drop_in_classes_are_openai_s_but_for_their_names() -> None:
    for kind in (drop_in.OpenAI, drop_in.AsyncOpenAI, drop_in.AzureOpenAI, drop_in.AsyncAzureOpenAI):
        bare = getattr(openai, kind.__name__)
        assert issubclass(kind, bare)
        assert inspect.signature(kind) == inspect.signature(bare)
        assert {name for name in vars(kind) if not name.startswith("__")} <= {"_abc_impl"}


def test_everything_else_is_openai_s_own() -> None:
    assert drop_in.RateLimitError is openai.RateLimitError
    assert drop_in.types is openai.types
    assert drop_in.chat is openai.chat
    assert set(openai.__all__) <= set(dir(drop_in))
    with pytest.raises(AttributeError, match="openai"):
        drop_in.nothing  # noqa: B018  type: ignore[attr-defined]


def test_stub_names_what_there_is() -> None:
    source = (__import__("pathlib").Path(drop_in.__file__).with_suffix(".pyi")).read_text()
    imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    named = {alias.name for node in imports for alias in node.names} - {"*"}
    assert len(named) > 30
    assert named - {"responses", "uploads", "vector_stores"} <= set(dir(openai))  # these are newer than our oldest


# A client's own Insights


def test_client_can_have_insights_of_its_own(endpoint: Endpoint) -> None:
    with running_endpoint() as other, Insights(base_url=other.url, api_key="other") as own:
        client = own.watch(new_client(openai.OpenAI))
        assert type(client) is openai.OpenAI
        ask(client, "own")
        ask(client.with_options(timeout=5).copy(), "its copy")
        ask(new_client(openai.OpenAI), "nobody's")
        ask(new_client(drop_in.OpenAI), "drop-in")
        assert own.flush(20)
        assert sorted(body["messages"][0]["content"] for body in other.stored) == ["its copy", "own"]
        assert {headers["Authorization"] for headers in other.headers} == {"Bearer other"}
    assert delivered_questions(endpoint) == ["drop-in"]


def test_own_insights_override_instrument_and_outlive_uninstrument(endpoint: Endpoint) -> None:
    ainsights.instrument()
    with running_endpoint() as other, Insights(base_url=other.url, api_key="other") as own:
        client = own.watch(new_client(drop_in.OpenAI))
        ask(client)
        ainsights.uninstrument()
        ask(client)
        assert own.flush(20)
        assert len(other.stored) == 2
    assert delivered_questions(endpoint) == []


def test_client_is_as_it_was_when_its_insights_are_closed() -> None:
    client = new_client(openai.OpenAI)
    before = dict(vars(client))
    own = Insights(base_url="http://localhost:1")
    own.watch(client)
    assert vars(client) != before
    own.close()
    assert vars(client) == before


def test_object_that_is_not_a_client_cannot_be_watched() -> None:
    with Insights(base_url="http://localhost:1") as own, pytest.raises(ConfigurationError, match=r"client=\.\.\. is"):
        own.watch("client")
