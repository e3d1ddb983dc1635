from __future__ import annotations

import asyncio
import gc
import inspect
from typing import TYPE_CHECKING, Any

import openai
import pytest
from support.models import MESSAGES, async_client, client

import ainsights
from ainsights import ConfigurationError
from ainsights._context.scope import current

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

    from support.models import Captured


TRIO = [] if openai.__version__.startswith("1.5") else ["trio"]  # openai 1.5x itself needs asyncio


@pytest.fixture(params=["asyncio", *TRIO])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(autouse=True)
def _context_ends_with_the_test() -> Iterator[None]:
    yield
    assert current.get() is None


def call() -> Any:
    return client().chat.completions.create(model="m", messages=MESSAGES)


async def acall() -> Any:
    return await async_client().chat.completions.create(model="m", messages=MESSAGES)


def users(captured: Captured) -> list[str | None]:
    return [body["user_id"] for body in captured]


def mine(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body["meta"].items() if not key.startswith("ainsights.")}


# Functions


def test_function_runs_in_the_block(captured: Captured) -> None:
    @ainsights.context(user_id="ann")
    def work(a: int, *, b: int = 2) -> int:
        """Work."""
        call()
        return a + b

    assert work(1, b=3) == 4
    call()
    assert users(captured) == ["ann", None]
    assert (work.__name__, work.__doc__, str(inspect.signature(work))) == (
        "work", "Work.", "(a: 'int', *, b: 'int' = 2) -> 'int'",
    )  # fmt: skip


@pytest.mark.anyio
async def test_coroutine_function_runs_in_the_block(captured: Captured) -> None:
    @ainsights.context(user_id="ann")
    async def work() -> int:
        await acall()
        return 1

    assert inspect.iscoroutinefunction(work)
    assert await work() == 1
    await acall()
    assert users(captured) == ["ann", None]


def test_methods_of_every_kind_run_in_the_block(captured: Captured) -> None:
    block = ainsights.context(user_id="ann")

    class Worker:
        @block
        def plain(self) -> Worker:
            call()
            return self

        @block
        @staticmethod
        def static() -> None:
            call()

        @block
        @classmethod
        def of_class(cls) -> type[Worker]:
            call()
            return cls

    worker = Worker()
    worker.static()
    assert worker.plain() is worker
    assert worker.of_class() is Worker
    assert users(captured) == ["ann"] * 3


def test_recursion_within_a_decorated_function_ends_where_it_began(captured: Captured) -> None:
    @ainsights.context(user_id="ann")
    def work(depth: int) -> None:
        if depth:
            work(depth - 1)
        call()

    work(2)
    call()
    assert users(captured) == ["ann"] * 3 + [None]


@pytest.mark.parametrize("what", [7, int])
def test_only_functions_are_decorated(what: Any) -> None:
    with pytest.raises(ConfigurationError, match="decorates functions"):
        ainsights.context(user_id="ann")(what)


# Generators


def test_body_of_a_generator_runs_in_the_block_and_its_consumer_does_not(captured: Captured) -> None:
    @ainsights.context(user_id="ann")
    def work() -> Iterator[int]:
        for number in range(2):
            call()
            yield number

    assert inspect.isgeneratorfunction(work)
    for _ in work():
        call()
    assert users(captured) == ["ann", None] * 2


@pytest.mark.anyio
async def test_body_of_an_async_generator_runs_in_the_block_and_its_consumer_does_not(captured: Captured) -> None:
    @ainsights.context(user_id="ann")
    async def work() -> AsyncIterator[int]:
        for number in range(2):
            await acall()
            yield number

    assert inspect.isasyncgenfunction(work)
    async for _ in work():
        await acall()
    assert users(captured) == ["ann", None] * 2


def test_block_in_the_body_of_a_decorated_generator_does_not_leak(captured: Captured) -> None:
    @ainsights.context(user_id="ann")
    def work() -> Iterator[None]:
        with ainsights.context(user_id="bob"):
            yield
            call()
        call()
        yield

    for _ in work():
        call()
    assert users(captured) == [None, "bob", "ann", None]


def test_generator_inherits_from_where_each_step_is_taken(captured: Captured) -> None:
    @ainsights.context(meta={"b": 1})
    def work() -> Iterator[None]:
        with ainsights.context(meta={"c": 1}):
            while True:
                call()
                yield

    steps = work()
    for name in ("ann", "bob"):
        with ainsights.context(user_id=name, meta={"b": 0}):
            next(steps)
    next(steps)
    steps.close()
    assert users(captured) == ["ann", "bob", None]
    assert [mine(body) for body in captured] == [{"b": 1, "c": 1}] * 3


def test_decorated_generator_is_sent_to_thrown_into_and_returns() -> None:
    @ainsights.context(user_id="ann")
    def work() -> Generator[Any, Any, str]:
        got = yield "first"
        try:
            yield got
        except KeyError as error:
            yield error
        return "end"

    def delegating() -> Generator[Any, Any, str]:
        return (yield from work())

    steps, error = delegating(), KeyError("mine")
    assert (next(steps), steps.send("sent"), steps.throw(error)) == ("first", "sent", error)
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == "end"


@pytest.mark.anyio
async def test_decorated_async_generator_is_sent_to_and_thrown_into() -> None:
    @ainsights.context(user_id="ann")
    async def work() -> Any:
        got = yield "first"
        try:
            yield got
        except KeyError as error:
            yield error

    steps, error = work(), KeyError("mine")
    assert await steps.__anext__() == "first"
    assert await steps.asend("sent") == "sent"
    assert await steps.athrow(error) is error
    with pytest.raises(StopAsyncIteration):
        await steps.__anext__()


def test_closed_generator_cleans_up_in_the_block(captured: Captured) -> None:
    @ainsights.context(user_id="ann")
    def work() -> Iterator[None]:
        try:
            yield
        finally:
            call()

    steps = work()
    next(steps)
    steps.close()
    call()
    assert users(captured) == ["ann", None]


def test_exception_that_a_generator_lets_through_holds_no_cycle() -> None:
    @ainsights.context(user_id="ann")
    def work() -> Iterator[None]:
        yield

    class Marked(Exception):  # noqa: N818
        pass

    gc.collect()
    gc.disable()
    try:
        steps = work()
        next(steps)
        with pytest.raises(Marked):
            steps.throw(Marked())
        del steps
        assert not [each for each in gc.get_objects() if type(each) is Marked]
    finally:
        gc.enable()


def _as_it_is(function: Any) -> Any:
    return function


@pytest.mark.parametrize("decorate", [_as_it_is, ainsights.context(meta={"a": 1})])
def test_async_generator_that_another_task_finalises_ends_without_an_error(captured: Captured, decorate: Any) -> None:
    ended = asyncio.Event()

    @decorate
    async def work() -> AsyncIterator[None]:
        with ainsights.context(user_id="bob"):
            try:
                yield
            finally:
                await acall()
                ended.set()

    async def main() -> None:
        problems: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, problem: problems.append(problem))
        with ainsights.context(user_id="ann"):
            async for _ in work():
                break
            gc.collect()
            await ended.wait()
        assert not problems
        await acall()

    asyncio.run(main())
    assert users(captured)[1] is None
    if decorate is not _as_it_is:
        assert (users(captured)[0], mine(captured[0])) == ("bob", {"a": 1})
