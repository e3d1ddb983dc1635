"""Runs servers and task queues in processes of their own, as their operators do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from support.polling import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

WEB = """
import os

def app(environ, start_response):
    before()
    call(user=str(os.getpid()))
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    before()
    call(user=str(os.getpid()))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""
"""A web application that calls ``before()``, asks the model, and answers with its process's number."""

BIN = Path(sys.executable).parent


@contextmanager
def running(*command: str, cwd: Path, stop: signal.Signals = signal.SIGTERM, **environ: str) -> Iterator[None]:
    """Run a server for the length of the block, and end it as its operators do."""
    log = cwd / "log"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=cwd, env=os.environ | environ, stdout=out, stderr=out)
    try:
        yield
        process.send_signal(stop)
        assert process.wait(PATIENCE) in (0, -stop), log.read_text()  # uvicorn ends by the signal, once it is done
    finally:
        process.kill()
        process.wait()


def get(url: str) -> str:
    """Return what ``url`` answers, once there is somebody to answer."""
    await_listener(url)
    with urllib.request.urlopen(url, timeout=PATIENCE) as response:
        text: str = response.read().decode()
        return text


def await_listener(url: str) -> None:
    """Wait until somebody listens there."""
    deadline = time.monotonic() + PATIENCE
    while not listens(url):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def listens(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", urlsplit(url).port)) == 0
