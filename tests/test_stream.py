from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio
import openai
import pytest
from support.models import DONE, EVENTS, MESSAGES, Body, async_client, capturing, client, event, http, streaming

from ainsights._instrumentation import patch

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.models import Captured

BASE_CLIENT_CLOSES = "finally" in inspect.getsource(openai.Stream.__stream__)
PARTS = [*EVENTS[:3], event(content="d"), DONE]


def create(answer: Callable[[Any], Any]) -> Any:
    return client(answer).chat.completions.create(model="m", messages=MESSAGES, stream=True)


async def acreate(answer: Callable[[Any], Any]) -> Any:
    return await async_client(answer).chat.completions.create(model="m", messages=MESSAGES, stream=True)


def test_stream_read_to_its_end_is_ok(captured: Captured) -> None:
    assert len(list(create(streaming(*EVENTS)))) == 3
    assert (captured.statuses, captured.contents) == (["ok"], ["abc"])
    assert captured[0]["meta"]["ainsights.ttft_ms"] <= captured[0]["meta"]["ainsights.latency_ms"]


def test_stream_without_done_is_ok_at_its_end(captured: Captured) -> None:
    list(create(streaming(*EVENTS[:3])))
    assert captured.statuses == ["ok"]


def test_nothing_is_pulled_that_the_user_does_not_pull(captured: Captured) -> None:
    body = Body(*EVENTS)
    stream = create(lambda _: http.Response(200, stream=body))
    assert body.pulled == 0
    next(stream)
    assert body.pulled == 1
    assert not captured
    stream.close()
    assert body.pulled == 1


def test_stream_that_is_closed_early_records_what_had_arrived(captured: Captured) -> None:
    stream = create(streaming(*PARTS))
    for _ in stream:
        break
    assert captured == []
    stream.close()
    assert (captured.statuses, captured.contents) == (["closed_early"], ["a"])


def test_with_block_left_early_closes_early(captured: Captured) -> None:
    with create(streaming(*PARTS)) as stream:
        next(stream)
        next(stream)
    assert (captured.statuses, captured.contents) == (["closed_early"], ["ab"])


def test_exception_in_the_users_loop_closes_early(captured: Captured) -> None:
    def use() -> None:
        with create(streaming(*PARTS)) as stream:
            for _ in stream:
                raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        use()
    assert captured.statuses == ["closed_early"]


def test_stream_that_is_dropped_is_abandoned(captured: Captured) -> None:
    stream = create(streaming(*PARTS))
    next(stream)
    del stream
    gc.collect()
    assert (captured.statuses, captured.contents) == (["abandoned"], ["a"])


def test_stream_that_is_never_read_is_unread(captured: Captured) -> None:
    create(streaming(*PARTS))
    gc.collect()
    assert captured.statuses == ["unread"]


def test_stream_that_is_closed_without_reading_is_unread(captured: Captured) -> None:
    create(streaming(*PARTS)).close()
    assert captured.statuses == ["unread"]


def test_stream_in_a_reference_cycle_is_reported_by_the_collector(captured: Captured) -> None:
    cycle: list[Any] = [create(streaming(*PARTS))]
    next(cycle[0])
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert captured.statuses == ["abandoned"]


def test_connection_that_breaks_is_an_error_with_what_had_arrived(captured: Captured) -> None:
    stream = create(streaming(*PARTS[:2], http.ReadError("cut")))
    with pytest.raises((openai.APIConnectionError, http.ReadError)):
        list(stream)
    assert (captured.statuses, captured.contents) == (["error"], ["ab"])
    assert captured[0]["response"]["error"]["type"] == "ReadError"
    assert captured[0]["meta"]["ainsights.error_type"] == "ReadError"


def test_error_event_is_an_error(captured: Captured) -> None:
    def use() -> None:
        with pytest.raises(openai.APIError):
            list(create(streaming(PARTS[0], b'data: {"error": {"message": "overloaded", "code": 7}}\n\n')))

    use()
    gc.collect()  # openai 1.x does not close the response when it raises
    assert (captured.statuses, captured.contents) == (["error"], ["a"])
    assert captured[0]["response"]["error"] == {"message": "overloaded", "code": 7}


def test_stream_that_openai_cannot_read_is_an_error(captured: Captured) -> None:
    def use() -> None:
        with pytest.raises(ValueError, match="Expecting"):
            list(create(streaming(PARTS[0], b"data: {broken\n\n", PARTS[1])))

    use()
    gc.collect()
    assert captured.contents == ["a"]
    # openai 1.x does not close the response when it raises
    assert captured.statuses == ["error" if BASE_CLIENT_CLOSES else "abandoned"]


@pytest.mark.parametrize("error", [KeyError("mine"), GeneratorExit(), asyncio.CancelledError()])
def test_exception_that_the_user_handles_around_it_does_not_matter(captured: Captured, error: BaseException) -> None:
    try:
        raise error  # noqa: TRY301  so short a try is the point
    except BaseException:  # noqa: BLE001  that is the point
        list(create(streaming(*EVENTS)))
        stream = create(streaming(*PARTS))
        next(stream)
        stream.close()
    assert captured.statuses == ["ok", "closed_early"]


def test_stream_may_be_read_on_another_thread(captured: Captured) -> None:
    stream = create(streaming(*EVENTS))
    thread = threading.Thread(target=lambda: list(stream))
    thread.start()
    thread.join()
    assert (captured.statuses, captured.contents) == (["ok"], ["abc"])


def test_response_is_closed_as_often_as_without_us(captured: Captured) -> None:
    def closings() -> int:
        body = Body(*EVENTS)
        list(create(lambda _: http.Response(200, stream=body)))
        return body.closed

    ours = closings()
    assert captured.statuses == ["ok"]
    patch.uninstall()
    assert ours == closings()


def test_stream_keeps_its_type(captured: Captured) -> None:
    body = Body(*EVENTS)
    stream = create(lambda _: http.Response(200, stream=body))
    assert isinstance(stream.response.stream, http.SyncByteStream)
    stream.close()
    assert len(captured) == 1


# Async. On trio, openai's own generators complain when they are left to the collector, with us and without.

unfinished = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@unfinished
@pytest.mark.anyio
async def test_async_stream_read_to_its_end_is_ok(captured: Captured) -> None:
    assert len([chunk async for chunk in await acreate(streaming(*EVENTS))]) == 3
    assert (captured.statuses, captured.contents) == (["ok"], ["abc"])


@unfinished
@pytest.mark.anyio
async def test_async_with_block_left_early_closes_early(captured: Captured) -> None:
    async with await acreate(streaming(*PARTS)) as stream:
        async for _ in stream:
            break
    assert (captured.statuses, captured.contents) == (["closed_early"], ["a"])


@unfinished
@pytest.mark.anyio
async def test_async_connection_that_breaks_is_an_error(captured: Captured) -> None:
    stream = await acreate(streaming(PARTS[0], http.ReadError("cut")))
    with pytest.raises((openai.APIConnectionError, http.ReadError)):
        async for _ in stream:
            pass
    assert (captured.statuses, captured.contents) == (["error"], ["a"])


class Forever(Body):
    """Says something, and then nothing more."""

    async def __aiter__(self) -> Any:
        yield PARTS[0]
        await anyio.sleep_forever()


@unfinished
@pytest.mark.anyio
async def test_cancel_scope_is_recorded_at_once(captured: Captured) -> None:
    stream = await acreate(lambda _: http.Response(200, stream=Forever()))
    with anyio.CancelScope() as scope:
        async for _ in stream:
            scope.cancel()
    assert scope.cancelled_caught
    assert (captured.statuses, captured.contents) == (["cancelled"], ["a"])
    await stream.close()


@unfinished
@pytest.mark.anyio
async def test_call_that_is_cancelled_is_cancelled(captured: Captured) -> None:
    async def never(_request: Any) -> Any:
        scope.cancel()
        await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        await acreate(never)
    assert captured.statuses == ["cancelled"]
    assert captured[0]["response"]["choices"] == []


def test_cancelled_task_is_recorded_at_once(captured: Captured) -> None:
    async def main() -> None:
        stream = await acreate(lambda _: http.Response(200, stream=Forever()))
        started = asyncio.Event()

        async def read() -> None:
            async for _ in stream:
                started.set()

        task = asyncio.create_task(read())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert captured.statuses == ["cancelled"]
        await stream.close()

    asyncio.run(main())


def test_one_task_for_each_step_is_as_good_as_one_for_all(captured: Captured) -> None:
    async def main() -> None:
        stream = await acreate(streaming(*EVENTS))
        iterator = stream.__aiter__()
        for _ in range(3):
            await asyncio.create_task(iterator.__anext__())
        with pytest.raises(StopAsyncIteration):
            await asyncio.create_task(iterator.__anext__())

    asyncio.run(main())
    assert (captured.statuses, captured.contents) == (["ok"], ["abc"])


def test_stream_that_its_loop_leaves_behind_is_reported(captured: Captured) -> None:
    async def main() -> Any:
        stream = await acreate(streaming(*PARTS))
        await stream.__anext__()
        return stream

    stream = asyncio.run(main())
    del stream
    gc.collect()
    assert captured.contents == ["a"]
    assert captured.statuses == ["abandoned"]


def test_async_stream_leaves_no_generator_behind_that_was_not_there_without_us() -> None:
    def leftovers(*, instrumented: bool) -> list[str]:
        born: list[str] = []

        async def main() -> None:
            before = sys.get_asyncgen_hooks().firstiter

            def firstiter(generator: Any) -> None:
                born.append(generator.__qualname__)
                if before:
                    before(generator)

            sys.set_asyncgen_hooks(firstiter=firstiter)
            stream = await acreate(streaming(*PARTS))
            await stream.__anext__()
            await stream.close()

        if instrumented:
            with capturing():
                asyncio.run(main())
        else:
            asyncio.run(main())
        return born

    assert leftovers(instrumented=True) == leftovers(instrumented=False)


TRIO = [] if openai.__version__.startswith("1.5") else ["trio"]
"""openai 1.5x itself needs asyncio."""


@pytest.fixture(params=["asyncio", *TRIO])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param
