"""Legacy completions: a prompt as messages, texts as those of choices; plain and streamed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from openai import NotFoundError
from openai.types.chat import ChatCompletion
from support.models import DONE, capturing, client, http, streaming

import ainsights.testing
from ainsights._processing.legacy import to_messages

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD: dict[str, Any] = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "davinci-002"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
LOGPROBS = {"tokens": ["ab"], "token_logprobs": [-1.0], "top_logprobs": [{"ab": -1.0}], "text_offset": [0]}


def choice(text: str, index: int = 0, finish: str | None = "stop", logprobs: Any = None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}


def answering(*choices: Any) -> Callable[[Any], Any]:
    return lambda _: http.Response(200, json=HEAD | {"choices": choices, "usage": USAGE})


def events(*choices: dict[str, Any]) -> list[bytes]:
    return [b"data: " + json.dumps(HEAD | {"choices": [each]}).encode() + b"\n\n" for each in choices]


def captured(
    answer: Callable[[Any], Any], prompt: Any = "Say ab", *, read: int | None = None, **more: Any
) -> dict[str, Any]:
    with capturing() as found:
        made = client(answer).completions.create(model="m", prompt=prompt, **more)
        if more.get("stream"):
            for position, _ in enumerate(made, 1):
                if position == read:
                    made.close()
                    break
    (body,) = found
    ChatCompletion.model_validate(body["response"], strict=True)
    return body


def test_completion_becomes_a_chat_completion() -> None:
    body = captured(answering(choice("ab", logprobs=LOGPROBS), choice("c", 1, "length")), max_tokens=5)
    assert body["messages"] == [{"role": "user", "content": "Say ab"}]
    assert body["args"] == {"model": "m", "max_tokens": 5}
    assert body["meta"]["ainsights.api"] == "completions"
    assert body["response"] == HEAD | {
        "object": "chat.completion",
        "usage": USAGE,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "ab"},
                "logprobs": LOGPROBS,
                "finish_reason": "stop",
            },
            {"index": 1, "message": {"role": "assistant", "content": "c"}, "logprobs": None, "finish_reason": "length"},
        ],
    }


@pytest.mark.parametrize(
    ("prompt", "contents"),
    [("a", ["a"]), (["a", "b"], ["a", "b"]), ([1, 2], ["[1, 2]"]), ([[1], [2]], ["[1]", "[2]"]), ([], []), (None, [])],
)
def test_each_prompt_is_a_message_of_the_user(prompt: Any, contents: list[str]) -> None:
    assert to_messages(prompt) == [{"role": "user", "content": content} for content in contents]


def test_stream_is_joined_by_choices() -> None:
    pieces = events(choice("a", 0, None), choice("x", 1, None), choice("b", 0), choice("y", 1, "length"))
    body = captured(streaming(*pieces, DONE), stream=True, n=2)
    choices = body["response"]["choices"]
    assert [(each["message"]["content"], each["finish_reason"]) for each in choices] == [
        ("ab", "stop"),
        ("xy", "length"),
    ]
    assert body["response"]["object"] == "chat.completion"
    assert body["meta"]["ainsights.status"] == "ok"


def test_logprobs_of_a_stream_are_joined() -> None:
    pieces = events(choice("ab", 0, None, LOGPROBS), choice("ab", 0, "stop", LOGPROBS))
    logprobs = captured(streaming(*pieces, DONE), stream=True)["response"]["choices"][0]["logprobs"]
    assert (logprobs["tokens"], logprobs["token_logprobs"]) == (["ab", "ab"], [-1.0, -1.0])


def test_stream_that_is_closed_early_has_what_arrived() -> None:
    pieces = events(choice("a", 0, None), choice("b", 0, None), choice("c"))
    body = captured(streaming(*pieces, DONE), stream=True, read=1)
    assert body["response"]["choices"][0]["message"]["content"] == "a"
    assert (body["meta"]["ainsights.status"], body["meta"]["ainsights.partial"]) == ("closed_early", True)


def test_failed_call_has_the_error() -> None:
    error = {"error": {"message": "no such model", "type": "invalid_request_error", "code": None}}
    with capturing() as found, pytest.raises(NotFoundError, match="no such model"):
        client(lambda _: http.Response(404, json=error)).completions.create(model="m", prompt="p")
    assert found.statuses == ["error"]
    assert found[0]["response"]["error"]["message"] == "no such model"
    assert found[0]["response"]["choices"] == []


def test_tokens_of_a_redacted_text_are_not_spelled_in_its_logprobs() -> None:
    spelled = {
        "tokens": ["ann@", "example.com"],
        "token_logprobs": [-1.0, -2.0],
        "top_logprobs": [{"ann@": -1.0}, {"example.com": -2.0}],
        "text_offset": [0, 4],
    }
    whole = answering(choice("ann@example.com", logprobs=spelled))
    with ainsights.testing.capture(capture="completions", redact=["email"]) as insights:
        client(whole).completions.create(model="m", prompt="p", logprobs=1)
    (insight,) = insights
    assert insight.response["choices"][0]["message"]["content"] == "[email]"
    assert "ann@" not in insight.model_dump_json()
    assert insight.response["choices"][0]["logprobs"]["token_logprobs"] == [-1.0, -2.0]


def test_metadata_has_no_text_of_a_prompt() -> None:
    with ainsights.testing.capture(capture="completions", content="metadata") as insights:
        client(answering(choice("secret"))).completions.create(model="m", prompt="secret", suffix="secret", best_of=2)
    (insight,) = insights
    assert "secret" not in insight.model_dump_json()
    assert insight.args["best_of"] == 2
