"""However a call fails, its event records why, and the program's exception is the same down to its causes."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from pydantic import BaseModel
from support.comparison import MESSAGES, World, collect, enter, maybe_await, run_with_and_without
from support.endpoints import free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Snippet = Callable[[World], Awaitable[Any]]

HAS_PARSE = hasattr(openai.resources.chat.completions.Completions, "parse")
NOBODY = free_port()


def recorded_event(world: World, snippet: Snippet) -> dict[str, Any]:
    """Return the one event of ``snippet``; a response without choices validates as a ChatCompletion all the same."""
    captured, _ = run_with_and_without(snippet, world)
    (event,) = captured
    if not event["response"]["choices"] or measured(event, "status") == ("ok",):
        ChatCompletion.model_validate(event["response"])
    return event


def measured(event: dict[str, Any], *keys: str) -> tuple[Any, ...]:
    return tuple(event["meta"].get(f"ainsights.{key}") for key in keys)


def calling(directives: str, /, **options: Any) -> Snippet:
    async def call(world: World) -> Any:
        return await maybe_await(world.create(f"mock:{directives}", **options))

    return call


STATUSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    500: "InternalServerError",
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", STATUSES)
def test_refusal_is_recorded(either: World, status: int, *, stream: bool) -> None:
    event = recorded_event(either, calling(f"status={status}", stream=stream))
    assert measured(event, "status", "http_status", "retries", "stream") == ("error", status, 0, stream)
    assert event["response"]["choices"] == []
    assert event["response"]["error"]["status"] == status
    assert event["response"]["error"]["message"]
    assert event["messages"] == MESSAGES
    assert measured(event, "error_type") == (STATUSES[status],)


def with_retries(directives: str, max_retries: int) -> Snippet:
    async def call(world: World) -> Any:
        client = world.client(max_retries=max_retries)
        run = f"run-{uuid.uuid4().hex}"  # the server counts equal requests
        completion = await maybe_await(world.ask(client, f"mock:{directives}", user=run))
        return completion.choices if world.api == "chat" else completion.output_text

    return call


def test_call_that_succeeds_at_the_third_attempt_is_one_event(either: World) -> None:
    event = recorded_event(either, with_retries("fail=2,retry-after=0.01", 3))
    assert measured(event, "status", "http_status", "retries") == ("ok", 200, 2)


def test_call_that_fails_at_each_attempt_is_one_event(either: World) -> None:
    event = recorded_event(either, with_retries("status=503,retry-after=0.01", 2))
    assert measured(event, "status", "http_status", "retries") == ("error", 503, 2)


async def refused(world: World) -> Any:
    return await maybe_await(calling_at(world, f"http://127.0.0.1:{NOBODY}/v1"))


async def no_such_host(world: World) -> Any:
    return await maybe_await(calling_at(world, "http://no-such-host.invalid/v1"))


async def reset(world: World) -> Any:
    return await maybe_await(world.create("mock:reset"))


def calling_at(world: World, base_url: str) -> Any:
    return world.ask(world.client(base_url=base_url), "m")


@pytest.mark.parametrize("snippet", [refused, no_such_host, reset])
def test_connection_that_fails_is_recorded(either: World, snippet: Snippet) -> None:
    event = recorded_event(either, snippet)
    assert measured(event, "status", "http_status", "error_type") == ("error", None, "APIConnectionError")
    assert event["response"]["error"]["type"] == "APIConnectionError"
    assert event["args"]["model"]


async def too_late(world: World) -> Any:
    return await maybe_await(world.ask(world.client(timeout=0.2), "mock:hang"))


async def too_late_in_the_middle(world: World) -> Any:
    client = world.client(timeout=0.3)
    return await collect(world.ask(client, f"mock:hang={2 if world.api == 'chat' else 5}", stream=True))


def test_timeout_is_recorded(either: World) -> None:
    event = recorded_event(either, too_late)
    assert measured(event, "status", "http_status", "error_type") == ("error", None, "APITimeoutError")


def test_timeout_in_the_middle_of_a_stream_is_recorded_with_what_had_arrived(either: World) -> None:
    event = recorded_event(either, too_late_in_the_middle)
    assert measured(event, "status", "http_status", "error_type") == ("error", 200, "ReadTimeout")
    assert event["response"]["choices"][0]["message"]["content"]


# What is received, and does not suit the program


class Person(BaseModel):
    name: str


def parsing(directives: str, *, streamed: bool = False) -> Snippet:
    async def call(world: World) -> Any:
        client = world.client()
        place = client.chat.completions if HAS_PARSE else client.beta.chat.completions
        arguments: Any = {"model": f"mock:{directives}", "messages": MESSAGES, "response_format": Person}
        if not streamed:
            return (await maybe_await(place.parse(**arguments))).choices[0].message.parsed.name
        async with enter(place.stream(**arguments)) as stream:
            return (await maybe_await(stream.get_final_completion())).choices[0].message.parsed.name

    return call


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("directives", "reason", "error"),
    [
        ("json,length", "length", openai.LengthFinishReasonError),
        ("json,filter", "content_filter", openai.ContentFilterFinishReasonError),
        ("text=not json", "stop", ValueError),  # pydantic's, or of the stream helper's own reading
        ("text={}", "stop", ValueError),
    ],
)
def test_answer_that_parse_rejects_is_captured_as_received(
    world: World, directives: str, reason: str, error: type[Exception], *, streamed: bool
) -> None:
    captured, seen = run_with_and_without(parsing(directives, streamed=streamed), world)
    assert error in seen.error[0][0]
    (event,) = captured
    if not streamed:  # there the helper may stop before the last chunk
        assert event["response"]["choices"][0]["finish_reason"] == reason
    assert measured(event, "http_status")[0] == 200
    assert measured(event, "status")[0] in ({"ok", "closed_early"} if streamed else {"ok"})


@pytest.mark.parametrize("directives", ["html", "badjson", "empty", "badgzip"])
def test_answer_that_cannot_be_read_is_recorded(either: World, directives: str) -> None:
    event = recorded_event(either, calling(directives))
    assert measured(event, "status", "http_status") == ("error", 200)
    assert event["response"]["choices"] == []
    assert event["response"]["error"]
