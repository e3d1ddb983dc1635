"""Temporary and permanent failures of an endpoint; without a spool."""

from __future__ import annotations

import contextlib
import re
import ssl
import time
from typing import TYPE_CHECKING, Any

import trustme
from support.endpoints import free_port, running_endpoint

from faultbench.row import Row, Size
from faultbench.sink import Run, Sink, finished, ran, sink, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.endpoints import Handler

EXIT_TIMEOUT = 1.0
EXIT_SLACK = 2.5
"""Seconds on top of it for the interpreter's own end, on a machine that is shared."""
IN_FLIGHT = 0.5
"""Seconds within which arrives what was under way when the endpoint asked to wait."""
CALLS = ("--calls", "200", "--pause", "0.002")


def row(name: str, endpoint: Sink, run: Run, bare: float) -> Row:
    dropped = run.flushed.get("dropped", {})
    return Row(name, run.made, len(endpoint.events), endpoint.duplicates, 0, dropped, run.slowest, bare, run.to_exit)


class Failing:
    """Fails for a time after the first request, or for a number of requests; then succeeds."""

    def __init__(self, bad: Callable[[Handler], Any], seconds: float = 0.0, requests: int = 0) -> None:
        self.bad, self.seconds, self.requests = bad, seconds, requests
        self.began = 0.0
        self.failed = 0

    def __call__(self, endpoint: Sink, handler: Handler) -> bool:
        now = time.monotonic()
        self.began = self.began or now
        if now - self.began < self.seconds or handler.number <= self.requests:
            self.failed += 1
            self.bad(handler)
            return False
        return endpoint.take(handler)


def recovers(name: str, bad: Callable[[Handler], Any], bare: float, **until: float) -> Row:
    """Run a program while the endpoint fails and recovers: all is delivered, once."""
    failing = Failing(bad, **until)  # type: ignore[arg-type]
    with sink(failing) as endpoint:
        run = ran(endpoint.url, *CALLS, "--flush", "60", timeout=1)
        found = row(name, endpoint, run, bare)
    found.expect_all_once()
    found.expect("it failed at all", holds=failing.failed > 0)
    found.notes.append(f"{failing.failed} requests failed")
    return found


def never(name: str, url: str, bare: float, endpoint: Sink | None = None) -> Row:
    """Run a program whose endpoint never takes anything: it ends in time, and all is counted."""
    run = ran(url, *CALLS, exit_timeout=EXIT_TIMEOUT, timeout=1, allow_insecure=1)
    found = row(name, endpoint or Sink(), run, bare)
    found.dropped = {"exit": lost(run)}
    found.expect("all are reported as lost", holds=lost(run) == run.made)
    found.expect("none is delivered", holds=found.delivered == 0)
    found.expect("the end comes in time", holds=run.to_exit < EXIT_TIMEOUT + EXIT_SLACK)
    return found


def lost(run: Run) -> int:
    """Return how many events the program's last log line reports as lost."""
    found = re.findall(r"(\d+) events? lost at shutdown", run.errors)
    return int(found[-1]) if found else 0


@contextlib.contextmanager
def untrusted() -> Iterator[str]:
    """Run a server whose certificate nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with running_endpoint(tls=context) as endpoint:
        yield endpoint.url.replace("http://127.0.0.1", "https://localhost")


def retry_after(bare: float) -> Row:
    """Answer 429 with Retry-After: 2 at first: nothing is sent before that, and then all."""
    asked_at, wanted = [0.0], 2.0

    def busy_at_first(endpoint: Sink, handler: Handler) -> bool:
        if handler.number == 1:
            asked_at[0] = time.monotonic()
            return handler.answer(429, b"slow down", Retry_After="2")
        return endpoint.take(handler)

    with sink(busy_at_first) as endpoint:
        found = row("429, Retry-After: 2", endpoint, ran(endpoint.url, *CALLS, "--flush", "60"), bare)
    later = [at - asked_at[0] for at in endpoint.times if at - asked_at[0] > IN_FLIGHT]
    pause = min(later)
    found.expect_all_once()
    found.expect("nothing is sent before", holds=pause >= wanted)
    found.notes.append(f"sent again after {pause:.2f} s")
    return found


def refused(bare: float, seconds: float) -> Row:
    """Listen only after a while."""
    port = free_port()
    process = start(f"http://127.0.0.1:{port}", *CALLS, "--flush", "60")
    time.sleep(seconds)  # this is the fault itself
    with sink(port=port) as endpoint:
        run = finished(process)
        found = row(f"refused for {seconds:g} s", endpoint, run, bare)
    found.expect_all_once()
    return found


def alternating(bare: float, events: int) -> Row:
    """Refuse every other request: few events, for the unlucky ones wait longer each time."""

    def every_other(endpoint: Sink, handler: Handler) -> bool:
        return handler.answer(500, b"no") if handler.number % 2 else endpoint.take(handler)

    with sink(every_other) as endpoint:
        found = row(
            "200 and 500 in turn", endpoint, ran(endpoint.url, *CALLS, "--calls", str(events), "--flush", "60"), bare
        )
    found.expect_all_once()
    return found


def partial(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    handler.wfile.flush()
    handler.reset()


def garbage(handler: Handler) -> None:
    handler.raw(b"\x16\x03\x01garbage\r\n\r\n")


def rows(size: Size, bare: float) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Return the scenarios of this kind, by name."""
    for_a_while: dict[str, float] = {"seconds": size.seconds}
    yield "503", lambda: recovers(f"503 for {size.seconds:g} s", lambda h: h.answer(503, b""), bare, **for_a_while)
    yield "429", lambda: retry_after(bare)
    yield "refused", lambda: refused(bare, size.seconds)
    yield "reset", lambda: recovers("reset in the answer", partial, bare, requests=size.failures)
    yield "slow-loris", lambda: recovers("slow-loris", lambda h: h.drip(b"HTTP/1.1 200 OK\r\n", 0.3), bare, requests=2)
    yield "garbage", lambda: recovers("garbage", garbage, bare, requests=size.failures)
    yield "alternating", lambda: alternating(bare, size.unlucky)
    yield "401", lambda: recovers(f"401 for {size.seconds:g} s", lambda h: h.answer(401, b"who?"), bare, **for_a_while)
    yield "hang", lambda: _hanging(bare)
    yield "tls", lambda: _untrusted(bare)
    yield "dns", lambda: never("DNS failure", "http://no-such-host.invalid", bare)


def _hanging(bare: float) -> Row:
    with sink(lambda _it, handler: handler.hang()) as endpoint:
        return never("hangs for ever", endpoint.url, bare, endpoint)


def _untrusted(bare: float) -> Row:
    with untrusted() as url:
        return never("TLS: not trusted", url, bare)


def bare_and_ours() -> tuple[Run, Run]:
    """Run the same program without us, and with us against an endpoint that takes all."""
    with sink() as endpoint:
        return ran(endpoint.url, *CALLS, "--bare"), ran(endpoint.url, *CALLS)
