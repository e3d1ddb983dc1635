"""``/status``, ``/verify`` and ``/accesses``."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import BaseModel

from ainsights._version import __version__
from ainsights.server.api import answers
from ainsights.server.api.answers import IndexModel
from ainsights.server.problems import Problem
from ainsights.server.store import Anchor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ainsights.server.api.parameters import Asked
    from ainsights.server.api.service import Service

_HEAD = re.compile(r"[0-9a-f]{64}")
PROGRESS_SECONDS = 0.2


class _StoppedError(Exception):
    """Nobody waits for the verification any longer."""


class StoreStatus(BaseModel):
    """What the store has: the last event's number, its size, and why it cannot store, if so.

    ``erased`` counts events that are erased for every reader, and still have to be removed from the disk.
    """

    last_seq: int
    bytes: int
    to_migrate: int
    problem: str | None
    erased: int


class DiskStatus(BaseModel):
    """The file system that holds the database."""

    free_bytes: int
    total_bytes: int


class Status(BaseModel):
    """How the endpoint is."""

    version: str
    store: StoreStatus
    index: IndexModel
    disk: DiskStatus
    streams: int


class AccessLine(BaseModel):
    """One line of the access log."""

    number: int
    time: str
    key: str
    action: str
    detail: str


class AccessList(BaseModel):
    """Lines of the access log, latest first."""

    items: list[AccessLine]
    next_before: int | None


class VerificationLine(BaseModel):
    """A line of the answer: while it runs ``events`` alone, at the end all; ``problem`` is null if all is well."""

    events: int
    done: bool
    problem: str | None = None
    seq: int | None = None
    entries: int | None = None
    head: str | None = None


def status(service: Service, streams: int) -> bytes:
    """Return how the endpoint is."""
    store = service.store.status()
    return answers.encode(
        {
            "version": __version__,
            "store": {name: getattr(store, name) for name in StoreStatus.model_fields},
            "index": service.engine.status()._asdict(),
            "disk": {"free_bytes": store.free_bytes, "total_bytes": store.total_bytes},
            "streams": streams,
        }
    )


def accesses(service: Service, asked: Asked) -> bytes:
    """Return lines of the access log."""
    limit = asked.query.limit or 100
    lines = service.store.accesses(asked.number("before"), limit)
    items = [
        {
            "number": number,
            "time": answers.timestamp(line.at),
            "key": line.key_name,
            "action": line.action,
            "detail": line.detail,
        }
        for number, line in lines
    ]
    return answers.encode({"items": items, "next_before": lines[-1][0] if len(lines) >= limit else None})


def anchor(asked: Asked) -> Anchor | None:
    """Return the entry of the chain that the request names.

    Raises:
        Problem: it names half of one.
    """
    number, head = asked.number("entries"), asked.other("head").lower()
    if number is None and not head:
        return None
    if number is None:
        raise Problem(422, "entries: give the number of the entry with head", parameter="entries")
    if not _HEAD.fullmatch(head):
        raise Problem(422, "head: give the hash of the entry, 64 hexadecimal digits", parameter="head")
    return Anchor(number, head)


async def verify(service: Service, noted: Anchor | None) -> AsyncIterator[bytes]:
    """Yield lines of progress, then what was found. It stops when the client goes, or the server ends."""
    checked, is_over = 0, False

    def progress(events: int) -> None:
        nonlocal checked
        checked = events
        if is_over or service.stopping.is_set():
            raise _StoppedError

    work = asyncio.ensure_future(service.task(service.store.verify, noted, progress))
    try:
        while not (await asyncio.wait([work], timeout=PROGRESS_SECONDS))[0]:
            yield answers.encode({"events": checked, "done": False}) + b"\n"
        with suppress(_StoppedError):
            yield answers.encode(work.result()._asdict() | {"done": True}) + b"\n"
    finally:
        is_over = True
        work.cancel()
