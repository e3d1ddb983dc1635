"""A model API that speaks HTTP/2 alone, over TLS: it answers a request, streamed or not."""

from __future__ import annotations

import asyncio
import json
import ssl
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trustme

from support.endpoints import free_port
from support.models import COMPLETION, EVENTS
from support.servers import await_listener

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def serving() -> Iterator[tuple[str, ssl.SSLContext]]:
    """Run it for the length of the block; yields its URL, and what trusts it."""
    from hypercorn.asyncio import serve  # noqa: PLC0415  installed where this is used
    from hypercorn.config import Config  # noqa: PLC0415  the same

    authority, trusted = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(trusted)
    config, port = Config(), free_port()
    config.bind, config.alpn_protocols, config.loglevel = [f"127.0.0.1:{port}"], ["h2"], "CRITICAL"
    with tempfile.TemporaryDirectory() as directory:
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        config.keyfile, config.certfile = str(Path(directory) / "key"), str(Path(directory) / "cert")
        certificate.private_key_pem.write_to_path(config.keyfile)
        certificate.cert_chain_pems[0].write_to_path(config.certfile)
        loop, stop = asyncio.new_event_loop(), asyncio.Event()

        async def main() -> None:
            await serve(_app, config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]

        thread = threading.Thread(target=_run, args=(loop, main), name="relay", daemon=True)
        thread.start()
        await_listener(f"https://localhost:{port}")
        try:
            yield f"https://localhost:{port}", trusted
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()


async def _app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    streamed = json.loads(body).get("stream")
    kind = b"text/event-stream" if streamed else b"application/json"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    for piece in EVENTS if streamed else [json.dumps(COMPLETION).encode()]:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _run(loop: asyncio.AbstractEventLoop, main: Any) -> None:
    loop.run_until_complete(main())
    loop.close()
