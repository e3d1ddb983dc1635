"""The response of every event validates as openai's ChatCompletion, however the call went."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import TYPE_CHECKING, Any

import pytest
from openai import APIError
from openai.types.chat import ChatCompletion
from support.models import COMPLETION, DONE, EVENTS, MESSAGES, Body, async_client, client, completed, event, http

import ainsights.testing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ainsights import Insight
    from ainsights.testing import Captured

CALL = {"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a'}}
PARTS: dict[str, list[bytes]] = {
    "text": [event(role="assistant", content="a"), event(content="b")],
    "a call": [event(role="assistant", content=None), event(tool_calls=[CALL])],
    "a call without its name": [event(tool_calls=[{"index": 0, "function": {"arguments": "{"}}])],
    "a function": [event(function_call={"arguments": "{"})],
    "audio": [event(audio={"id": "a1"}), event(audio={"data": "UklG"})],
    "usage": [event(content="a"), b'data: {"choices": [], "usage": {"prompt_tokens": 3}}\n\n'],
    "nothing but a role": [event(role="assistant")],
    "no delta": [b'data: {"choices": [{"index": 0, "delta": null}]}\n\n'],
    "an odd finish": [event(content="a", role="assistant").replace(b'"finish_reason": null', b'"finish_reason": ""')],
}


@pytest.fixture
def insights() -> Iterator[Captured]:
    with ainsights.testing.capture() as recorded:
        yield recorded


def answering(*pieces: bytes | BaseException) -> Callable[[Any], Any]:
    return lambda _: http.Response(200, headers={"content-type": "text/event-stream"}, stream=Body(*pieces))


def create_stream(*pieces: bytes | BaseException, **more: Any) -> Any:
    return client(answering(*pieces)).chat.completions.create(model="m", messages=MESSAGES, stream=True, **more)


def finished(reason: str = "stop", index: int = 0) -> bytes:
    choice = {"index": index, "delta": {}, "finish_reason": reason}
    return b"data: " + json.dumps(COMPLETION | {"choices": [choice]}).encode() + b"\n\n"


def outcome(insight: Insight) -> tuple[Any, Any, list[Any]]:
    """Return the status, whether it is partial, and the finish reasons; the response validates."""
    completion = ChatCompletion.model_validate(insight.response, strict=True)
    reasons = [choice.finish_reason for choice in completion.choices]
    return insight.meta["ainsights.status"], insight.meta.get("ainsights.partial"), reasons


def read(stream: Any, count: int) -> None:
    for _ in range(count):
        next(stream)


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_stream_that_is_closed_early(insights: Captured, parts: list[bytes]) -> None:
    stream = create_stream(*parts, event(content="never read"))
    read(stream, len(parts))
    stream.close()
    assert outcome(insights[0]) == ("closed_early", True, ["length"])


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_stream_that_is_abandoned(insights: Captured, parts: list[bytes]) -> None:
    stream = create_stream(*parts, event(content="never read"))
    read(stream, len(parts))
    del stream
    gc.collect()
    assert outcome(insights[0]) == ("abandoned", True, ["length"])


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_stream_whose_connection_breaks(insights: Captured, parts: list[bytes]) -> None:
    stream = create_stream(*parts, http.ReadError("cut"))
    with pytest.raises((APIError, http.ReadError)):
        list(stream)
    assert outcome(insights[0]) == ("error", True, ["length"])


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_stream_that_is_cancelled(insights: Captured, parts: list[bytes]) -> None:
    async def main() -> None:
        openai_client = async_client(answering(*parts, asyncio.CancelledError()))
        async for _ in await openai_client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
            pass

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert outcome(insights[0]) == ("cancelled", True, ["length"])


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_stream_that_ends_without_a_finish_reason(insights: Captured, parts: list[bytes]) -> None:
    list(create_stream(*parts, DONE))
    list(create_stream(*parts))
    assert list(map(outcome, insights)) == [("ok", None, ["stop"]), ("ok", True, ["length"])]


def test_stream_that_ends_in_an_error_event(insights: Captured) -> None:
    stream = create_stream(EVENTS[0], finished("error"), b'data: {"error": {"message": "overloaded"}}\n\n')
    with pytest.raises(APIError):
        list(stream)
    del stream
    gc.collect()
    assert outcome(insights[0]) == ("error", True, ["length"])


def test_stream_that_is_never_read(insights: Captured) -> None:
    create_stream(*EVENTS).close()
    assert outcome(insights[0]) == ("unread", None, [])


@pytest.mark.parametrize("leave", [lambda stream: stream.close(), lambda _: gc.collect()], ids=["closed", "dropped"])
def test_stream_left_after_its_finish_reason_is_ok(insights: Captured, leave: Callable[[Any], object]) -> None:
    stream = create_stream(*EVENTS[:3], finished(), event(content="never read"), DONE)
    read(stream, 4)
    held = [stream]
    del stream
    leave(held.pop())
    gc.collect()
    assert outcome(insights[0]) == ("ok", None, ["stop"])


def test_stream_left_before_all_choices_finished_is_partial(insights: Captured) -> None:
    second = event(content="x").replace(b'"index": 0', b'"index": 1')
    stream = create_stream(EVENTS[0], second, finished(), finished(index=1), DONE, n=2)
    read(stream, 3)
    stream.close()
    assert outcome(insights[0]) == ("closed_early", True, ["stop", "length"])


def test_stream_left_before_another_choice_began_is_closed_early(insights: Captured) -> None:
    stream = create_stream(EVENTS[0], finished(), DONE, n=2)
    read(stream, 2)
    stream.close()
    assert outcome(insights[0]) == ("closed_early", None, ["stop"])


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_call_that_fails(insights: Captured, status: int) -> None:
    openai_client = client(lambda _: http.Response(status, json={"error": {"message": "no"}}))
    with pytest.raises(APIError):
        openai_client.chat.completions.create(model="m", messages=MESSAGES)
    assert outcome(insights[0]) == ("error", None, [])


def test_call_that_succeeds_is_as_the_api_returned_it(insights: Captured) -> None:
    client(completed).chat.completions.create(model="m", messages=MESSAGES)
    assert outcome(insights[0]) == ("ok", None, ["stop"])
    assert insights[0].response == COMPLETION


def test_call_whose_answer_lacks_required_fields(insights: Captured) -> None:
    answer = {"choices": [{"message": {"content": "a", "tool_calls": [{"function": {"name": "f"}}]}}], "usage": {}}
    client(lambda _: http.Response(200, json=answer)).chat.completions.create(model="m", messages=MESSAGES)
    client(lambda _: http.Response(200, json={})).chat.completions.create(model="m", messages=MESSAGES)
    assert list(map(outcome, insights)) == [("ok", None, ["stop"]), ("ok", None, [])]


@pytest.mark.parametrize("response", [{}, {"choices": [{"message": {"content": "a"}}]}, COMPLETION])
def test_completion_that_the_user_records(insights: Captured, response: Any) -> None:
    ainsights.capture(response=response, messages="hi", args={"model": "m-2"})
    assert outcome(insights[0]) == ("ok", None, ["stop"] if response else [])
    assert insights[0].response["model"] == response.get("model", "m-2")


WHOLE = json.dumps(
    COMPLETION
    | {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": 'Grü"ß 😀', "tool_calls": [CALL], "audio": None},
                "logprobs": {"content": [{"token": "a", "logprob": -1.5, "bytes": [97], "top_logprobs": []}]},
                "finish_reason": "tool_calls",
            }
        ],
        "service_tier": "default",
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    },
    ensure_ascii=False,
).encode()


def test_body_that_is_closed_wherever_it_was_cut(insights: Captured) -> None:
    for cut in range(1, len(WHOLE)):
        openai_client = client(answering(WHOLE[:cut], WHOLE[cut:]))
        with openai_client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES) as response:
            pieces = response.iter_bytes()
            next(pieces)
        assert outcome(insights[-1])[0] == "closed_early"
    whole = [insight.response["choices"] for insight in insights]
    contents = {choices[0]["message"].get("content") for choices in whole if choices}
    assert {"G", "Grü", 'Grü"ß 😀'} <= contents
