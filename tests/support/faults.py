"""Making a step of ours fail, and calls whose results tell whether the user notices."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import ainsights
from ainsights import _internal_errors
from support.endpoints import Endpoint, endpoint
from support.models import EVENTS, MESSAGES, async_client, client, completed, streaming
from support.polling import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKER = "ainsights"
"""The name of our threads."""


class BrokenError(Exception):
    """A step of ours failed."""


class Fault:
    """Stands for a step of ours, and raises; on the threads that ``where`` names, elsewhere it does the work."""

    def __init__(self, original: Any, where: str) -> None:
        self.original = original
        self.where = where
        self.times = 0
        self.repaired = False
        self.changed = threading.Condition()

    def raise_instead(self, *args: Any, **kwargs: Any) -> Any:
        ours = threading.current_thread().name == WORKER
        if self.repaired or (self.where == "caller" and ours) or (self.where == "worker" and not ours):
            return self.original(*args, **kwargs)
        with self.changed:
            self.times += 1
            self.changed.notify_all()
        raise BrokenError

    def wait(self, times: int) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.times >= times, PATIENCE)


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
    it = client(streaming(*EVENTS)).chat.completions.create(model="m", messages=MESSAGES, stream=True)
    content = next(it).choices[0].delta.content
    it.close()
    return f"{content}bc"


def abandoned() -> Any:
    it = client(streaming(*EVENTS)).chat.completions.create(model="m", messages=MESSAGES, stream=True)
    assert it.response.status_code == 200
    del it
    gc.collect()
    return "abc"


@contextmanager
def instrumented() -> Iterator[Endpoint]:
    """Capture what is called in the block, and deliver it to a real endpoint."""
    _internal_errors.failures.clear()
    with endpoint() as it:
        ainsights.instrument(base_url=it.url, api_key="key")
        try:
            yield it
        finally:
            ainsights.shutdown(1)
            _internal_errors.failures.clear()


def load_pipeline(it: Endpoint) -> None:
    """Wait until the pipeline is there, which loads in the background from the first call on."""
    ainsights.instrument(base_url=it.url, api_key="key").start_delivery()
    assert ainsights.flush(PATIENCE)


def goes_on(it: Endpoint) -> bool:
    """Tell whether a call that is made now is captured, delivered, and waited for."""
    before = len(it.stored)
    assert plain() == "abc"
    return it.wait_for(lambda: len(it.stored) > before, 3) and ainsights.flush(3)
