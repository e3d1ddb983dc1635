"""Every case does what its name promises, to openai's client."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import anyio
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from support.cases import CASES, Case
from support.mock_openai import BROKEN, IS_OLD, TIMED_OUT, new_state, tool_call_types
from support.response_cases import RESPONSE_CASES

from ainsights.mock_openai import DIRECTIVES

if TYPE_CHECKING:
    from collections.abc import Callable

    from ainsights import mock_openai


def message(completion: ChatCompletion) -> Any:
    return completion.choices[0].message


EXPECTED: dict[str, Callable[[ChatCompletion], bool]] = {
    "plain": lambda completion: message(completion).content.startswith("You said: “Was heißt „plain"),
    "text": lambda completion: message(completion).content == "Zuerst, dann – 好 🙂",
    "no text": lambda completion: message(completion).content == "",
    "several choices": lambda completion: len({choice.message.content for choice in completion.choices}) == 3,
    "choices by directive": lambda completion: len({choice.message.content for choice in completion.choices}) == 2,
    "usage": lambda completion: completion.usage is not None and completion.usage.total_tokens > 0,
    "usage of several choices": lambda completion: completion.usage is not None and len(completion.choices) == 2,
    "tools": lambda completion: (
        tool_call_types(completion) == ["function"] * 2
        and "Zürich" in message(completion).tool_calls[0].function.arguments
    ),
    "tools of the request": lambda completion: (
        [json.loads(call.function.arguments) for call in message(completion).tool_calls]
        == [{"city": "Zürich", "days": 1}, {"city": "東京", "days": 1}]
    ),
    "tools and text": lambda completion: (
        tool_call_types(completion) == ["function"] * 2 and message(completion).content == "Einen Moment …"
    ),
    "tools of several choices": lambda completion: tool_call_types(completion) == ["function"] * 4,
    "required tool": lambda completion: (
        tool_call_types(completion) == ["function"] and completion.choices[0].finish_reason == "tool_calls"
    ),
    "custom tool": lambda completion: (
        tool_call_types(completion) == ["custom"] * 2
        and "ü" in completion.model_dump()["choices"][0]["message"]["tool_calls"][1]["custom"]["input"]
    ),
    "function": lambda completion: message(completion).function_call.name == "get_weather",
    "refusal": lambda completion: message(completion).refusal.startswith("Sorry") and not message(completion).content,
    "logprobs": lambda completion: (
        "".join(token.token for token in completion.choices[0].logprobs.content) == message(completion).content
    ),
    "logprobs of the request": lambda completion: all(
        len(token.top_logprobs) == 2 for token in completion.choices[1].logprobs.content
    ),
    "logprobs of a refusal": lambda completion: len(completion.choices[0].logprobs.refusal) > 1,
    "audio": lambda completion: (
        base64.b64decode(message(completion).audio.data)[:256] == bytes(range(256))
        and "Grüezi" in message(completion).audio.transcript
    ),
    "reasoning": lambda completion: (
        message(completion).reasoning_content.endswith("🤔") and message(completion).content != ""
    ),
    "vendor": lambda completion: (
        completion.provider == "Mock" and completion.x_extra["route"]["tries"] == [1, {"ms": 12.5}]
    ),
    "vendor's usage": lambda completion: completion.usage.cost == 0.000125,
    "schema": lambda completion: (
        json.loads(message(completion).content)
        == {"name": "café", "age": 1, "kind": "friend", "friends": [{"name": "café"}]}
    ),
    "JSON": lambda completion: isinstance(json.loads(message(completion).content), dict),
    "length": lambda completion: (
        completion.choices[0].finish_reason == "length" and not message(completion).content.endswith("🙂")
    ),
    "filter": lambda completion: completion.choices[0].finish_reason == "content_filter",
    "large": lambda completion: len(message(completion).content.encode()) == 300_000,
    "many chunks": lambda completion: len(message(completion).content) == 2000,
    "tool calls without index": lambda completion: tool_call_types(completion) == ["function"] * 2,
}
"""The text of the completion, by the case's name without ``, streamed``; of the others it is only an ordinary one."""

FAILURES: dict[str, type[Exception] | tuple[type[Exception], ...]] = {
    "status 400": openai.BadRequestError,
    "status 401": openai.AuthenticationError,
    "status 403": openai.PermissionDeniedError,
    "status 404": openai.NotFoundError,
    "status 409": openai.ConflictError,
    "status 413": openai.APIStatusError,
    "status 422": openai.UnprocessableEntityError,
    "status 429": openai.RateLimitError,
    "status 500": openai.InternalServerError,
    "status 503": openai.InternalServerError,
    "retry after": openai.RateLimitError,
    "bad JSON": json.JSONDecodeError,
    "nothing": json.JSONDecodeError,
    "cut gzip": json.JSONDecodeError,
    "error event": openai.APIError,
    "error event with a name": openai.APIError,
    "abort": BROKEN,
    "abort at once": BROKEN,
    "abort of gzip": BROKEN,
    "reset": BROKEN,
    "hang": TIMED_OUT,
    "hang midway": TIMED_OUT,
}
NO_COMPLETION = {"page", "page, streamed", "nothing, streamed"}
NOT_UNDERSTOOD = {"event names"} if IS_OLD else set()
MALFORMED = {"delta null", "no delta", "empty first chunk", "tool calls without index"}
"""Streams on which the client's own assembler fails."""


def base_name(case: Case) -> str:
    return case.name.removesuffix(", streamed")


def check(case: Case, completion: ChatCompletion) -> None:
    is_expected = EXPECTED.get(base_name(case), lambda completion: message(completion).content.endswith("🙂"))
    assert is_expected(completion), completion
    assert completion.model == case.model


def reassembled(case: Case, chunks: list[ChatCompletionChunk]) -> ChatCompletion:
    if case.name in MALFORMED:
        return merged(chunks)
    state = new_state()
    for chunk in chunks:
        state.handle_chunk(chunk)
    snapshot: ChatCompletion = state.current_completion_snapshot
    return snapshot


def merged(chunks: list[ChatCompletionChunk]) -> ChatCompletion:
    """Merge a stream of one choice that has only content and tool calls."""
    choices = [choice for chunk in chunks for choice in chunk.choices]
    deltas = [choice.delta for choice in choices if getattr(choice, "delta", None)]
    calls: dict[str, str] = {}
    for call in [call for delta in deltas for call in delta.tool_calls or []]:
        assert call.id
        assert call.function
        calls[call.id] = calls.get(call.id, "") + (call.function.arguments or "")
    merged_message: dict[str, Any] = {"role": "assistant", "content": "".join(delta.content or "" for delta in deltas)}
    merged_message["tool_calls"] = [
        {"id": known, "type": "function", "function": {"name": "", "arguments": text}} for known, text in calls.items()
    ]
    choice = {"index": 0, "message": merged_message, "finish_reason": choices[-1].finish_reason}
    return ChatCompletion.model_validate(chunks[-1].model_dump() | {"object": "chat.completion", "choices": [choice]})


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.fails and case.name not in NOT_UNDERSTOOD], ids=lambda case: case.name
)
def test_a_case_that_succeeds_yields_what_its_name_promises(case: Case, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**case.arguments())
    received: Any = list(answer) if case.stream else answer
    if case.name in NO_COMPLETION:
        assert received == [] or "<html>" in received
    else:
        check(case, reassembled(case, received) if case.stream else received)


@pytest.mark.parametrize("case", [case for case in CASES if case.fails], ids=lambda case: case.name)
def test_a_case_that_fails_raises_what_its_name_promises(case: Case, client: openai.OpenAI) -> None:
    with pytest.raises(FAILURES[base_name(case)]) as caught:
        list(client.with_options(timeout=0.1 if case.hangs else 10).chat.completions.create(**case.arguments()))
    assert not isinstance(caught.value, TIMED_OUT) or case.hangs
    assert "status" not in case.name or str(getattr(caught.value, "status_code", "")) in case.name


def test_every_case_does_the_same_to_the_async_client(server: mock_openai.Server) -> None:
    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="key", max_retries=0, timeout=10) as client:
            for case in [case for case in CASES if case.name not in NOT_UNDERSTOOD]:
                await one(case, client.with_options(timeout=0.1) if case.hangs else client)

    async def one(case: Case, client: openai.AsyncOpenAI) -> None:
        try:
            answer = await client.chat.completions.create(**case.arguments())
            received: Any = [chunk async for chunk in answer] if case.stream else answer
        except Exception as error:
            if not isinstance(error, FAILURES.get(base_name(case), ())):
                raise
            return
        assert not case.fails, case
        if case.name not in NO_COMPLETION:
            check(case, reassembled(case, received) if case.stream else received)

    anyio.run(main)


def test_names_of_cases_are_unique_and_each_directive_has_one() -> None:
    for cases in (CASES, RESPONSE_CASES):
        names = [case.name for case in cases]
        assert len(set(names)) == len(names)
    used = {part.split("=")[0] for case in (*CASES, *RESPONSE_CASES) for part in case.directive.split(",")}
    there = {shown.split("=")[0].removesuffix("[") for shown in DIRECTIVES}
    assert there - used == {"fail"}
