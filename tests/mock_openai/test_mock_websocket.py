"""The Responses API over a WebSocket, to openai's connections where the installed version has them."""

from __future__ import annotations

import json
import re
from collections import deque
from pathlib import Path
from typing import Any

import anyio
import openai
import pytest
from support.mock_responses import ANSWER, IS_FOLLOWED, QUESTION, check_event, create_params

from ainsights import mock_openai

websockets = pytest.importorskip("websockets")
RESPONSES = getattr(openai.OpenAI(api_key="key"), "responses", None)
pytestmark = [
    pytest.mark.skipif(not hasattr(RESPONSES, "connect"), reason="this openai has no responses.connect()"),
    pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning"),  # by openai
]

TERMINAL = ("response.completed", "response.incomplete", "response.failed", "error")


def answered(connection: Any) -> list[Any]:
    """Return the events up to the one that ends a response."""
    events: list[Any] = []
    while not events or events[-1]["type"] not in TERMINAL:
        events.append(json.loads(connection.recv_bytes()))
        check_event(events[-1], "ResponsesServerEvent")
    return events


def test_each_create_is_answered_by_the_events_of_its_response(
    client: openai.OpenAI, server: mock_openai.Server
) -> None:
    server.requests.clear()
    with client.responses.connect() as connection:
        connection.response.create(**create_params())
        first = answered(connection)
        connection.response.create(**create_params("tools", previous_response_id=first[-1]["response"]["id"]))
        second = answered(connection)
    assert first[-1]["response"]["output"][0]["content"][0]["text"] == ANSWER
    assert second[-1]["response"]["output"][0]["type"] == "function_call"
    assert [(request.method, json.loads(request.body)["input"]) for request in server.requests] == [
        ("WEBSOCKET", QUESTION)
    ] * 2
    assert client.responses.retrieve(first[-1]["response"]["id"]).output_text == ANSWER


def test_the_extra_of_the_mock_brings_the_package_for_websockets() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    extras = re.search(r"^server = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert extras
    assert '"websockets' in extras[1]


def test_the_async_connection_is_served(server: mock_openai.Server) -> None:
    async def main() -> list[str]:
        async with (
            openai.AsyncOpenAI(base_url=server.base_url, api_key="key") as client,
            client.responses.connect() as connection,
        ):
            await connection.response.create(**create_params("chunks=2"))
            types: list[str] = []
            async for event in connection:
                types.append(event.type)
                if event.type in TERMINAL:
                    break
            return types

    types = anyio.run(main)
    assert (types[0], types[-1]) == ("response.created", "response.completed")


def test_events_carry_the_lane_of_their_request(client: openai.OpenAI) -> None:
    with client.responses.connect() as connection:
        connection.send({"type": "response.create", **create_params(), "stream_id": "one"})
        assert {event["stream_id"] for event in answered(connection)} == {"one"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"type": "response.create", **create_params("status=429")}, "Rate limit"),
        ({"type": "response.create", **create_params("sse-error")}, "as its script wants"),
        ({"type": "response.create", **create_params("tols")}, "Unknown directive"),
        ({"type": "response.create", "model": "m"}, "'input'"),
        ({"type": "response.create", **create_params(background=True)}, "Background"),
        ({"type": "nonsense"}, "nonsense"),
        ("no JSON", "parse"),
    ],
)
def test_what_cannot_be_answered_is_an_error_event(message: Any, expected: str, client: openai.OpenAI) -> None:
    with client.responses.connect() as connection:
        connection.send_raw(message if isinstance(message, str) else json.dumps(message))
        assert expected in answered(connection)[-1]["error"]["message"]
        connection.response.create(**create_params())
        assert answered(connection)[-1]["type"] == "response.completed"


@pytest.mark.skipif(not IS_FOLLOWED, reason="this openai cannot steer")
def test_steering_is_declined(client: openai.OpenAI) -> None:
    with client.responses.connect() as connection:
        connection.response.steer(input="Faster", previous_response_id="resp_1")
        event: Any = connection.recv()
    assert (event.type, event.error.code) == ("response.steer.failed", "steering_not_supported")


def test_a_connection_that_the_script_breaks_is_closed_after_what_was_sent(client: openai.OpenAI) -> None:
    seen: list[str] = []
    with client.responses.connect() as connection:
        connection.response.create(**create_params("abort=3"))
        with pytest.raises(websockets.exceptions.ConnectionClosedError):
            deque(map(seen.append, connection), maxlen=0)
    assert len(seen) == 3


def test_the_server_stops_while_a_connection_is_open() -> None:
    with (
        mock_openai.serving() as server,
        openai.OpenAI(base_url=server.base_url, api_key="key") as client,
        client.responses.connect() as connection,
    ):
        connection.response.create(**create_params("hang=1"))
        assert connection.recv().type == "response.created"
        server.stop()
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            connection.recv()
