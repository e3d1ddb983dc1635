from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING, Any, cast

import pytest
from support.models import DONE, EVENTS, MESSAGES, async_client, client, event, streaming

import ainsights
import ainsights.testing
from ainsights import ConfigurationError, Insights, Template
from ainsights._context.scope import current
from ainsights._instrumentation.routes import CHAT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.models import Captured

    from ainsights import Insight


@pytest.fixture(autouse=True)
def _context_ends_with_the_test() -> Iterator[None]:
    yield
    assert current.get() is None


def call(**more: Any) -> Any:
    return client().chat.completions.create(model="m", messages=MESSAGES, **more)


async def acall(**more: Any) -> Any:
    return await async_client().chat.completions.create(model="m", messages=MESSAGES, **more)


def users(captured: Captured) -> list[str | None]:
    return [body["user_id"] for body in captured]


def mine(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body["meta"].items() if not key.startswith("ainsights.")}


# What a block sets, and what it accepts


def test_event_has_what_the_block_sets(captured: Captured) -> None:
    with ainsights.context(user_id="ann", meta={"a": 1}, template="Hi {n}", inputs={"n": "Ann"}):
        call()
    call()
    inside, outside = captured
    assert (inside["user_id"], mine(inside)) == ("ann", {"a": 1})
    assert (inside["template"], inside["inputs"], inside["messages"]) == ("Hi {n}", {"n": "Ann"}, MESSAGES)
    assert (outside["user_id"], mine(outside), outside["template"], outside["inputs"]) == (None, {}, None, {})


def test_event_has_the_values_of_the_moment_when_the_block_was_made(captured: Captured) -> None:
    meta, inputs, template = {"tags": ["a"]}, {"n": ["b"]}, [{"role": "user", "content": "c"}]
    block = ainsights.context(meta=meta, inputs=inputs, template=template)
    meta["tags"].append("later")
    inputs["n"].append("later")
    template[0]["content"] = "later"
    with block:
        call()
    body = captured[0]
    assert (mine(body), body["inputs"]) == ({"tags": ["a"]}, {"n": ["b"]})
    assert body["template"] == [{"role": "user", "content": "c"}]


def test_event_that_before_send_changes_changes_no_other() -> None:
    seen: list[Any] = []

    def clear(insight: Insight) -> Insight:
        seen.append((list(insight.meta["tags"]), list(insight.inputs["n"]), len(insight.template or ())))
        insight.meta["tags"].clear()
        insight.inputs["n"].clear()
        cast("list[Any]", insight.template).clear()
        return insight

    template = [{"role": "user", "content": "{n}"}]
    with (
        ainsights.testing.capture(before_send=clear),
        ainsights.context(meta={"tags": ["a"]}, inputs={"n": ["b"]}, template=template),
    ):
        call()
        call()
    assert seen == [(["a"], ["b"], 1)] * 2


def test_values_that_are_no_json_become_texts(captured: Captured) -> None:
    class Silent:
        def __str__(self) -> str:
            raise RuntimeError

    with ainsights.context(meta={"day": date(2025, 1, 2), "bytes": b"\xff", "odd": "\ud800", "silent": Silent()}):
        call()
    assert mine(captured[0]) == {"day": "2025-01-02", "bytes": "b'\\xff'", "odd": "\ud800", "silent": "<Silent>"}


@pytest.mark.parametrize(
    ("given", "recorded"), [("ann", "ann"), (7, "7"), (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001")]
)
def test_user_is_recorded_as_text(captured: Captured, given: Any, recorded: str) -> None:
    with ainsights.context(user_id=given):
        call()
    assert users(captured) == [recorded]


@pytest.mark.parametrize("texts", [["a", "b"], ("a", "b")])
def test_template_may_be_texts(captured: Captured, texts: Any) -> None:
    with ainsights.context(template=texts):
        call()
    assert captured[0]["template"] == ["a", "b"]


ITSELF: dict[str, Any] = {}
ITSELF["self"] = ITSELF
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("argument", "value", "problem"),
    [
        ("user_id", object(), "is a object. It takes a text, a whole number or a UUID"),
        ("user_id", True, "is a bool"),
        ("meta", [("a", 1)], "is a list. It takes a mapping"),
        ("meta", {1: "a"}, "is a mapping with the key 1"),
        ("meta", {"a": ITSELF}, "is no JSON. It takes JSON values (Circular reference detected"),
        ("meta", {"a": DEEP, "b": "\ud800"}, "is no JSON"),
        ("inputs", "a=b", "is a str. It takes a mapping"),
        ("template", 7, "is a int. It takes a Template, a text, or a list"),
        ("template", [], "is a list"),
        ("template", ["a", {"role": "user"}], "is a list"),
        ("capture", "no", "is 'no'. It takes True or False"),
        ("capture", 0, "is 0"),
        ("content", "some", "is 'some'. It takes 'full' or 'metadata' or 'none'"),
        ("content", ["full"], "is ['full']"),
    ],
)
def test_wrong_argument_is_named(argument: str, value: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ainsights.context(**{argument: value})
    assert str(caught.value).startswith(f"{argument}=... is ")
    assert problem in str(caught.value)


# Precedence


ORDER = ["context", "safety_identifier", "user", "requesty"]
IN_THE_REQUEST = {"safety_identifier": "safety_identifier", "user": "user", "requesty": {"user_id": "requesty"}}


@pytest.mark.parametrize("present", [ORDER[first:] for first in range(4)])
def test_user_of_the_event_is_the_most_explicit_one(captured: Captured, present: list[str]) -> None:
    with ainsights.context(user_id="context" if "context" in present else None):
        call(extra_body={name: value for name, value in IN_THE_REQUEST.items() if name in present})
    assert users(captured) == [present[0]]


def test_metadata_of_the_event_is_merged_and_the_context_wins(captured: Captured) -> None:
    router = {"tags": ["router"], "trace_id": "router", "extra": {"a": "router", "b": "router", "trace_id": "extra"}}
    with ainsights.context(meta={"a": "context", "d": "context"}):
        call(extra_body={"requesty": router}, metadata={"a": "request", "b": "request", "c": "request"})
    assert mine(captured[0]) == {
        "a": "context", "b": "request", "c": "request", "d": "context", "tags": ["router"], "trace_id": "extra",
    }  # fmt: skip


def test_key_of_ours_that_the_user_sets_is_the_users(captured: Captured) -> None:
    with ainsights.context(meta={"ainsights.status": "mine"}):
        call()
    assert captured[0]["meta"]["ainsights.status"] == "mine"


# Nesting


def test_inner_block_wins_and_inherits_what_it_does_not_set(captured: Captured) -> None:
    with ainsights.context(user_id="ann", meta={"a": 1, "b": 1}):
        with ainsights.context(meta={"b": 2, "c": 2}):
            call()
        with ainsights.context(user_id="bob"):
            call()
        call()
    assert users(captured) == ["ann", "bob", "ann"]
    assert [mine(body) for body in captured] == [{"a": 1, "b": 2, "c": 2}, {"a": 1, "b": 1}, {"a": 1, "b": 1}]


def test_inputs_of_nested_blocks_merge(captured: Captured) -> None:
    with ainsights.context(template="{a} {b}", inputs={"a": 1, "b": 1}), ainsights.context(inputs={"b": 2}):
        call()
    assert (captured[0]["template"], captured[0]["inputs"]) == ("{a} {b}", {"a": 1, "b": 2})


def test_block_with_its_own_template_has_its_own_inputs(captured: Captured) -> None:
    with ainsights.context(template="{a}", inputs={"a": 1}), ainsights.context(template="{b}"):
        call()
    assert (captured[0]["template"], captured[0]["inputs"]) == ("{b}", {})


def test_nothing_is_captured_where_the_block_excludes_it(captured: Captured) -> None:
    with ainsights.context(capture=False, user_id="ann"):
        call()
        with ainsights.context(meta={"a": 1}, content="full"):
            call()
        with ainsights.context(capture=True, meta={"b": 1}):
            call()
    assert [mine(body) for body in captured] == [{"b": 1}]
    assert users(captured) == ["ann"]


def test_content_none_captures_nothing_until_another_content_is_set() -> None:
    insights = Insights(api_key="key", base_url="http://localhost:9", enabled=True)

    def captures() -> bool:
        return insights.begin(None, CHAT) is not None

    with insights:
        assert captures()
        with ainsights.context(content="none"):
            assert not captures()
            with ainsights.context(capture=True):
                assert not captures()
            with ainsights.context(content="metadata"):
                assert captures()
        assert captures()


def test_exception_ends_the_block_and_passes(captured: Captured) -> None:
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught, ainsights.context(user_id="ann"):
        raise error
    assert caught.value is error
    call()
    assert users(captured) == [None]


def test_one_block_may_be_entered_again_and_within_itself(captured: Captured) -> None:
    block = ainsights.context(user_id="ann")
    for _ in range(2):
        with block:
            with block:
                call()
            call()
        call()
    assert users(captured) == ["ann", "ann", None] * 2


def test_block_holds_no_more_than_the_blocks_that_are_open() -> None:
    def next_task(left: int) -> contextvars.Context:
        with ainsights.context(user_id=str(left)):
            inherited = contextvars.copy_context()
        return inherited.run(next_task, left - 1) if left else inherited

    last = next_task(50).run(current.get)
    length = 0
    while last is not None and last.layer is not None:
        length, last = length + 1, last.layer.outer
    assert length <= 2


# Tasks and threads


def test_tasks_inherit_the_block_and_keep_their_own(captured: Captured) -> None:
    async def main() -> None:
        ready = asyncio.Event()

        async def task(name: str) -> None:
            with ainsights.context(meta={"task": name}):
                await ready.wait()
                await acall()

        with ainsights.context(user_id="ann"):
            tasks = [asyncio.create_task(task(name)) for name in "ab"]
        await acall()
        ready.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert users(captured) == [None, "ann", "ann"]
    assert sorted(mine(body)["task"] for body in captured[1:]) == ["a", "b"]


def test_thread_of_to_thread_inherits_the_block(captured: Captured) -> None:
    async def main() -> None:
        with ainsights.context(user_id="ann"):
            await asyncio.to_thread(call)

    asyncio.run(main())
    assert users(captured) == ["ann"]


def test_one_block_in_many_threads_ends_in_each(captured: Captured) -> None:
    block, barrier = ainsights.context(user_id="ann"), threading.Barrier(4)

    def work(number: int) -> None:
        with block, ainsights.context(meta={"n": number}):
            barrier.wait(20)
            call()
            barrier.wait(20)
        call()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert sorted((body["user_id"] or "", mine(body).get("n")) for body in captured if body["user_id"]) == [
        ("ann", number) for number in range(4)
    ]
    assert users(captured).count(None) == 4


# Streams


def test_stream_has_the_context_of_the_call(captured: Captured) -> None:
    openai_client = client(streaming(*EVENTS))
    with ainsights.context(user_id="ann"):
        stream = openai_client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    with ainsights.context(user_id="bob"):
        list(stream)
    assert users(captured) == ["ann"]
    assert captured.contents == ["abc"]


def test_abandoned_stream_has_the_context_of_the_call(captured: Captured) -> None:
    openai_client = client(streaming(event(content="a"), event(content="b"), DONE))
    with ainsights.context(user_id="ann"):
        stream = openai_client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    next(stream)
    del stream
    with ainsights.context(user_id="bob"):
        gc.collect()
    assert (users(captured), captured.statuses) == (["ann"], ["abandoned"])


def test_async_stream_has_the_context_of_the_call(captured: Captured) -> None:
    async def main() -> None:
        openai_client = async_client(streaming(*EVENTS))
        with ainsights.context(user_id="ann"):
            stream = await openai_client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        with ainsights.context(user_id="bob"):
            async for _ in stream:
                pass

    asyncio.run(main())
    assert users(captured) == ["ann"]


# Odd ends


def test_block_left_in_another_context_changes_nothing_there(captured: Captured) -> None:
    block = ainsights.context(user_id="ann")
    contextvars.Context().run(block.__enter__)
    with ainsights.context(user_id="bob"):
        block.__exit__(None, None, None)
        call()
    assert users(captured) == ["bob"]


def test_block_that_a_task_inherited_holds_there_when_it_is_left_once_more(captured: Captured) -> None:
    block = ainsights.context(user_id="ann")
    with block:
        inherited = contextvars.copy_context()
    inherited.run(block.__exit__, None, None, None)
    inherited.run(call)
    assert users(captured) == ["ann"]


def test_blocks_left_in_the_wrong_order_leave_nothing_behind(captured: Captured) -> None:
    first, second = ainsights.context(user_id="ann"), ainsights.context(meta={"a": 1})
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    call()
    assert (users(captured), mine(captured[0])) == ([None], {})


def test_block_takes_what_a_partial_template_was_given(captured: Captured) -> None:
    with ainsights.context(template=Template("{a} {b}").partial(a=1), inputs={"b": 2}):
        call()
    assert (captured[0]["template"], captured[0]["inputs"]) == ("{a} {b}", {"a": 1, "b": 2})
