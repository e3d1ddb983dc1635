"""However a stream ends, its event records how and with what, and the program sees nothing of it."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import openai
import pytest
from openai.types.chat import ChatCompletion
from support.comparison import World, collect, enter, iterate, maybe_await, next_item, run_with_and_without

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Snippet = Callable[[World], Awaitable[Any]]

TEXT = "one two three four five six"
HAS_TRIO = tuple(map(int, openai.__version__.split(".")[:2])) >= (1, 109)
ENDS: dict[str, tuple[Snippet, str, int]] = {}
SYNC_ONLY: dict[str, tuple[Snippet, str, int]] = {}
ASYNC_ONLY: dict[str, tuple[Snippet, str, int]] = {}


def ends(status: str, *, after: int, among: dict[str, tuple[Snippet, str, int]] = ENDS) -> Callable[[Snippet], Snippet]:
    """Note a snippet, the status that its event has, and the chunks that it got; -1: all."""

    def note(snippet: Snippet) -> Snippet:
        among[snippet.__name__] = (snippet, status, after)
        return snippet

    return note


HEAD = {"chat": 1, "responses": 4}
"""Of each API: the events of a stream before the first that has text."""


def opened(world: World, *directives: str, **after: int) -> Any:
    """Return a stream that does what ``directives`` order, or what ``after`` does after so many pieces of its text."""
    text = TEXT.replace(" ", "%20")
    counted = [f"{name}={HEAD[world.api] + count}" for name, count in after.items()]
    return world.create(",".join([f"mock:text={text}", "chunks=6", *directives, *counted]), stream=True)


def has_text(chunk: Any) -> bool:
    if hasattr(chunk, "choices"):
        return bool(chunk.choices and chunk.choices[0].delta.content)
    return bool(chunk.type == "response.output_text.delta")


async def some(stream: Any, count: int) -> list[Any]:
    """Return the first chunks of a stream, up to ``count`` that have text."""
    received: list[Any] = []
    while len(received) < count:
        chunk = await next_item(stream)
        if has_text(chunk):
            received.append(chunk)
    return received


async def rest(stream: Any) -> Any:
    try:
        return [chunk async for chunk in iterate(stream)]
    except Exception as error:  # noqa: BLE001  what the user sees of it
        return type(error), str(error), type(error.__cause__)


@ends("ok", after=-1)
async def read_to_the_end(world: World) -> Any:
    return await collect(opened(world))


@ends("closed_early", after=2)
async def broken_off_and_closed(world: World) -> Any:
    stream = await maybe_await(opened(world))
    received = await some(stream, 2)
    await maybe_await(stream.close())
    return received, stream.response.is_closed


@ends("abandoned", after=2)
async def broken_off_and_collected(world: World) -> Any:
    stream = await maybe_await(opened(world))
    received = await some(stream, 2)
    response = weakref.ref(stream.response)
    del stream
    await gone(response)
    return received


async def gone(reference: weakref.ref[Any]) -> None:
    """Wait until a response is collected; an async one once the loop has closed the generators that hold it."""
    while reference() is not None:
        gc.collect()
        await asyncio.sleep(0)


@ends("closed_early", after=1)
async def with_left_early(world: World) -> Any:
    async with enter(await maybe_await(opened(world))) as stream:
        received = await some(stream, 1)
    return received, stream.response.is_closed


@ends("unread", after=0)
async def never_iterated(world: World) -> Any:
    stream = await maybe_await(opened(world))
    await maybe_await(stream.close())
    return stream.response.is_stream_consumed


@ends("unread", after=0)
async def never_iterated_and_collected(world: World) -> Any:
    response = weakref.ref((await maybe_await(opened(world))).response)
    await gone(response)


@ends("abandoned", after=3)
async def exception_in_the_loop_without_with(world: World) -> Any:
    seen: list[weakref.ref[Any]] = []

    async def loop() -> None:
        stream = await maybe_await(opened(world))
        seen.append(weakref.ref(stream.response))
        await some(stream, 3)
        raise LookupError("the user's own")

    try:
        await loop()
    except LookupError as error:
        message = str(error)
    await gone(seen[0])
    return message


@ends("closed_early", after=3)
async def exception_in_the_loop(world: World) -> Any:
    async with enter(await maybe_await(opened(world))) as stream:
        await some(stream, 3)
        raise LookupError("the user's own")


@ends("error", after=2)
async def connection_aborted(world: World) -> Any:
    stream = await maybe_await(opened(world, abort=2))
    return await rest(stream)


@ends("error", after=3)
async def error_event(world: World) -> Any:
    stream = await maybe_await(opened(world, "sse-error"))
    return await rest(stream)


@ends("ok", after=-1, among=SYNC_ONLY)
async def iterated_in_another_thread(world: World) -> Any:
    stream, received = await maybe_await(opened(world)), []
    thread = threading.Thread(target=lambda: received.extend(stream))
    thread.start()
    thread.join()
    return received


@ends("ok", after=-1, among=ASYNC_ONLY)
async def one_task_for_each_step(world: World) -> Any:
    stream, received = await opened(world), []
    try:
        while True:
            received.append(await asyncio.create_task(stream.__anext__()))
    except StopAsyncIteration:
        return received


@ends("cancelled", after=2, among=ASYNC_ONLY)
async def cancelled_task(world: World) -> Any:
    stream, received = await opened(world, hang=2), asyncio.Event()

    async def read() -> None:
        await some(stream, 2)
        received.set()
        await rest_of(stream)

    task = asyncio.create_task(read())
    await received.wait()
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    await stream.close()
    return type(outcome)


@ends("cancelled", after=0, among=ASYNC_ONLY)
async def cancelled_before_the_answer(world: World) -> Any:
    sent = world.relay.sent
    before = len(sent)
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(collect, opened(world, "hang"))
            while len(sent) == before or b"hang" not in sent[-1]:
                await anyio.lowlevel.checkpoint()
            scope.cancel()
    return scope.cancelled_caught


@ends("cancelled", after=2, among=ASYNC_ONLY)
async def cancelled_scope(world: World) -> Any:
    stream = await opened(world, hang=2)
    with anyio.CancelScope() as scope:
        await some(stream, 2)
        scope.cancel()
        await rest_of(stream)
    with anyio.CancelScope(shield=True):
        await stream.close()
    return scope.cancelled_caught


async def rest_of(stream: Any) -> None:
    async for _ in stream:
        pass


@ends("abandoned", after=1, among=ASYNC_ONLY)
async def loop_closed_with_the_stream_open(world: World) -> Any:
    kept: list[Any] = []

    async def main() -> None:
        own = World(world.server, world.relay, is_async=True, api=world.api)
        stream = await opened(own)
        await some(stream, 1)
        kept.extend([own, stream])

    def run() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_default_executor())  # else its thread is left over by chance
        loop.close()  # asyncio.run() would close the generators first, in an order of chance

    await asyncio.to_thread(run)
    kept.clear()
    gc.collect()


CASES = [
    *(pytest.param(False, *case, id=f"sync-{name}") for name, case in (ENDS | SYNC_ONLY).items()),
    *(pytest.param(True, *case, id=f"async-{name}") for name, case in (ENDS | ASYNC_ONLY).items()),
]


@pytest.mark.parametrize(("is_async", "snippet", "status", "after"), CASES)
def test_end_is_recorded_with_what_had_arrived(  # noqa: PLR0913, PLR0917  the parameters of the test
    model_api: World,
    api: str,
    is_async: bool,  # noqa: FBT001  a parameter of the test
    snippet: Snippet,
    status: str,
    after: int,
) -> None:
    captured, _ = run_with_and_without(snippet, World(model_api.server, model_api.relay, is_async=is_async, api=api))
    assert captured.statuses == [status]
    assert captured[0]["meta"]["ainsights.api"] == api
    check_content(captured[0], after)


def check_content(event: dict[str, Any], after: int) -> None:
    choices = event["response"]["choices"]
    content = (choices[0]["message"]["content"] or "") if choices else ""
    assert TEXT.startswith(content)
    assert (content == TEXT) == (after < 0)
    assert len(content.split()) >= after
    assert ("ainsights.ttft_ms" in event["meta"]) == bool(after)
    ChatCompletion.model_validate(event["response"])


TRIO = [with_left_early, broken_off_and_closed, cancelled_before_the_answer, cancelled_scope]

if HAS_TRIO:

    @pytest.mark.parametrize("snippet", TRIO)
    def test_trio_gives_the_same_as_asyncio(model_api: World, api: str, snippet: Snippet) -> None:
        world = World(model_api.server, model_api.relay, is_async=True, api=api)
        captured, _ = run_with_and_without(snippet, world, partial(anyio.run, backend="trio"))
        _, status, after = (ENDS | ASYNC_ONLY)[snippet.__name__]
        assert captured.statuses == [status]
        check_content(captured[0], after)
