"""Overload: an outage while many events are captured, and a burst against a slow endpoint."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from support.endpoints import free_port

from faultbench.row import Row, Size
from faultbench.sink import flush_spool, ran, sink, spooled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 2**20
LARGE = ("--size", "4000")
BARE_CALLS = 5_000
"""Calls among which the slowest without us is found."""
BURST = ("--size", "1000")


@functools.cache
def slowest_bare_call(calls: int) -> float:
    """Run the program without us, which sends nothing to an endpoint: once for all rows."""
    return ran("", "--calls", str(calls), *LARGE, "--bare").slowest


def outage(size: Size, *, spool: bool) -> Row:
    """Make more than fits into memory while nobody listens, then let the next process deliver what was kept."""
    bound = 64 * MIB if size.events >= 10_000 else 4 * MIB  # noqa: PLR2004  a small bench reaches a small bound
    with tempfile.TemporaryDirectory() as directory:
        settings = {"max_queue_bytes": bound, "max_queue_events": size.events, "exit_timeout": 1}
        settings |= {"spool_dir": directory, "spool_max_bytes": 4096 * MIB} if spool else {}
        options = ("--calls", str(size.events), *LARGE, "--flush", "0.5")
        nobody = f"http://127.0.0.1:{free_port()}"
        bare = slowest_bare_call(min(size.events, BARE_CALLS))
        run = ran(nobody, *options, **settings)
        kept = spooled(Path(directory))
        with sink() as endpoint:
            if spool:
                flush_spool(endpoint.url, directory)
            left = spooled(Path(directory))
    dropped = dict(run.flushed["dropped"])
    if not spool:
        dropped["exit"] = run.made - sum(dropped.values())
    title = f"outage, {bound // MIB} MB bound, {'spool' if spool else 'no spool'}"
    found = Row(
        title, run.made, len(endpoint.events), endpoint.duplicates, len(left), dropped, run.slowest, bare, run.to_exit
    )
    found.expect("the rest is spilled or dropped", holds=bool(kept) if spool else dropped.get("full", 0) > 0)
    found.expect("all that was spooled is delivered after recovery", holds=set(kept) == set(endpoint.events))
    found.expect_accounted()
    growth = run.flushed["growth"] / 1024
    found.expect("memory stays within the bound", holds=growth < bound / MIB * 2)
    found.notes.append(f"{len(kept):,} kept on disk; memory grew by {growth:.0f} MB at the most")
    return found


def burst(size: Size, bare: float, delay: float) -> Row:
    """Make many events at once, against an endpoint that takes its time for each."""
    with sink(lambda endpoint, handler: endpoint.take(handler, delay)) as endpoint:
        run = ran(endpoint.url, "--calls", str(size.burst), *BURST, "--flush", "60")
    found = Row(f"burst, {delay * 1000:g} ms to answer", run.made, len(endpoint.events), endpoint.duplicates, bare=bare)
    found.slowest, found.to_exit = run.slowest, run.to_exit
    found.expect_all_once()
    span = max(endpoint.times) - min(endpoint.times)
    cpu = run.flushed["cpu"] / run.made * 1e6
    found.notes.append(
        f"{len(endpoint.events) / max(span, 1e-9):,.0f} events/s; {cpu:.0f} us of CPU for each after the calls"
    )
    return found


def burst_then_end(size: Size, bare: float) -> Row:
    """The same, and the program just ends: what does not make it in time is in the spool."""
    with (
        tempfile.TemporaryDirectory() as directory,
        sink(lambda endpoint, handler: endpoint.take(handler, 0.1)) as endpoint,
    ):
        run = ran(endpoint.url, "--calls", str(size.burst), *BURST, spool_dir=directory)
        left = spooled(Path(directory))
        found = Row(
            "burst, 100 ms, then the end", run.made, len(endpoint.events), endpoint.duplicates, len(left), bare=bare
        )
    found.slowest, found.to_exit = run.slowest, run.to_exit
    found.expect("each is delivered or in the spool", holds=len(set(endpoint.events) | set(left)) == run.made)
    return found


def rows(size: Size, bare: float) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Return the scenarios of this kind, by name."""
    yield "outage", lambda: outage(size, spool=False)
    yield "outage-spool", lambda: outage(size, spool=True)
    yield "burst-100ms", lambda: burst(size, bare, 0.1)
    yield "burst-0ms", lambda: burst(size, bare, 0.0)
    yield "burst-end", lambda: burst_then_end(size, bare)
