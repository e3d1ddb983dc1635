"""Whatever is sent and comes back: the event has it as it was on the wire, and the program the same as ever."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import TYPE_CHECKING, Any

import openai
import pytest
from models import COMPLETION, MESSAGES, capturing, client, completed
from openai.types.chat import ChatCompletionMessage
from twice import World, all_of, it, twice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from ainsights import _exchange

    Snippet = Callable[[World], Awaitable[Any]]


def said(text: Any) -> list[Any]:
    return [{"role": "user", "content": text}]


def generated() -> Iterator[Any]:
    """Messages that can be had once."""
    yield from said("from a generator")


def circular() -> list[Any]:
    messages = said("round")
    messages[0]["content"] = messages
    return messages


# What is sent: a messages argument, and what the event says of it; None: openai refuses it, and there is no event

SENT: dict[str, tuple[Callable[[], Any], Any]] = {
    "unicode": (lambda: said("naïve 你好 🙂 \u2028 \x00"), said("naïve 你好 🙂 \u2028 \x00")),
    "generator": (generated, said("from a generator")),
    "tuple": (lambda: tuple(said("from a tuple")), said("from a tuple")),
    "a model": (
        lambda: [ChatCompletionMessage(role="assistant", content="from a model")],
        [{"role": "assistant", "content": "from a model"}],
    ),
    "a date": (lambda: said(dt.date(2026, 1, 2)), ...),
    "parts": (lambda: said([{"type": "text", "text": "a"}]), said([{"type": "text", "text": "a"}])),
    "lone surrogate": (lambda: said("\ud800"), ...),
    "bytes": (lambda: said(b"bytes"), ...),
    "not a number": (lambda: said(math.nan), ...),
    "circular": (circular, ...),
    "an object": (lambda: said(object()), ...),
}


@pytest.mark.parametrize("name", SENT)
def test_messages_are_told_as_they_were_sent(world: World, name: str) -> None:
    make, told = SENT[name]

    async def snippet(world: World) -> Any:
        return await it(world.client().chat.completions.create(model="m", messages=make()))

    captured, seen = twice(snippet, world)
    body = json.loads(seen.sent[0].split(b"\r\n\r\n")[-1]) if seen.sent else None
    if told is ... and body is None:  # refused by openai, differently by its versions
        assert seen.error is not None
        assert captured == []
        return
    assert captured.statuses == ["ok"]
    assert captured[0]["messages"] == (body["messages"] if told is ... else told)


async def overridden(world: World) -> Any:
    return await it(world.create("one", extra_body={"model": "another", "odd": {"a": [1, None]}}))


def test_body_that_overrides_the_arguments_is_what_is_told(world: World) -> None:
    captured, _ = twice(overridden, world)
    assert captured[0]["args"] == {"model": "another", "odd": {"a": [1, None]}}


async def changed_afterwards(world: World) -> Any:
    messages = said("before")
    stream = await it(world.client().chat.completions.create(model="m", messages=messages, stream=True))
    messages[0]["content"] = "after"
    messages.append({"role": "user", "content": "more"})
    return await all_of(stream)


async def answer_changed(world: World) -> Any:
    completion = await it(world.create("scripted:text=said"))
    completion.choices[0].message.content = "changed"
    completion.choices.clear()
    return completion


def test_what_the_program_changes_afterwards_is_not_told(world: World) -> None:
    captured, _ = twice(changed_afterwards, world)
    assert captured[0]["messages"] == said("before")
    captured, _ = twice(answer_changed, world)
    assert captured.contents == ["said"]


# What comes back

DEVIATIONS = {
    "comments": "ok",
    "crlf": "ok",
    "split": "ok",
    "merge": "ok",
    "nodone": "ok",
    "event-names": "ok",
    "emptychoices": "ok",
    "emptyfirst": "ok",
    "gzip,split": "ok",
    "deflate": "ok",
    "tools,noindex": "ok",
    "sse-error": "error",
    "nulldelta": None,  # on these, versions of openai fail, or not, and close the stream, or not
    "nodelta": None,
    "badjson": None,
}


@pytest.mark.parametrize("directives", DEVIATIONS)
def test_deviation_of_a_stream_is_borne(world: World, directives: str) -> None:
    async def snippet(world: World) -> Any:
        return await all_of(world.create(f"scripted:{directives}", stream=True))

    captured, seen = twice(snippet, world)
    cut = {"closed_early", "abandoned", "error"}
    expected = {DEVIATIONS[directives]} if DEVIATIONS[directives] else {"ok"} if seen.error is None else cut
    assert set(captured.statuses) <= expected
    assert len(captured) == 1
    assert captured[0]["response"]["choices"]


@pytest.mark.parametrize(("directives", "status"), [("gzip", "ok"), ("deflate", "ok"), ("badgzip", "error")])
def test_compressed_answer_is_told_in_the_clear(world: World, directives: str, status: str) -> None:
    async def snippet(world: World) -> Any:
        return await it(world.create(f"scripted:{directives},text=plain"))

    captured, _ = twice(snippet, world)
    assert captured.statuses == [status]
    assert (captured.contents == ["plain"]) == (status == "ok")


async def vendor(world: World) -> Any:
    return await it(world.create("scripted:vendor,reasoning"))


async def vendor_streamed(world: World) -> Any:
    return await all_of(world.create("scripted:vendor,reasoning", stream=True))


@pytest.mark.parametrize("snippet", [vendor, vendor_streamed])
def test_fields_of_other_vendors_survive(world: World, snippet: Snippet) -> None:
    captured, _ = twice(snippet, world)
    response = captured[0]["response"]
    assert {"citations", "provider"} <= set(response)
    assert response["choices"][0]["message"]["reasoning_content"]


# What must not cost


def test_large_image_is_not_copied_on_the_callers_thread() -> None:
    noted: list[_exchange.Exchange] = []
    sent: list[Any] = []

    def answer(request: Any) -> Any:
        sent.append(request)
        return completed(request)

    image = "data:image/png;base64," + "A" * 20_000_000
    with capturing() as captured:
        captured._take = noted.append  # type: ignore[method-assign, assignment]
        client(answer).chat.completions.create(
            model="m", messages=said([{"type": "image_url", "image_url": {"url": image}}])
        )
    (exchange,) = noted
    assert exchange.request_body is sent[0].content
    assert len(exchange.request_body) > 20_000_000


def test_response_is_not_copied_on_the_callers_thread() -> None:
    noted: list[_exchange.Exchange] = []
    with capturing() as captured:
        captured._take = noted.append  # type: ignore[method-assign, assignment]
        raw = client().chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert noted[0].body is raw.http_response.content
    assert json.loads(noted[0].body or b"") == COMPLETION
    assert isinstance(raw.parse(), openai.types.chat.ChatCompletion)
