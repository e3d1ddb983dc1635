"""Writing a copy of a store, and storing one."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from ainsights.server.copying.stream import (
    CopyError,
    Header,
    Tally,
    Trailer,
    decode,
    encode_event,
    encode_header,
    encode_trailer,
)
from ainsights.server.store import StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ainsights.server.copying.stores import Source
    from ainsights.server.copying.stream import Copied
    from ainsights.server.store import Store

AT_ONCE = 5000
AT_ONCE_BYTES = 32 * 2**20
PATIENCE = 300.0
"""Seconds for which a store that is away is asked again."""


class CutOffError(CopyError):
    """Not everything was stored.

    Attributes:
        stored: events that are.
        place: after which a copy can go on.
    """

    def __init__(self, message: str, stored: int, place: str) -> None:
        super().__init__(message)
        self.stored = stored
        self.place = place


def export(source: Source, write: Callable[[bytes], object], after: str, progress: Callable[[int, int], None]) -> Tally:
    """Write the copy of a store; return its count and hash.

    Args:
        source: the store.
        write: takes the lines.
        after: the place after which the copy begins.
        progress: is called with the events written, and how many there are in all.

    Raises:
        ConfigurationError: there is no such place.
        StoreError: the store cannot be read.
    """
    tally, total = Tally(), source.count()
    write(encode_header(Header(total, after)))
    for part in source.parts(after):
        write(b"".join(map(encode_event, part)))
        for copied in part:
            tally.add(*copied.stored[1:])
        progress(tally.events, total)
    write(encode_trailer(tally))
    return tally


def store(target: Store, header: Header, lines: Iterator[bytes], progress: Callable[[int, int], None]) -> Tally:
    """Store a copy; return its count and hash. Events that are stored already change nothing.

    Args:
        target: where.
        header: the first line of the copy.
        lines: those that follow it.
        progress: is called with the events stored, and how many there are in all.

    Raises:
        CutOffError: the lines end early or are damaged, or the store failed for too long.
    """
    tally, place = Tally(), header.after
    try:
        for batch in _batches(lines):
            if isinstance(batch, Trailer):
                _check(tally, batch)
                return tally
            asyncio.run(_put_all(target, batch))
            for copied in batch:
                tally.add(*copied.stored[1:])
            place = batch[-1].place
            progress(tally.events, header.events)
    except (CopyError, StoreError) as error:
        raise CutOffError(str(error), tally.events, place) from error
    raise CutOffError("the copy ends early", tally.events, place)


def _check(tally: Tally, trailer: Trailer) -> None:
    if trailer != (tally.events, tally.hash):
        raise CopyError(f"{tally.events} events arrived, of {trailer.events}, or some of them changed on the way")


def _batches(lines: Iterator[bytes]) -> Iterator[list[Copied] | Trailer]:
    batch: list[Copied] = []
    size = 0
    for line in lines:
        decoded = decode(line)
        if isinstance(decoded, Trailer):
            if batch:
                yield batch
            yield decoded
            return
        batch.append(decoded)
        size += len(line)
        if len(batch) >= AT_ONCE or size >= AT_ONCE_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def _put_all(target: Store, batch: list[Copied]) -> None:
    """Put a batch; as long as the store is away, again.

    Raises:
        StoreError: it failed, or was away for too long.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        done = await asyncio.gather(*(target.put(*each.stored[1:]) for each in batch), return_exceptions=True)
        errors = [each for each in done if isinstance(each, BaseException)]
        if not errors:
            return
        if not isinstance(errors[0], StoreUnavailableError) or time.monotonic() >= deadline:
            raise errors[0]
        await asyncio.sleep(errors[0].retry_after)
