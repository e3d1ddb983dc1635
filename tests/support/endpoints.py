"""A real Insights endpoint on loopback that behaves as a test orders, well or badly."""

from __future__ import annotations

import http.server
import json
import socket
import struct
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

OK = b'{"success": true}'


class Endpoint:
    """What the endpoint got, and how it answers.

    ``behave`` is called with the handler for each request, after its body was read, and answers it, by
    :meth:`Handler.answer` or by other means. An event counts as stored before its 2xx leaves.
    """

    def __init__(self) -> None:
        self.stored: list[dict[str, Any]] = []
        self.requests = 0
        self.connections = 0
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.behave: Callable[[Handler], bool] = lambda handler: handler.answer(200 if handler.body else 400)
        self.released = threading.Event()
        """Set at the end, so that requests that hang return."""
        self.changed = threading.Condition()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def times_stored(self) -> Counter[str]:
        """How often each event was stored, by its id."""
        with self.changed:
            return Counter(body["meta"].get("ainsights.event_id", "") for body in self.stored)

    def wait_for(self, condition: Callable[[], bool], timeout: float = 20) -> bool:
        """Wait until ``condition`` holds; it is looked at whenever a request came, or was answered."""
        with self.changed:
            return self.changed.wait_for(condition, timeout)


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection to the endpoint."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    endpoint: Endpoint

    def setup(self) -> None:
        super().setup()
        with self.endpoint.changed:
            self.endpoint.connections += 1
            self.endpoint.changed.notify_all()

    def do_PUT(self) -> None:
        endpoint = self.endpoint
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with endpoint.changed:
            endpoint.requests += 1
            endpoint.headers.append(dict(self.headers.items()))
            endpoint.paths.append(self.path)
            self.number = endpoint.requests
            endpoint.changed.notify_all()
        self.body = body
        endpoint.behave(self)
        with endpoint.changed:
            endpoint.changed.notify_all()

    def answer(self, status: int, body: bytes = OK, **headers: str) -> bool:
        """Answer properly; true if that means stored."""
        if stored := 200 <= status < 300:
            with self.endpoint.changed:
                self.endpoint.stored.append(json.loads(self.body))
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        return stored

    def hang(self) -> bool:
        """Send nothing until the test is over."""
        self.endpoint.released.wait()
        self.close_connection = True
        return False

    def reset(self) -> bool:
        """Drop the connection hard, as a crashed host does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
        return False

    def raw(self, data: bytes) -> bool:
        """Send ``data`` as it is, and close."""
        self.wfile.write(data)
        self.close_connection = True
        return False

    def drip(self, data: bytes, pause: float) -> bool:
        """Send byte by byte, until the other side closes the connection."""
        for byte in data:
            try:
                self.connection.sendall(bytes([byte]))
            except OSError:
                break
            if self.endpoint.released.wait(pause):
                break
        self.close_connection = True
        return False

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):
            self.close_connection = True

    def log_message(self, *_args: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256

    def handle_error(self, *_args: object) -> None:
        pass


@contextmanager
def running_endpoint(
    behave: Callable[[Handler], bool] | None = None, port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Endpoint]:
    """Run an endpoint for the length of the block."""
    endpoint = Endpoint()
    if behave:
        endpoint.behave = behave
    server = Server(("127.0.0.1", port), type("BoundHandler", (Handler,), {"endpoint": endpoint}))
    endpoint.port = server.server_port
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def free_port() -> int:
    """Return a port that nobody listens on. It stays reserved for this process, and a server can still bind it."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    port: int = reserved.getsockname()[1]
    reserved.detach()
    return port
