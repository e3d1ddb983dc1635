"""Runs a snippet of user code with and without ainsights, and compares everything that can be observed.

A snippet is an async function of a :class:`World`. It serves sync and async clients alike: ``maybe_await`` awaits what
can be awaited, ``iterate`` and ``enter`` take sync and async objects.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import re
import sys
import threading
import types
import warnings
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import openai

from support import relay
from support.models import Captured, capturing, http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection

    from ainsights.mock_openai import Server

MESSAGES: list[Any] = [{"role": "user", "content": "hi"}]
NOT_THE_USERS = {"ainsights", "ainsights-mock-openai", relay.NAME}
"""Names of threads."""
_VARYING = re.compile(
    r"0x[0-9a-f]+|127\.0\.0\.1:\d+|port=\d+|(?<=fd=)\d+|(?<='127\.0\.0\.1', )\d+|Task-\d+|scope [0-9a-f]+"
    r"|run-[0-9a-f]+"
)


@dataclass
class World:
    """The environment of a snippet: a kind of client, and a model API that records each byte."""

    server: Server
    relay: relay.Relay
    is_async: bool
    opened: list[Any] = field(default_factory=list)
    api: str = "chat"
    """The API that :meth:`create` calls."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.relay.port}"

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def client(self, kind: str = "OpenAI", /, **options: Any) -> Any:
        """Return a client of the class ``kind``, or of its async face; closed when the snippet ends."""
        named = {"AzureOpenAI": {"azure_endpoint": self.url, "api_version": "2024-06-01"}}
        options = named.get(kind, {"base_url": self.base_url}) | options
        return self.own(getattr(openai, ("Async" if self.is_async else "") + kind), **options)

    def own(self, made_of: Any, **options: Any) -> Any:
        made = made_of(**({"api_key": "sk-test", "max_retries": 0} | options))
        self.opened.append(made)
        return made

    def create(self, model: str = "m", /, **options: Any) -> Any:
        """Return the result of ``create`` of a new client; awaitable if the client is async."""
        return self.ask(self.client(), model, **options)

    def ask(self, client: Any, model: str, **options: Any) -> Any:
        """Return what ``client`` answers by the API of this world."""
        if self.api == "responses":
            return client.responses.create(**({"model": model, "input": "hi"} | options))
        return client.chat.completions.create(**({"model": model, "messages": MESSAGES} | options))

    async def close(self) -> None:
        for made in self.opened:
            await maybe_await(made.close())


async def maybe_await(value: Any) -> Any:
    """Return ``value``, awaited if it is awaitable."""
    return await value if inspect.isawaitable(value) else value


async def iterate(iterable: Any) -> AsyncIterator[Any]:
    """Iterate over ``iterable``, sync or async."""
    if hasattr(iterable, "__aiter__"):
        async for item in iterable:
            yield item
    else:
        for item in iterable:
            yield item


async def next_item(iterator: Any) -> Any:
    """Return the next item of ``iterator``, sync or async."""
    return await iterator.__anext__() if hasattr(iterator, "__anext__") else next(iterator)


@asynccontextmanager
async def enter(manager: Any) -> AsyncIterator[Any]:
    """Enter ``manager``, sync or async."""
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
    else:
        with manager as value:
            yield value


async def collect(stream: Any) -> list[Any]:
    """Return all items of a stream, or of an awaitable that returns one."""
    return [item async for item in iterate(await maybe_await(stream))]


@dataclass(frozen=True)
class Observed:
    """Everything that can be observed of one run."""

    result: Any
    error: Any
    warned: list[str]
    logged: list[str]
    sent: list[bytes]
    left: dict[str, int]


def show(value: Any) -> Any:
    """Return what a user can see of ``value``: its types all the way down, and its values."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, (list, tuple)):
        return kind, [show(item) for item in value]
    if isinstance(value, dict):
        return kind, [(key, show(item)) for key, item in value.items()]
    text = value.model_dump_json() if hasattr(value, "model_dump_json") else repr(value)
    bases = [base.__qualname__ for base in type(value).__mro__]
    return kind, bases, _VARYING.sub("…", text)


def chain(error: BaseException | None) -> Any:
    """Return an exception with its whole chain."""
    if error is None:
        return None
    described = (type(error).__mro__, _VARYING.sub("…", str(error)), repr(getattr(error, "body", None)))
    return described, chain(error.__cause__), chain(error.__context__), error.__suppress_context__


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(_VARYING.sub("…", f"{record.name} {record.levelname} {record.getMessage()}"))


def _leftovers() -> dict[str, int]:
    """Count what a run may leak: unclosed responses, suspended generators, threads of the user."""
    gc.collect()
    kinds = {http.Response, types.AsyncGeneratorType, types.GeneratorType}
    found = [each for each in gc.get_objects() if type(each) in kinds]
    return {
        "unclosed responses": sum(type(each) is http.Response and not each.is_closed for each in found),
        "generators": sum(type(each) is not http.Response for each in found),
        "threads": sum(thread.name not in NOT_THE_USERS for thread in threading.enumerate()),
    }


def run_once(snippet: Callable[[World], Awaitable[Any]], world: World, run: Callable[..., Any]) -> Observed:
    """Run ``snippet`` and return everything that can be observed of it."""
    log, result, error, before = _Log(), None, None, _leftovers()
    connections, world.opened = len(world.relay.sent), []
    logging.getLogger().addHandler(log)
    unraisable, hook = [], sys.unraisablehook
    sys.unraisablehook = lambda args: unraisable.append(_VARYING.sub("…", repr(args.exc_value)))

    async def main() -> Any:
        try:
            return show(await snippet(world))
        finally:
            await world.close()

    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                result = run(main)
            except Exception as raised:  # noqa: BLE001  whatever the user would see
                error = chain(raised)
            world.opened = []
            after = _leftovers()
    finally:
        logging.getLogger().removeHandler(log)
        sys.unraisablehook = hook
    sent = [_VARYING.sub("…", bytes(each).decode("latin-1")).encode() for each in world.relay.sent[connections:]]
    printed = _without_chance([f"{each.category.__name__}: {_VARYING.sub('…', str(each.message))}" for each in warned])
    return Observed(result, error, printed + unraisable, log.lines, sent, _more(before, after))


def _more(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Return what is there now that was not; what another test left may go meanwhile."""
    return {name: max(after[name] - before[name], 0) for name in after}


def _differences(bare: Observed, ours: Observed) -> str:
    names = [each.name for each in fields(Observed) if getattr(bare, each.name) != getattr(ours, each.name)]
    return "\n".join(f"{name}: bare {getattr(bare, name)}\nours {getattr(ours, name)}" for name in names)


def _without_chance(printed: list[str]) -> list[str]:
    """Leave out sockets whose transport is listed: which of the two is collected first, and listed alone, is chance."""
    transports = sum("unclosed transport" in line for line in printed)
    return printed if not transports else [line for line in printed if "unclosed <socket" not in line]


def run_asyncio(main: Callable[[], Any]) -> Any:
    return asyncio.run(main())


def run_with_and_without(
    snippet: Callable[[World], Awaitable[Any]],
    world: World,
    run: Callable[..., Any] = run_asyncio,
    *,
    left_by_chance: Collection[str] = (),
) -> tuple[Captured, Observed]:
    """Run ``snippet`` without ainsights, and captured; assert that nothing differs; return the events.

    Args:
        snippet: what the user does.
        world: where.
        run: runs the snippet.
        left_by_chance: what is not compared: the server, which is in this process too, or a library leaves it at times.
    """
    gc.freeze()  # what is there by now is looked through no more
    run_once(snippet, world, run)  # the first one warms up: openai caches, and imports late
    gc.freeze()
    try:
        bare = run_once(snippet, world, run)
        with capturing() as captured:
            ours = run_once(snippet, world, run)
    finally:
        gc.unfreeze()
    for each in (bare, ours):
        for name in left_by_chance:
            del each.left[name]
    assert ours == bare, _differences(bare, ours)
    return captured, ours
