"""CPU that one PUT of a 2 KB event takes from the host process, by HTTP client, over loopback.

The endpoint runs in a process of its own. All clients take turns in one run, so that what else the machine does
hits each of them alike; figures are medians over the rounds, and their ratio to ``httpx.Client``.
"""

from __future__ import annotations

import asyncio
import http.client
import http.server
import multiprocessing
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpcore
import httpx
import urllib3

from ainsights._delivery.http_sender import senders

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

BODY = b"x" * 2048
HEADERS = {"Authorization": "Bearer key", "Content-Type": "application/json"}
EVENTS = 200
ROUNDS = 9
IN_FLIGHT = 32


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Answers each PUT with success."""

    protocol_version = "HTTP/1.1"
    answer = b'{"success": true}'

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(self.answer), self.answer))

    def log_message(self, *_args: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """Takes as many connections at once as the clients open."""

    request_queue_size = 128


def endpoint(channel: Connection) -> None:
    server = Server(("127.0.0.1", 0), Endpoint)
    channel.send(server.server_port)
    server.serve_forever()


def ours(url: str) -> Callable[[], None]:
    sender = senders(url, "key", 10)()
    return lambda: repeat(lambda: sender.send(BODY))


def standard_library(url: str) -> Callable[[], None]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)

    def put() -> None:
        connection.request("PUT", "/insight", BODY, HEADERS)
        connection.getresponse().read()

    return lambda: repeat(put)


def httpx_client(url: str) -> Callable[[], None]:
    client = httpx.Client(headers=HEADERS)
    return lambda: repeat(lambda: client.put(f"{url}/insight", content=BODY))


def httpcore_pool(url: str) -> Callable[[], None]:
    pool = httpcore.ConnectionPool()
    return lambda: repeat(lambda: pool.request("PUT", f"{url}/insight", headers=HEADERS, content=BODY))


def urllib3_pool(url: str) -> Callable[[], None]:
    pool = urllib3.PoolManager()
    return lambda: repeat(lambda: pool.request("PUT", f"{url}/insight", body=BODY, headers=HEADERS))


def httpx_threads(url: str) -> Callable[[], None]:
    client = httpx.Client(headers=HEADERS)
    threads = ThreadPoolExecutor(8)
    return lambda: list(threads.map(lambda _: client.put(f"{url}/insight", content=BODY), range(EVENTS))) and None


def httpx_async(url: str) -> Callable[[], None]:
    async def run() -> None:
        limit = asyncio.Semaphore(IN_FLIGHT)

        async def put(client: httpx.AsyncClient) -> None:
            async with limit:
                await client.put(f"{url}/insight", content=BODY)

        async with httpx.AsyncClient(headers=HEADERS) as client:
            await asyncio.gather(*(put(client) for _ in range(EVENTS)))

    return lambda: asyncio.run(run())


def repeat(put: Callable[[], Any]) -> None:
    for _ in range(EVENTS):
        put()


def main() -> None:
    ours_end, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=endpoint, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours_end.recv()}"
    makers = {
        "httpx.Client": httpx_client,
        "ainsights": ours,
        "http.client": standard_library,
        "httpcore.ConnectionPool": httpcore_pool,
        "urllib3.PoolManager": urllib3_pool,
        "httpx.Client, 8 threads": httpx_threads,
        f"httpx.AsyncClient, {IN_FLIGHT} in flight": httpx_async,
    }
    clients = {name: make(url) for name, make in makers.items()}
    spent: dict[str, list[float]] = {name: [] for name in clients}
    for turn in range(ROUNDS + 1):
        for name, run in clients.items():
            began = time.process_time()
            run()
            if turn:  # the first turn warms up
                spent[name].append((time.process_time() - began) / EVENTS * 1e6)
    base = statistics.median(spent["httpx.Client"])
    print(f"{'CPU for one PUT of 2 KB':<38}{'us':>8}{'spread':>16}{'ratio':>8}")
    for name, figures in spent.items():
        middle = statistics.median(figures)
        print(f"{name:<38}{middle:>8.0f}{min(figures):>8.0f}–{max(figures):<7.0f}{middle / base:>8.2f}")
    server.terminate()
    server.join()


if __name__ == "__main__":
    main()
