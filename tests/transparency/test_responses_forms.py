"""Each form of a call of the Responses API is one event, and the program sees nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest
from support.comparison import World, collect, enter, iterate, maybe_await, run_with_and_without
from support.responses import compatible_arguments

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import BaseModel

    Snippet = Callable[[World], Awaitable[Any]]

pytest.importorskip("openai.types.responses", reason="this openai has no Responses API")

LEAVES_BROKEN_STREAMS = openai.__version__.startswith("1.")
"""Whether this openai leaves a response open that it cannot read."""
FORMS: dict[str, Snippet] = {}
ASKED: dict[str, Any] = {"model": "m", "input": "hi"}
MESSAGES = [{"role": "user", "content": "hi"}]


def form(snippet: Snippet) -> Snippet:
    FORMS[snippet.__name__] = snippet
    return snippet


def responses(world: World, **options: Any) -> Any:
    return world.client(**options).responses


def create_params(model: str = "m", **options: Any) -> dict[str, Any]:
    return ASKED | {"model": model} | options


def schema() -> type[BaseModel]:
    from pydantic import BaseModel  # noqa: PLC0415  a class of its own for each run, as none is cached then

    class Answer(BaseModel):
        name: str

    return Answer


@form
async def create(world: World) -> Any:
    response = await maybe_await(responses(world).create(**create_params()))
    return response, response.output_text


@form
async def create_streamed(world: World) -> Any:
    return await collect(responses(world).create(**create_params(stream=True)))


@form
async def create_with_tools(world: World) -> Any:
    return await maybe_await(responses(world).create(**create_params("mock:tools")))


@form
async def create_with_instructions(world: World) -> Any:
    return await maybe_await(responses(world).create(**create_params(input=MESSAGES, store=False)))


@form
async def reasoning_streamed(world: World) -> Any:
    return await collect(responses(world).create(**create_params("mock:reasoning", stream=True)))


@form
async def parse(world: World) -> Any:
    return (
        await maybe_await(responses(world).parse(**create_params("mock:json", text_format=schema())))
    ).output_parsed.name


@form
async def stream_helper(world: World) -> Any:
    async with enter(responses(world).stream(**create_params())) as stream:
        kinds = [event.type async for event in iterate(stream)]
        return kinds, (await maybe_await(stream.get_final_response())).output_text


@form
async def stream_helper_until_done(world: World) -> Any:
    async with enter(responses(world).stream(**create_params())) as stream:
        await maybe_await(stream.until_done())
        return await maybe_await(stream.get_final_response())


@form
async def stream_helper_parsed(world: World) -> Any:
    async with enter(responses(world).stream(**create_params("mock:json", text_format=schema()))) as stream:
        return (await maybe_await(stream.get_final_response())).output_parsed.name


@form
async def raw_parsed_twice(world: World) -> Any:
    raw = await maybe_await(responses(world).with_raw_response.create(**create_params()))
    first = await maybe_await(raw.parse())
    return type(raw).__name__, raw.headers["content-type"], first, first is await maybe_await(raw.parse())


@form
async def raw_never_parsed(world: World) -> Any:
    return (await maybe_await(responses(world).with_raw_response.create(**create_params()))).text


@form
async def raw_streamed_then_parsed(world: World) -> Any:
    raw = await maybe_await(responses(world).with_raw_response.create(**create_params(stream=True)))
    return await collect(await maybe_await(raw.parse()))


@form
async def streaming_response_parsed(world: World) -> Any:
    async with enter(responses(world).with_streaming_response.create(**create_params())) as response:
        return type(response).__name__, await maybe_await(response.parse())


@form
async def streaming_response_read(world: World) -> Any:
    async with enter(responses(world).with_streaming_response.create(**create_params())) as response:
        return await maybe_await(response.read())


@form
async def streaming_response_lines(world: World) -> Any:
    async with enter(responses(world).with_streaming_response.create(**create_params(stream=True))) as response:
        return [line async for line in iterate(response.iter_lines())]


@form
async def with_options(world: World) -> Any:
    return await maybe_await(world.client().with_options(timeout=30).responses.create(**create_params()))


@form
async def posted_for_an_object(world: World) -> Any:
    return await maybe_await(world.client().post("/responses", cast_to=object, body=create_params()))


@form
async def posted_with_a_query(world: World) -> Any:
    return await maybe_await(world.client().post("/responses?beta=true", cast_to=object, body=create_params()))


@form
async def posted_to_an_absolute_url(world: World) -> Any:
    return await maybe_await(world.client().post(f"{world.base_url}/responses", cast_to=object, body=create_params()))


@form
async def beta(world: World) -> Any:
    place = getattr(world.client().beta, "responses", responses(world))
    return await maybe_await(place.create(**create_params()))


@form
async def subclass_of_responses(world: World) -> Any:
    base = type(responses(world))

    class Ours(base):  # type: ignore[misc,valid-type]
        def create(self, *args: Any, **kwargs: Any) -> Any:
            return super().create(*args, temperature=0, **kwargs)

    return await maybe_await(Ours(world.client()).create(**create_params()))


@pytest.mark.parametrize("name", FORMS)
def test_form_is_one_event_and_nothing_else_changes(world: World, name: str) -> None:
    captured, seen = run_with_and_without(FORMS[name], world)
    assert seen.error is None, seen.error
    assert captured.statuses == ["ok"]
    assert captured[0]["messages"] == MESSAGES
    assert captured[0]["response"]["choices"]
    assert captured[0]["response"]["status"] == "completed"
    assert captured[0]["meta"]["ainsights.api"] == "responses"


LATER: dict[str, tuple[Snippet, str]] = {}


def later(status: str) -> Callable[[Snippet], Snippet]:
    """Note a snippet of several calls about one response, and the status of its one event."""

    def note(snippet: Snippet) -> Snippet:
        LATER[snippet.__name__] = (snippet, status)
        return snippet

    return note


def in_background(place: Any) -> dict[str, Any]:
    return compatible_arguments(place.create, background=True)


@later("ok")
async def polled(world: World) -> Any:
    place = responses(world)
    response = await maybe_await(place.create(**create_params("mock:polls=2"), **in_background(place)))
    seen = [response.status]
    while response.status in {"queued", "in_progress"}:
        response = await maybe_await(place.retrieve(response.id))
        seen.append(response.status)
    return seen, response.output_text


@later("ok")
async def looked_up_again(world: World) -> Any:
    place = responses(world)
    response = await maybe_await(place.create(**create_params()))
    return response, await maybe_await(place.retrieve(response.id))


@later("cancelled")
async def cancel_response(world: World) -> Any:
    place = responses(world)
    response = await maybe_await(place.create(**create_params("mock:polls=9"), **in_background(place)))
    if not hasattr(place, "cancel"):
        return await maybe_await(world.client().post(f"/responses/{response.id}/cancel", cast_to=object))
    return await maybe_await(place.cancel(response.id))


@later("ok")
async def resume_stream(world: World) -> Any:
    client = world.client()
    place = client.responses
    stream = await maybe_await(place.create(**create_params("mock:chunks=6", stream=True), **in_background(place)))
    got = []
    async for event in iterate(stream):
        got.append(event)
        if len(got) == 6:
            break
    await maybe_await(stream.close())
    kind = openai.AsyncStream[Any] if world.is_async else openai.Stream[Any]
    created = got[0].response  # a dict to an openai that knows no response which is queued
    response_id = created["id"] if isinstance(created, dict) else created.id
    path = f"/responses/{response_id}?stream=true&starting_after=5"
    rest = await maybe_await(client.get(path, cast_to=object, stream=True, stream_cls=kind))
    return got, await collect(rest)


@pytest.mark.parametrize("name", LATER)
def test_calls_about_one_response_are_one_event_and_nothing_else_changes(world: World, name: str) -> None:
    snippet, status = LATER[name]
    captured, seen = run_with_and_without(snippet, world)
    assert seen.error is None, seen.error
    assert captured.statuses == [status]
    assert captured[0]["messages"] == MESSAGES


async def left_early(world: World) -> Any:
    async with enter(responses(world).stream(**create_params("mock:chunks=5"))) as stream:
        async for event in iterate(stream):
            return event.type
    raise AssertionError("the stream is empty")


def test_stream_helper_that_is_left_early_is_closed_early(world: World) -> None:
    captured, _ = run_with_and_without(left_early, world)
    assert captured.statuses == ["closed_early"]


async def left_at_the_last_event(world: World) -> Any:
    stream = await maybe_await(responses(world).create(**create_params(stream=True)))
    async for event in iterate(stream):
        if event.type == "response.completed":
            await maybe_await(stream.close())
            return event
    raise AssertionError("the stream has no end")


def test_stream_that_is_left_at_its_last_event_is_whole(world: World) -> None:
    captured, _ = run_with_and_without(left_at_the_last_event, world)
    assert captured.statuses == ["ok"]


ERRORS = ("status=400", "status=429,retry-after=0.01", "status=500", "badjson", "reset")


@pytest.mark.parametrize("directive", ERRORS)
@pytest.mark.parametrize("options", [{}, {"stream": True}], ids=["plain", "streamed"])
def test_failed_call_is_one_event(world: World, directive: str, options: dict[str, Any]) -> None:
    async def failing(world: World) -> Any:
        client = world.client(max_retries=1)
        return await collect(client.responses.create(**create_params(f"mock:{directive}", **options)))

    captured, seen = run_with_and_without(failing, world)
    assert seen.error is not None
    if LEAVES_BROKEN_STREAMS and options and directive == "badjson":
        assert captured.statuses == ["abandoned"]
        return
    assert captured.statuses == ["error"]
    assert captured[0]["response"]["error"]
    assert captured[0]["messages"] == MESSAGES


NONE: dict[str, Snippet] = {}


def no_event(snippet: Snippet) -> Snippet:
    NONE[snippet.__name__] = snippet
    return snippet


@no_event
async def input_items(world: World) -> Any:
    client = world.client()
    created = (await maybe_await(client.embeddings.create(model="m", input="hi"))).model
    try:
        return created, [
            item async for item in iterate(await maybe_await(client.responses.input_items.list("resp_none")))
        ]
    except openai.NotFoundError as error:
        return error.status_code


@no_event
async def lookup_of_what_is_not_there(world: World) -> Any:
    try:
        return await maybe_await(responses(world).retrieve("resp_none"))
    except openai.NotFoundError as error:
        return error.status_code


@no_event
async def compacted(world: World) -> Any:
    return await maybe_await(world.client().post("/responses/compact", cast_to=object, body=create_params()))


@no_event
async def counted(world: World) -> Any:
    return await maybe_await(world.client().post("/responses/input_tokens", cast_to=object, body=create_params()))


@pytest.mark.parametrize("name", NONE)
def test_call_that_creates_no_response_is_not_an_event(world: World, name: str) -> None:
    captured, _ = run_with_and_without(NONE[name], world)
    assert [body for body in captured if body["meta"]["ainsights.api"] == "responses"] == []
