"""Makes one of our functions fail, and calls whose results show whether the user notices."""

from __future__ import annotations

import ast
import asyncio
import gc
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ainsights
from ainsights import _internal_errors
from support.endpoints import Endpoint, running_endpoint
from support.models import EVENTS, MESSAGES, async_client, client, completed, streaming
from support.polling import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

WORKER = "ainsights"
"""The name of our threads."""
PACKAGE = Path(ainsights.__file__).parent


class BrokenError(Exception):
    """A function of ours failed."""


def functions_of(*places: str) -> list[str]:
    """Return the functions of our modules that do something, as module.name; a folder means all its modules."""
    paths = [PACKAGE / place for place in places]
    modules = [module for path in paths for module in (sorted(path.glob("*.py")) if path.is_dir() else [path])]
    found = {
        f"{module.relative_to(PACKAGE).with_suffix('').as_posix()}.{node.name}"
        for module in modules
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and not (len(node.body) == 1 and isinstance(node.body[0], ast.Expr))
    }
    return sorted(found)


def functions_entered(call: Callable[[], Any]) -> set[str]:
    """Return the functions of ours that ``call`` runs in this thread, named likewise."""
    found: set[str] = set()

    def note(frame: FrameType, _event: str, _arg: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if PACKAGE in path.parents and not frame.f_code.co_name.startswith("<"):
            found.add(f"{path.relative_to(PACKAGE).with_suffix('').as_posix()}.{frame.f_code.co_name}")

    sys.settrace(note)
    try:
        call()
    finally:
        sys.settrace(None)
    return found


class Failing:
    """A trace function that raises when one function of ours is entered, once for each time that it is set.

    Args:
        function: as :func:`functions_of` names it.
        on_worker: whether it fails on our threads, or on those of the user.
    """

    def __init__(self, function: str, *, on_worker: bool) -> None:
        module, _, self.name = function.rpartition(".")
        self.file = str(PACKAGE / f"{module}.py")
        self.on_worker = on_worker
        self.times = 0

    def __call__(self, frame: FrameType, _event: str, _arg: Any) -> None:
        code = frame.f_code
        if code.co_name != self.name or code.co_filename != self.file:
            return
        if (threading.current_thread().name == WORKER) is self.on_worker:
            self.times += 1
            raise BrokenError

    @contextmanager
    def once_in_this_thread(self) -> Iterator[None]:
        """Fail at the first time in the block, after which Python takes a trace function away that has raised."""
        sys.settrace(self)
        try:
            yield
        finally:
            sys.settrace(None)


def plain() -> Any:
    return client().chat.completions.create(model="m", messages=MESSAGES).choices[0].message.content


def stream() -> Any:
    chunks = client(streaming(*EVENTS)).chat.completions.create(model="m", messages=MESSAGES, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def async_plain() -> Any:
    async def run() -> Any:
        completion = await async_client(completed).chat.completions.create(model="m", messages=MESSAGES)
        return completion.choices[0].message.content

    return asyncio.run(run())


def async_stream() -> Any:
    async def run() -> Any:
        answer = async_client(streaming(*EVENTS))
        chunks = await answer.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    return asyncio.run(run())


def closed() -> Any:
    stream = client(streaming(*EVENTS)).chat.completions.create(model="m", messages=MESSAGES, stream=True)
    content = next(stream).choices[0].delta.content
    stream.close()
    return f"{content}bc"


def abandoned() -> Any:
    stream = client(streaming(*EVENTS)).chat.completions.create(model="m", messages=MESSAGES, stream=True)
    assert stream.response.status_code == 200
    del stream
    gc.collect()
    return "abc"


@contextmanager
def instrumented() -> Iterator[Endpoint]:
    """Capture what is called in the block, and deliver it to a real endpoint."""
    _internal_errors.failures.clear()
    with running_endpoint() as endpoint:
        ainsights.instrument(base_url=endpoint.url, api_key="key")
        try:
            yield endpoint
        finally:
            ainsights.shutdown(1)
            _internal_errors.failures.clear()


def load_pipeline(endpoint: Endpoint) -> None:
    """Wait until the pipeline is there, which loads in the background from the first call on."""
    ainsights.instrument(base_url=endpoint.url, api_key="key").start_delivery()
    assert ainsights.flush(PATIENCE)


def captures_and_delivers(endpoint: Endpoint) -> bool:
    """Return whether a call that is made now is captured and delivered."""
    before = len(endpoint.stored)
    assert plain() == "abc"
    return endpoint.wait_for(lambda: len(endpoint.stored) > before, 3) and ainsights.flush(3)
