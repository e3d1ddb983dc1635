"""An openai without one of the private names that we patch: the program works, we log it, and capture what we can."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import openai
import pytest
from support.models import (
    COMPLETION,
    EVENTS,
    MESSAGES,
    Captured,
    async_client,
    capturing,
    client,
    completed,
    http,
    streaming,
)

from ainsights._instrumentation import patch

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = [str(hook) for hook in patch.HOOKS]


@pytest.fixture(params=NAMES)
def missing(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def captured(missing: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Captured]:
    hook = next(hook for hook in patch.HOOKS if str(hook) == missing)
    monkeypatch.setattr(hook, "name", "not_there_any_more")
    with capturing() as captured:
        yield captured


def refusing(request: Any) -> Any:
    return http.Response(400, json={"error": {"message": "no"}}, request=request)


async def gathered(stream: Any) -> str:
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


def test_missing_hook_is_logged_once(captured: Captured, caplog: pytest.LogCaptureFixture) -> None:
    client().chat.completions.create(model="m", messages=MESSAGES)
    client().chat.completions.create(model="m", messages=MESSAGES)
    assert len(caplog.get_records("setup") + caplog.records) == 1
    assert "not_there_any_more" in caplog.get_records("setup")[0].getMessage()
    assert len(captured) == 2


def test_calls_are_captured(captured: Captured) -> None:
    assert client().chat.completions.create(model="m", messages=MESSAGES).id == "c1"
    created = async_client(completed).chat.completions.create(model="m", messages=MESSAGES)
    assert asyncio.run(created).id == "c1"  # type: ignore[arg-type]
    assert captured.statuses == ["ok", "ok"]
    assert [body["response"] for body in captured] == [COMPLETION, COMPLETION]
    assert [body["messages"] for body in captured] == [MESSAGES, MESSAGES]


def test_streams_are_captured(captured: Captured) -> None:
    stream = client(streaming(*EVENTS)).chat.completions.create(model="m", messages=MESSAGES, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "abc"

    async def run() -> str:
        openai_client = async_client(streaming(*EVENTS))
        return await gathered(await openai_client.chat.completions.create(model="m", messages=MESSAGES, stream=True))

    assert asyncio.run(run()) == "abc"
    assert captured.statuses == ["ok", "ok"]
    assert captured.contents == ["abc", "abc"]


def test_raw_responses_are_captured(captured: Captured) -> None:
    raw = client().chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert raw.parse().id == "c1"
    with client().chat.completions.with_streaming_response.create(model="m", messages=MESSAGES) as response:
        assert response.parse().id == "c1"
    assert captured.statuses == ["ok", "ok"]
    assert [body["response"] for body in captured] == [COMPLETION, COMPLETION]


def test_failures_are_captured_where_the_request_hook_is_there(captured: Captured, missing: str) -> None:
    with pytest.raises(openai.BadRequestError):
        client(refusing).chat.completions.create(model="m", messages=MESSAGES)
    assert captured.statuses == ([] if missing == "SyncAPIClient.request" else ["error"])
