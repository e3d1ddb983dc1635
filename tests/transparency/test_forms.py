"""Each form of a call is one event, and the program sees nothing of it."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

import openai
import pytest
from support.comparison import MESSAGES, World, collect, enter, iterate, maybe_await, run_with_and_without

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import BaseModel

    Snippet = Callable[[World], Awaitable[Any]]

MAJOR = int(openai.__version__.partition(".")[0])
HAS_PARSE = hasattr(openai.resources.chat.completions.Completions, "parse")
FORMS: dict[str, Snippet] = {}


def form(snippet: Snippet) -> Snippet:
    FORMS[snippet.__name__] = snippet
    return snippet


def schema() -> type[BaseModel]:
    from pydantic import BaseModel  # noqa: PLC0415  a class of its own for each run, as none is cached then

    class Answer(BaseModel):
        name: str

    return Answer


def completions(world: World, **options: Any) -> Any:
    return world.client(**options).chat.completions


def create_params(model: str = "m", **options: Any) -> dict[str, Any]:
    return {"model": model, "messages": MESSAGES, **options}


@form
async def create(world: World) -> Any:
    return await maybe_await(world.create())


@form
async def create_streamed(world: World) -> Any:
    return await collect(world.create(stream=True))


@form
async def create_with_tools_and_choices(world: World) -> Any:
    return await maybe_await(world.create("mock:tools,n=2"))


@form
async def parse(world: World) -> Any:
    place = completions(world) if HAS_PARSE else world.client().beta.chat.completions
    completion = await maybe_await(place.parse(**create_params("mock:json", response_format=schema())))
    return completion.choices[0].message.parsed.name


@form
async def stream_helper(world: World) -> Any:
    place = completions(world) if HAS_PARSE else world.client().beta.chat.completions
    async with enter(place.stream(**create_params())) as stream:
        kinds = [event.type async for event in iterate(stream)]
        return kinds, await maybe_await(stream.get_final_completion())


@form
async def stream_helper_until_done(world: World) -> Any:
    place = completions(world) if HAS_PARSE else world.client().beta.chat.completions
    async with enter(place.stream(**create_params())) as stream:
        await maybe_await(stream.until_done())
        return await maybe_await(stream.get_final_completion())


@form
async def raw_parsed_twice(world: World) -> Any:
    raw = await maybe_await(completions(world).with_raw_response.create(**create_params()))
    first = await maybe_await(raw.parse())
    return type(raw).__name__, raw.headers["content-type"], first, first is await maybe_await(raw.parse())


@form
async def raw_never_parsed(world: World) -> Any:
    return (await maybe_await(completions(world).with_raw_response.create(**create_params()))).text


@form
async def raw_streamed_then_parsed(world: World) -> Any:
    raw = await maybe_await(completions(world).with_raw_response.create(**create_params(stream=True)))
    return await collect(await maybe_await(raw.parse()))


@form
async def raw_streamed_lines(world: World) -> Any:
    raw = await maybe_await(completions(world).with_raw_response.create(**create_params(stream=True)))
    response = raw.http_response
    return [line async for line in iterate(response.aiter_lines() if world.is_async else response.iter_lines())]


@form
async def raw_parse(world: World) -> Any:
    place = completions(world) if HAS_PARSE else world.client().beta.chat.completions
    raw = await maybe_await(place.with_raw_response.parse(**create_params("mock:json", response_format=schema())))
    return (await maybe_await(raw.parse())).choices[0].message.parsed.name


@form
async def streaming_response_parsed(world: World) -> Any:
    async with enter(completions(world).with_streaming_response.create(**create_params())) as response:
        return type(response).__name__, await maybe_await(response.parse())


@form
async def streaming_response_json(world: World) -> Any:
    async with enter(completions(world).with_streaming_response.create(**create_params())) as response:
        return await maybe_await(response.json())


@form
async def streaming_response_read(world: World) -> Any:
    async with enter(completions(world).with_streaming_response.create(**create_params())) as response:
        return await maybe_await(response.read())


@form
async def streaming_response_lines(world: World) -> Any:
    async with enter(completions(world).with_streaming_response.create(**create_params(stream=True))) as response:
        return [line async for line in iterate(response.iter_lines())]


@form
async def with_options(world: World) -> Any:
    return await maybe_await(world.client().with_options(timeout=30).chat.completions.create(**create_params()))


@form
async def copied(world: World) -> Any:
    return await maybe_await(world.client().copy(max_retries=1).chat.completions.create(**create_params()))


@form
async def partially_applied(world: World) -> Any:
    return await maybe_await(functools.partial(completions(world).create, model="m")(messages=MESSAGES))


@form
async def posted_for_an_object(world: World) -> Any:
    return await maybe_await(world.client().post("/chat/completions", cast_to=object, body=create_params()))


async def posted_for_a_dict(world: World) -> Any:
    return await maybe_await(world.client().post("/chat/completions", cast_to=dict[str, Any], body=create_params()))


if sys.version_info >= (3, 11):  # to 3.10 such a type is a class, on which openai fails
    form(posted_for_a_dict)


@form
async def posted_for_the_raw_response(world: World) -> Any:
    kind = (__import__("httpx2") if MAJOR >= 3 else __import__("httpx")).Response
    return (await maybe_await(world.client().post("/chat/completions", cast_to=kind, body=create_params()))).text


@form
async def posted_to_an_absolute_url(world: World) -> Any:
    url = f"{world.base_url}/chat/completions"
    return await maybe_await(world.client().post(url, cast_to=object, body=create_params()))


@form
async def subclass_of_the_client(world: World) -> Any:
    base = openai.AsyncOpenAI if world.is_async else openai.OpenAI

    class Ours(base):  # type: ignore[misc,valid-type]
        def request(self, *args: Any, **kwargs: Any) -> Any:
            return super().request(*args, **kwargs)

    return await maybe_await(world.own(Ours, base_url=world.base_url).chat.completions.create(**create_params()))


@form
async def subclass_of_completions(world: World) -> Any:
    base = type(completions(world))

    class Ours(base):  # type: ignore[misc,valid-type]
        def create(self, *args: Any, **kwargs: Any) -> Any:
            return super().create(*args, temperature=0, **kwargs)

    return await maybe_await(Ours(world.client()).create(**create_params()))


@form
async def subclass_without_super(world: World) -> Any:
    base = type(completions(world))

    class Ours(base):  # type: ignore[misc,valid-type]
        def create(self, **kwargs: Any) -> Any:
            return self._post("/chat/completions", body=kwargs, cast_to=object)

    return await maybe_await(Ours(world.client()).create(**create_params()))


@form
async def azure(world: World) -> Any:
    return await maybe_await(world.client("AzureOpenAI").chat.completions.create(**create_params("gpt")))


@form
async def azure_with_a_deployment(world: World) -> Any:
    client = world.client("AzureOpenAI", azure_deployment="mine")
    return await maybe_await(client.chat.completions.create(**create_params("gpt")))


@pytest.mark.parametrize("name", FORMS)
def test_form_is_one_event_and_nothing_else_changes(world: World, name: str) -> None:
    captured, seen = run_with_and_without(FORMS[name], world)
    assert seen.error is None, seen.error
    assert captured.statuses == ["ok"]
    assert captured[0]["messages"] == MESSAGES
    assert captured[0]["response"]["choices"]
    assert captured[0]["response"]["object"] == "chat.completion"


async def module_level(_world: World) -> Any:
    try:
        return openai.chat.completions.create(**create_params())
    finally:
        openai._load_client().close()  # type: ignore[attr-defined]
        openai._reset_client()  # type: ignore[attr-defined]
        openai.http_client = None  # where the module's client keeps its own


def test_call_of_the_module_is_one_event(model_api: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "api_key", "sk-test")
    monkeypatch.setattr(openai, "base_url", model_api.base_url + "/")
    captured, seen = run_with_and_without(module_level, model_api)
    assert seen.error is None, seen.error
    assert captured.statuses == ["ok"]


async def headers_only(world: World) -> Any:
    async with enter(completions(world).with_streaming_response.create(**create_params())) as response:
        return response.headers["content-type"], response.http_response.is_stream_consumed


def test_response_of_which_only_the_headers_are_read_is_unread(world: World) -> None:
    captured, _ = run_with_and_without(headers_only, world)
    assert captured.statuses == ["unread"]
    assert captured[0]["response"]["choices"] == []


async def left_early(world: World) -> Any:
    place = completions(world) if HAS_PARSE else world.client().beta.chat.completions
    async with enter(place.stream(**create_params("mock:chunks=5"))) as stream:
        async for event in iterate(stream):
            return event.type
    raise AssertionError("the stream is empty")


def test_stream_helper_that_is_left_early_is_closed_early(world: World) -> None:
    captured, _ = run_with_and_without(left_early, world)
    assert captured.statuses == ["closed_early"]


NONE: dict[str, Snippet] = {}


def no_event(snippet: Snippet) -> Snippet:
    NONE[snippet.__name__] = snippet
    return snippet


@no_event
async def missing_arguments(world: World) -> Any:
    return await maybe_await(completions(world).create(model="m"))


@no_event
async def stream_never_entered(world: World) -> Any:
    if not world.is_async:
        return None  # a sync one is sent when it is entered, too
    place = completions(world) if HAS_PARSE else world.client().beta.chat.completions
    place.stream(**create_params())
    return None


@no_event
async def models_listed(world: World) -> Any:
    return [model.id async for model in iterate(await maybe_await(world.client().models.list()))]


@no_event
async def embeddings(world: World) -> Any:
    return await maybe_await(world.client().embeddings.create(model="m", input="hi"))


@no_event
async def stored_completions(world: World) -> Any:
    place = completions(world)
    if not hasattr(place, "retrieve"):
        return None
    return [
        await status(place.retrieve("c1")),
        await status(place.update("c1", metadata={})),
        await status(place.delete("c1")),
    ]


async def status(call: Any) -> Any:
    try:
        return type(await maybe_await(call)).__name__
    except openai.APIStatusError as error:
        return error.status_code


@pytest.mark.parametrize("name", NONE)
def test_other_routes_are_not_events(world: World, name: str) -> None:
    captured, _ = run_with_and_without(NONE[name], world)
    assert captured == []
