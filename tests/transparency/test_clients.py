"""Every kind of client and of transport is captured, once for each call, and the program sees nothing of it."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import threading
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import openai
import pytest
from support import http2
from support.comparison import MESSAGES, World, collect, enter, maybe_await, run_asyncio, run_with_and_without
from support.models import COMPLETION, EVENTS, Captured, capturing, client, completed, streaming

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Iterator

    Snippet = Callable[[World], Awaitable[Any]]

MAJOR = int(openai.__version__.partition(".")[0])


def found(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) for module in modules)


async def create_whole_and_streamed(made: Any) -> Any:
    """Return a whole and a streamed answer of a client."""
    whole = await maybe_await(made.chat.completions.create(model="m", messages=MESSAGES))
    return whole, await collect(made.chat.completions.create(model="m", messages=MESSAGES, stream=True))


def over(library: str, **options: Any) -> Snippet:
    """Return a snippet whose client sends through a client of ``library``."""

    async def snippet(world: World) -> Any:
        module = importlib.import_module(library)
        kind = module.AsyncClient if world.is_async else module.Client
        made = kind(**options)
        return await create_whole_and_streamed(world.client(http_client=made))

    return snippet


TRANSPORTS: dict[str, Snippet] = {"of one's own": over("httpx2" if MAJOR >= 3 else "httpx", timeout=30)}
if MAJOR >= 3 and found("httpx"):
    TRANSPORTS["legacy httpx"] = over("httpx")
if MAJOR == 2 and hasattr(openai, "DefaultHttpx2Client") and found("httpx2"):
    TRANSPORTS["httpx2"] = over("httpx2")


@pytest.mark.parametrize("name", TRANSPORTS)
def test_transport_is_captured(world: World, name: str) -> None:
    captured, seen = run_with_and_without(TRANSPORTS[name], world)
    assert seen.error is None, seen.error
    assert captured.statuses == ["ok", "ok"]


if hasattr(openai, "DefaultAioHttpClient") and found("aiohttp", "httpx_aiohttp"):

    def test_aiohttp_is_captured(model_api: World) -> None:
        async def snippet(world: World) -> Any:
            return await create_whole_and_streamed(world.client(http_client=openai.DefaultAioHttpClient()))

        captured, seen = run_with_and_without(snippet, World(model_api.server, model_api.relay, is_async=True))
        assert seen.error is None, seen.error
        assert captured.statuses == ["ok", "ok"]


if found("h2", "hypercorn"):

    @pytest.fixture(scope="session")
    def over_http2() -> Iterator[tuple[str, ssl.SSLContext]]:
        """The mock model API, reached through a server that speaks HTTP/2 alone."""
        with http2.serving() as served:
            yield served

    def test_http2_is_captured(over_http2: tuple[str, ssl.SSLContext], world: World) -> None:
        url, trusted = over_http2
        module = importlib.import_module("httpx2" if MAJOR >= 3 else "httpx")

        async def snippet(world: World) -> Any:
            kind = module.AsyncClient if world.is_async else module.Client
            versions: list[str] = []
            made = kind(http2=True, verify=trusted)
            answers = await create_whole_and_streamed(world.client(http_client=made, base_url=f"{url}/v1"))
            raw = world.opened[-1].chat.completions.with_raw_response
            versions.append((await maybe_await(raw.create(model="m", messages=MESSAGES))).http_response.http_version)
            return answers, versions

        captured, seen = run_with_and_without(snippet, world)
        assert seen.error is None, seen.error
        assert "HTTP/2" in str(seen.result)
        assert captured.statuses == ["ok"] * 3


BACKENDS = ["asyncio", "trio"] if MAJOR >= 2 else ["asyncio"]  # the oldest openai does not know trio


@pytest.mark.parametrize("backend", BACKENDS)
def test_event_loop_is_captured(model_api: World, backend: str) -> None:
    async def snippet(world: World) -> Any:
        return await world.create()  # a stream below

    world = World(model_api.server, model_api.relay, is_async=True)
    captured, seen = run_with_and_without(snippet, world, partial(anyio.run, backend=backend))
    assert seen.error is None, seen.error
    assert captured.statuses == ["ok"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_stream_is_captured_in_each_event_loop(model_api: World, backend: str) -> None:
    world = World(model_api.server, model_api.relay, is_async=True)

    async def main() -> Any:
        try:
            return await collect(world.create("mock:text=said", stream=True))
        finally:
            await world.close()

    with warnings.catch_warnings(), capturing() as captured:  # without comparing: how much trio warns of is chance
        warnings.simplefilter("ignore", ResourceWarning)
        chunks = anyio.run(main, backend=backend)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "said"
    assert captured.statuses == ["ok"]
    assert captured.contents == ["said"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_calls_at_once_are_captured(model_api: World, backend: str) -> None:
    async def snippet(world: World) -> Any:
        made, answers = world.client(), []

        async def ask() -> None:
            answers.append(await made.chat.completions.create(model="m", messages=MESSAGES))

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ask)
        return sorted(answer.model for answer in answers)

    world = World(model_api.server, model_api.relay, is_async=True)

    async def main() -> Any:
        try:
            return await snippet(world)
        finally:
            await world.close()

    with capturing() as captured:  # without comparing: three connections at once come in an order of chance
        assert anyio.run(main, backend=backend) == ["m"] * 3
    assert captured.statuses == ["ok"] * 3


async def azure(world: World) -> Any:
    return await create_whole_and_streamed(world.client("AzureOpenAI", azure_deployment="d"))


async def subclass(world: World) -> Any:
    base = openai.AsyncOpenAI if world.is_async else openai.OpenAI
    kind = type("Mine", (base,), {"__doc__": "a client of the program's own"})
    return await create_whole_and_streamed(world.own(kind, base_url=world.base_url))


async def in_a_thread(world: World) -> Any:
    """A client that lives in a thread, with a loop of its own there."""
    answers: list[Any] = []

    async def ask() -> None:
        answers.append(await create_whole_and_streamed(world.client()))
        await world.close()

    thread = threading.Thread(target=lambda: asyncio.run(ask()))
    thread.start()
    await asyncio.to_thread(thread.join)
    return answers


async def in_another_thread(world: World) -> Any:
    """A sync client that is made here and called there."""
    made = world.client()
    return await (
        create_whole_and_streamed(made)
        if world.is_async
        else asyncio.to_thread(asyncio.run, create_whole_and_streamed(made))
    )


async def bedrock(world: World) -> Any:
    return await create_whole_and_streamed(world.client("BedrockOpenAI", base_url=world.base_url))


KINDS: list[Snippet] = [azure, subclass, in_a_thread, in_another_thread]
if hasattr(openai, "BedrockOpenAI"):
    KINDS.append(bedrock)
if found("openai.providers"):
    from openai import providers

    CREDENTIALS = {"bedrock": {"api_key": "k"}, "vertex": {"token_provider": lambda: "t"}}

    def provided(name: str) -> Snippet:
        """Return a snippet whose client openai makes for another vendor's endpoint."""

        async def provider(world: World) -> Any:
            kind = openai.AsyncOpenAI if world.is_async else openai.OpenAI
            chosen = getattr(providers, name)(base_url=world.base_url, **CREDENTIALS[name])
            made = kind(provider=chosen, max_retries=0)
            world.opened.append(made)
            return await create_whole_and_streamed(made)

        provider.__name__ = name
        return provider

    KINDS += [provided(name) for name in CREDENTIALS if hasattr(providers, name)]


@pytest.mark.parametrize("snippet", KINDS)
def test_kind_of_client_is_captured(world: World, snippet: Snippet) -> None:
    captured, seen = run_with_and_without(snippet, world)
    assert seen.error is None, seen.error
    assert captured.statuses == ["ok", "ok"]


# Made before instrument()


def test_clients_and_methods_created_before_are_captured(world: World) -> None:
    async def main() -> Captured:
        made, request = world.client(), {"model": "mock:text=said", "messages": MESSAGES}
        place = made.chat.completions
        bound, raw, streaming = place.create, place.with_raw_response, place.with_streaming_response
        raw_bound, other = raw.create, made.with_options(timeout=30)
        try:
            with capturing() as captured:
                await maybe_await(bound(**request))
                await maybe_await(partial(bound, **request)())
                await maybe_await((await maybe_await(raw_bound(**request))).parse())
                async with enter(streaming.create(**request)) as response:
                    await maybe_await(response.json())
                await maybe_await(other.chat.completions.create(**request))
                await collect(bound(**request, stream=True))
            return captured
        finally:
            await world.close()

    captured = run_asyncio(main)
    assert captured.statuses == ["ok"] * 6
    assert captured.contents == ["said"] * 6
    assert [event["messages"] for event in captured] == [MESSAGES] * 6


def test_stream_from_before_is_read_without_an_event() -> None:
    stream = client(streaming(*EVENTS)).chat.completions.create(model="m", messages=MESSAGES, stream=True)
    with capturing() as captured:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "abc"
    assert captured == []


def test_raw_response_from_before_is_parsed_without_an_event() -> None:
    raw = client(completed).chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    with capturing() as captured:
        assert raw.parse().id == COMPLETION["id"]
    assert captured == []


def test_one_client_in_many_threads_is_captured_once_for_each_call() -> None:
    made = client(completed)
    with capturing() as captured:
        threads = [
            threading.Thread(
                target=lambda number=number: [
                    made.chat.completions.create(model="m", messages=MESSAGES, user=f"{number}-{turn}")
                    for turn in range(25)
                ]
            )
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({event["user_id"] for event in captured}) == len(captured) == 200
