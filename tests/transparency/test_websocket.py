"""Responses over a WebSocket: each requested one is one event, and the program does not notice."""

from __future__ import annotations

import asyncio
import gc
import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from support.comparison import World, enter, maybe_await, run_with_and_without
from support.endpoints import running_endpoint
from support.models import capturing

import ainsights
from ainsights._instrumentation import websocket
from ainsights._instrumentation.lanes import Lanes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from support.models import Captured

    Snippet = Callable[[World], Awaitable[Any]]

module = pytest.importorskip("openai.resources.responses.responses", reason="this openai has no Responses API")
if not hasattr(module, "ResponsesConnectionManager"):
    pytest.skip("this openai has no WebSockets for responses", allow_module_level=True)

pytest.importorskip("websockets")
pytestmark = pytest.mark.filterwarnings(
    "ignore:connect.. must be used as a context manager:DeprecationWarning"  # of websockets, about openai
)

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture(autouse=True)
def _fixed_websocket_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mask what is sent with zeros, so that the bytes of two runs can be compared."""
    monkeypatch.setattr(secrets, "token_bytes", bytes)


SOCKETS: dict[str, tuple[Snippet, list[str]]] = {}


def socket(*statuses: str) -> Callable[[Snippet], Snippet]:
    """Note a snippet, and the statuses of its events."""

    def note(snippet: Snippet) -> Snippet:
        SOCKETS[snippet.__name__] = (snippet, list(statuses))
        return snippet

    return note


def create_params(model: str = "m", **options: Any) -> dict[str, Any]:
    return {"type": "response.create", "model": model, "input": "hi"} | options


def connect(world: World, **options: Any) -> Any:
    return world.client().responses.connect(**options)


async def until_the_end(connection: Any) -> list[Any]:
    """Return the types of the messages until a response ends."""
    types: list[Any] = []
    while not types or types[-1] not in {"response.completed", "response.failed", "response.incomplete", "error"}:
        types.append((await maybe_await(connection.recv())).type)
    return types


@socket("ok")
async def sent_and_received(world: World) -> Any:
    async with enter(connect(world)) as connection:
        await maybe_await(connection.send(create_params()))
        return type(connection).__name__, await until_the_end(connection)


@socket("ok")
async def created_by_the_resource(world: World) -> Any:
    async with enter(connect(world)) as connection:
        await maybe_await(connection.response.create(model="m", input="hi"))
        return await until_the_end(connection)


@socket("ok")
async def beta(world: World) -> Any:
    responses = getattr(world.client().beta, "responses", None)
    if responses is None or not hasattr(responses, "connect"):
        return await sent_and_received(world)
    async with enter(responses.connect()) as connection:
        await maybe_await(connection.send(create_params()))
        return type(connection).__module__, await until_the_end(connection)


@socket("ok")
async def sent_raw_and_received_raw(world: World) -> Any:
    async with enter(connect(world)) as connection:
        await maybe_await(connection.send_raw(json.dumps(create_params())))
        messages = [await maybe_await(connection.recv_bytes())]
        while b"response.completed" not in messages[-1]:
            messages.append(await maybe_await(connection.recv_bytes()))
        return messages


@socket("ok", "ok")
async def several_over_one_socket(world: World) -> Any:
    async with enter(connect(world)) as connection:
        await maybe_await(connection.send(create_params()))
        first = await until_the_end(connection)
        await maybe_await(connection.send(create_params("mock:tools")))
        return first, await until_the_end(connection)


@socket("ok", "ok")
async def several_sent_at_once(world: World) -> Any:
    async with enter(connect(world)) as connection:
        await maybe_await(connection.send(create_params()))
        await maybe_await(connection.send(create_params("mock:tools")))
        return await until_the_end(connection), await until_the_end(connection)


@socket("ok")
async def queued_before_it_is_connected(world: World) -> Any:
    manager = connect(world)
    manager.send(create_params())
    async with enter(manager) as connection:
        return await until_the_end(connection)


@socket("ok")
async def entered_by_hand(world: World) -> Any:
    connection = await maybe_await(connect(world).enter())
    await maybe_await(connection.send(create_params()))
    types = await until_the_end(connection)
    await maybe_await(connection.close())
    return types


@socket("closed_early")
async def closed_early(world: World) -> Any:
    async with enter(connect(world)) as connection:
        await maybe_await(connection.send(create_params("mock:chunks=5")))
        return [(await maybe_await(connection.recv())).type for _ in range(6)]


@socket("error")
async def refused(world: World) -> Any:
    async with enter(connect(world)) as connection:
        await maybe_await(connection.send(create_params("mock:status=400")))
        return await maybe_await(connection.recv())


@socket("error")
async def dropped(world: World) -> Any:
    async with enter(connect(world)) as connection:
        await maybe_await(connection.send(create_params("mock:abort=4,chunks=5")))
        types = []
        try:
            while True:
                types.append((await maybe_await(connection.recv())).type)
        except Exception as error:  # noqa: BLE001  whatever this openai raises
            types.append(type(error).__name__)
        return types


@socket()
async def nothing_is_asked(world: World) -> Any:
    async with enter(connect(world)) as connection:
        await maybe_await(connection.send_raw(json.dumps({"type": "response.hologram"})))
        return (await maybe_await(connection.recv())).type


@pytest.mark.parametrize("name", SOCKETS)
def test_each_response_is_one_event_and_nothing_else_changes(world: World, name: str) -> None:
    snippet, statuses = SOCKETS[name]
    captured, seen = run_with_and_without(snippet, world, left_by_chance=["generators", "threads"])
    assert seen.error is None, seen.error
    assert captured.statuses == statuses
    for body in captured:
        assert body["messages"] == MESSAGES
        assert body["args"]["model"]
        assert "type" not in body["args"]
        assert body["meta"]["ainsights.api"] == "responses"
        assert body["meta"]["ainsights.base_url"] == world.base_url
        assert body["meta"]["ainsights.stream"] is True


def run(snippet: Callable[[Any], Awaitable[Any]], world: World) -> Any:
    return asyncio.run(snippet(world))  # type: ignore[arg-type]


async def left_open(world: World) -> Any:
    connection = await maybe_await(connect(world).enter())
    await maybe_await(connection.send(create_params("mock:chunks=5")))
    for _ in range(6):
        await maybe_await(connection.recv())
    return connection


def test_socket_that_nobody_closes_is_abandoned_when_it_is_collected(model_api: World) -> None:
    with capturing() as captured:
        connection = run(left_open, model_api)
        raw = getattr(connection._connection, "__wrapped__", connection._connection)
        del connection
        gc.collect()
        assert captured.statuses == ["abandoned"]
        raw.close()
    assert captured[0]["response"]["choices"][0]["message"]["content"]


def test_message_that_waits_for_a_new_socket_is_one_event_once_it_is_sent(model_api: World) -> None:
    connections: list[Any] = []

    def on_reconnecting(_event: Any) -> None:
        connections[0].send(create_params(input="later"))

    options = {"on_reconnecting": on_reconnecting, "initial_delay": 0.01}
    with capturing() as captured, connect(model_api, **options) as connection:
        connections.append(connection)
        connection.send(create_params("mock:abort=4,chunks=5"))
        for event in connection:
            if event.type == "response.completed":
                break
    assert captured.statuses == ["error", "ok"]
    assert [body["messages"][0]["content"] for body in captured] == ["hi", "later"]


def test_context_of_the_sender_applies(model_api: World) -> None:
    async def within(world: World) -> None:
        async with enter(connect(world)) as connection:
            with ainsights.context(user_id="ann"):
                await maybe_await(connection.send(create_params()))
            await until_the_end(connection)
            with ainsights.context(capture=False):
                await maybe_await(connection.send(create_params()))
            await until_the_end(connection)

    with capturing() as captured:
        run(within, model_api)
    assert [body["user_id"] for body in captured] == ["ann"]


def test_sockets_are_counted_where_the_method_that_makes_them_is_missing(
    model_api: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = websocket.HOOKS[0]
    missing = [type(hook)(hook.owner, "_no_such_method", hook._wrap) for hook in hooks.connect]
    monkeypatch.setattr(hooks, "connect", tuple(missing))
    with ainsights.Insights(base_url="http://127.0.0.1:9") as insights:
        client = insights.watch(model_api.client())
        with client.responses.connect() as connection:
            connection.send(create_params())
            asyncio.run(until_the_end(connection))
        stats = insights.stats()
    assert (stats.captured, stats.uncaptured) == (0, {"responses (WebSocket)": 1})
    assert "responses over WebSockets are not captured" in caplog.text


def test_only_sockets_of_the_client_that_is_watched_are_captured(model_api: World) -> None:
    with running_endpoint() as endpoint:
        with ainsights.Insights(base_url=endpoint.url) as insights:
            for client in (insights.watch(model_api.client()), model_api.client()):
                with client.responses.connect() as connection:
                    connection.send(create_params())
                    asyncio.run(until_the_end(connection))
        assert [each["meta"]["ainsights.status"] for each in endpoint.stored] == ["ok"]


def test_openai_is_restored() -> None:
    classes = [each for name, each in vars(module).items() if "Connection" in name and isinstance(each, type)]
    before = [dict(vars(each)) for each in classes]
    with capturing():
        assert [dict(vars(each)) for each in classes] != before
    assert [dict(vars(each)) for each in classes] == before


class Recording:
    """Lanes, and the events of what they begin."""

    def __init__(self, insights: Captured) -> None:
        self.insights = insights
        self.lanes = Lanes(lambda route: insights.begin(None, route), "https://a/v1/")

    def send(self, **event: Any) -> None:
        self.lanes.before_send(json.dumps(event))

    def receive(self, kind: str, **event: Any) -> None:
        self.lanes.on_message(json.dumps({"type": kind} | event).encode())


@pytest.fixture
def recording() -> Iterator[Recording]:
    with capturing() as insights:
        yield Recording(insights)


def whole(identity: str) -> dict[str, Any]:
    return {"response": {"id": identity, "object": "response", "status": "completed", "model": "m", "output": []}}


def test_lanes_are_distinguished_by_their_stream_ids(recording: Recording) -> None:
    for lane in "ab":
        recording.send(type="response.create", stream_id=lane, input=lane)
    for lane in "ba":
        recording.receive("response.created", stream_id=lane, **whole(lane))
    for lane in "ab":
        recording.receive("response.completed", stream_id=lane, **whole(lane))
    found = [(body["messages"][0]["content"], body["response"]["id"]) for body in recording.insights]
    assert found == [("a", "a"), ("b", "b")]


def test_response_that_follows_a_steered_one_has_what_steered_it(recording: Recording) -> None:
    recording.send(type="response.create", input="first")
    recording.receive("response.created", **whole("r1"))
    recording.send(type="response.steer", input=[{"role": "user", "content": "faster"}], previous_response_id="r1")
    recording.receive("response.incomplete", **whole("r1"))
    recording.receive("response.created", **whole("r2"))
    recording.receive("response.completed", **whole("r2"))
    found = [(body["messages"][0]["content"], body["response"]["id"]) for body in recording.insights]
    assert found == [("first", "r1"), ("faster", "r2")]
    assert recording.insights[1]["meta"]["ainsights.previous_response_id"] == "r1"


def test_answer_to_what_is_not_captured_is_in_no_event(recording: Recording) -> None:
    with ainsights.context(capture=False):
        recording.send(type="response.create", input="secret")
    recording.send(type="response.create", input="open")
    for identity in ("secret", "open"):
        recording.receive("response.created", **whole(identity))
        recording.receive("response.output_text.delta", delta=identity, output_index=0, content_index=0)
        recording.receive("response.completed", **whole(identity))
    assert [body["response"]["id"] for body in recording.insights] == ["open"]
    assert "secret" not in json.dumps(recording.insights)


def test_request_that_was_not_sent_is_not_an_event(recording: Recording) -> None:
    exchange = recording.lanes.before_send('{"type": "response.create", "input": "a"}')
    assert exchange is not None
    recording.lanes.withdraw(exchange)
    recording.lanes.end_all("closed")
    assert recording.insights == []


def test_timeout_of_a_read_ends_nothing(recording: Recording) -> None:
    recording.send(type="response.create", input="a")
    recording.lanes.on_error(TimeoutError())
    recording.receive("response.created", **whole("r1"))
    recording.receive("response.completed", **whole("r1"))
    assert recording.insights.statuses == ["ok"]


def test_message_whose_type_comes_last_is_understood(recording: Recording) -> None:
    recording.send(input="a", type="response.create")
    for kind in ("response.created", "response.completed"):
        recording.lanes.on_message(json.dumps(whole("r1") | {"type": kind}).encode())
    assert recording.insights.statuses == ["ok"]
