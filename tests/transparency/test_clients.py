"""Every kind of client and of transport is captured, once for each call, and the program sees nothing of it."""

from __future__ import annotations

import importlib
import importlib.util
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import http2
import openai
import pytest
from models import COMPLETION, capturing, client, completed
from twice import MESSAGES, World, all_of, it, twice

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Iterator

    Snippet = Callable[[World], Awaitable[Any]]

MAJOR = int(openai.__version__.partition(".")[0])


def found(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) for module in modules)


async def asked(made: Any) -> Any:
    """Return a whole and a streamed answer of a client."""
    whole = await it(made.chat.completions.create(model="m", messages=MESSAGES))
    return whole, await all_of(made.chat.completions.create(model="m", messages=MESSAGES, stream=True))


def over(library: str, **options: Any) -> Snippet:
    """Return a snippet whose client sends through a client of ``library``."""

    async def snippet(world: World) -> Any:
        module = importlib.import_module(library)
        kind = module.AsyncClient if world.is_async else module.Client
        made = kind(**options)
        return await asked(world.client(http_client=made))

    return snippet


TRANSPORTS: dict[str, Snippet] = {"of one's own": over("httpx2" if MAJOR >= 3 else "httpx", timeout=30)}
if MAJOR >= 3 and found("httpx"):
    TRANSPORTS["legacy httpx"] = over("httpx")


@pytest.mark.parametrize("name", TRANSPORTS)
def test_transport_is_captured(world: World, name: str) -> None:
    captured, seen = twice(TRANSPORTS[name], world)
    assert seen.error is None, seen.error
    assert captured.statuses == ["ok", "ok"]


if hasattr(openai, "DefaultAioHttpClient") and found("aiohttp", "httpx_aiohttp"):

    def test_aiohttp_is_captured(model_api: World) -> None:
        async def snippet(world: World) -> Any:
            return await asked(world.client(http_client=openai.DefaultAioHttpClient()))

        captured, seen = twice(snippet, World(model_api.server, model_api.relay, is_async=True))
        assert seen.error is None, seen.error
        assert captured.statuses == ["ok", "ok"]


if found("h2", "hypercorn"):

    @pytest.fixture(scope="session")
    def over_http2() -> Iterator[tuple[str, ssl.SSLContext]]:
        """The scripted model API behind a server that speaks HTTP/2 alone."""
        with http2.serving() as served:
            yield served

    def test_http2_is_captured(over_http2: tuple[str, ssl.SSLContext], world: World) -> None:
        url, trusted = over_http2
        module = importlib.import_module("httpx2" if MAJOR >= 3 else "httpx")

        async def snippet(world: World) -> Any:
            kind = module.AsyncClient if world.is_async else module.Client
            versions: list[str] = []
            made = kind(http2=True, verify=trusted)
            answers = await asked(world.client(http_client=made, base_url=f"{url}/v1"))
            raw = world.opened[-1].chat.completions.with_raw_response
            versions.append((await it(raw.create(model="m", messages=MESSAGES))).http_response.http_version)
            return answers, versions

        captured, seen = twice(snippet, world)
        assert seen.error is None, seen.error
        assert "HTTP/2" in str(seen.result)
        assert captured.statuses == ["ok"] * 3


BACKENDS = ["asyncio", "trio"] if MAJOR >= 2 else ["asyncio"]  # the oldest openai does not know trio


@pytest.mark.parametrize("backend", BACKENDS)
def test_anyio_s_backends_are_captured(model_api: World, backend: str) -> None:
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
    return await asked(world.client("AzureOpenAI", azure_deployment="d"))


async def subclass(world: World) -> Any:
    base = openai.AsyncOpenAI if world.is_async else openai.OpenAI
    kind = type("Mine", (base,), {"__doc__": "a client of the program's own"})
    return await asked(world.own(kind, base_url=world.base_url))


KINDS: list[Snippet] = [azure, subclass]
if found("openai.providers"):

    async def provider(world: World) -> Any:
        """A client that openai makes for another vendor's endpoint."""
        from openai import providers  # noqa: PLC0415  only where there are any

        chosen = providers.bedrock(base_url=world.base_url, api_key="k")
        kind = openai.AsyncOpenAI if world.is_async else openai.OpenAI
        made = kind(provider=chosen, max_retries=0)
        world.opened.append(made)
        return await asked(made)

    KINDS.append(provider)


@pytest.mark.parametrize("snippet", KINDS)
def test_kind_of_client_is_captured(world: World, snippet: Snippet) -> None:
    captured, seen = twice(snippet, world)
    assert seen.error is None, seen.error
    assert captured.statuses == ["ok", "ok"]


# Made before instrument()


def test_what_was_made_before_is_captured() -> None:
    made = client(completed)
    bound, raw = made.chat.completions.create, made.chat.completions.with_raw_response
    streaming = made.chat.completions.with_streaming_response
    asked: dict[str, Any] = {"model": "m", "messages": MESSAGES}
    with capturing() as captured:
        bound(**asked)
        partial(bound, model="m")(messages=MESSAGES)
        raw.create(**asked).parse()
        with streaming.create(**asked) as response:
            response.json()
        made.with_options(timeout=1).chat.completions.create(**asked)
    assert captured.statuses == ["ok"] * 5
    assert [event["response"] for event in captured] == [COMPLETION] * 5


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
