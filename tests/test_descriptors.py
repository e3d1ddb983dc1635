"""Our file descriptors stay out of the numbers that the user's are taken from.

The reader of a stream that another thread closes ends with an error at once, as it does without us: over TLS it goes on
with the number of its socket, and would wait on ours if we had taken it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
from support.endpoints import Endpoint, Handler, running_endpoint

from ainsights._delivery import descriptors

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sockets are no file descriptors there")

NUMBERS = Path("/proc/self/fd")
needs_numbers = pytest.mark.skipif(not NUMBERS.exists(), reason="there is no list of descriptors")

CHUNK = {
    "id": "c",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}],
}
HELLO = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def model(authority: trustme.CA) -> Iterator[str]:
    """Run a model that streams over TLS until the client has gone, and return its URL."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    data = b"data: " + json.dumps(CHUNK).encode() + b"\n\n"
    chunk = b"%x\r\n%s\r\n" % (len(data), data)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    ended = threading.Event()

    def stream(client: socket.socket) -> None:
        with contextlib.suppress(OSError), tls.wrap_socket(client, server_side=True) as secured:
            while b"\r\n\r\n" not in secured.recv(65536):
                pass
            secured.sendall(head + 3 * chunk)
            while not ended.wait(0.4):  # so long that our worker has connected when the reader wakes up
                secured.sendall(chunk)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=stream, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)


READER = """
import asyncio, os, ssl, sys, threading
import openai
import ainsights

model, insights, authority, kind, moment, spool = sys.argv[1:]
PATIENCE, LONGER = 15, 60
ainsights.instrument(base_url=insights, api_key="key", timeout=LONGER, exit_timeout=0, spool_dir=spool or None)
if moment == "reconnect":
    ainsights.capture(response={"id": "c", "object": "chat.completion", "model": "m", "choices": []}, messages="first")
    assert ainsights.flush(PATIENCE)

# the number that the stream's socket gives up is to be the only free one below the highest
highest = max(int(name) for name in os.listdir("/proc/self/fd") if int(name) < 500)
last = os.open(os.devnull, os.O_RDONLY)
while last < highest:
    last = os.dup(last)

options = {"api_key": "k", "base_url": model, "timeout": LONGER}
trusting = ssl.create_default_context(cafile=authority)
chunks, ended = threading.Semaphore(0), threading.Event()

def read(stream):
    try:
        for _ in stream:
            chunks.release()
    except Exception as error:
        print(type(error).__name__, error)
    ended.set()

async def read_async(stream):
    try:
        async for _ in stream:
            chunks.release()
    except Exception as error:
        print(type(error).__name__, error)
    ended.set()

def await_chunks():
    for _ in range(3):
        assert chunks.acquire(timeout=PATIENCE)

async def main():
    async with openai.AsyncOpenAI(**options, http_client=openai.DefaultAsyncHttpxClient(verify=trusting)) as client:
        stream = await client.chat.completions.create(model="m", messages=[], stream=True)
        task = asyncio.create_task(read_async(stream))
        await asyncio.to_thread(await_chunks)
        closing = asyncio.run_coroutine_threadsafe
        await asyncio.wrap_future(await asyncio.to_thread(closing, stream.close(), asyncio.get_running_loop()))
        await asyncio.wait([task], timeout=PATIENCE)
        print("ended" if ended.is_set() else "hangs", flush=True)
        os._exit(0)

if kind == "async":
    asyncio.run(main())
client = openai.OpenAI(**options, http_client=openai.DefaultHttpxClient(verify=trusting))
stream = client.chat.completions.create(model="m", messages=[], stream=True)
reader = threading.Thread(target=read, args=(stream,), daemon=True)
reader.start()
await_chunks()
while not sys._current_frames()[reader.ident].f_code.co_filename.endswith("ssl.py"):
    pass  # it is not yet waiting for the next chunk
stream.close()
print("ended" if ended.wait(PATIENCE) else "hangs", flush=True)
os._exit(0)
"""


CASES = list(itertools.product(("sync", "async"), ("first event", "reconnect"), ("memory", "spool")))


def answer_first(handler: Handler) -> bool:
    """Answer the first event so that the second needs a new connection; then hang: that is what a reader waits on."""
    return handler.answer(200, Connection="close") if b'"first"' in handler.body else handler.hang()


@needs_numbers
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_reader_of_a_stream_that_another_thread_closes_ends_at_once(
    model: str, authority: trustme.CA, tmp_path: Path, case: tuple[str, str, str]
) -> None:
    kind, moment, where = case
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    spool = str(tmp_path / "spool") if where == "spool" else ""
    with running_endpoint(answer_first) as endpoint:
        command = [sys.executable, "-c", READER, model, endpoint.url, str(tmp_path / "ca.pem"), kind, moment, spool]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines()[-1:] == ["ended"], ran.stdout + ran.stderr
    assert "timed out" not in ran.stdout


# Which numbers

PROGRAM = """
import os, resource, sys
limit = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
import ainsights
before = set(os.listdir("/proc/self/fd"))
insights = ainsights.Insights(base_url=sys.argv[1], api_key="key", spool_dir=sys.argv[2])
response = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
for number in range(20):
    insights.capture(response=response, messages=str(number))
assert insights.flush(20)
for name in set(os.listdir("/proc/self/fd")) - before:
    if os.path.exists(f"/proc/self/fd/{name}"):  # the listing itself is over
        print(name, os.readlink(f"/proc/self/fd/{name}"))
insights.close()
"""


def taken(endpoint: Endpoint, spool: Path, limit: int) -> dict[int, str]:
    """Return the numbers that delivery takes, and for what."""
    command = [sys.executable, "-c", PROGRAM, endpoint.url, str(spool), str(limit)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return {int(number): kind for number, kind in (line.split(" ", 1) for line in ran.stdout.splitlines())}


@needs_numbers
@pytest.mark.parametrize(("limit", "lowest"), [(8192, 512), (1024, 512), (256, 128), (64, 32)])
def test_numbers_of_sockets_and_of_the_spools_files_are_high(tmp_path: Path, limit: int, lowest: int) -> None:
    with running_endpoint() as endpoint:
        found = taken(endpoint, tmp_path / "spool", limit)
        assert len(endpoint.stored) == 20
    files = [kind for kind in found.values() if kind.startswith(str(tmp_path / "spool"))]
    sockets = [kind for kind in found.values() if kind.startswith("socket:")]
    assert len(files) == 4  # the database, its log and its index, the lock of the process
    assert sockets
    assert len(found) == len(files) + len(sockets)  # what was reserved is released
    assert min(found) >= lowest


@needs_numbers
def test_events_are_delivered_where_there_are_hardly_any_numbers(tmp_path: Path) -> None:
    with running_endpoint() as endpoint:
        taken(endpoint, tmp_path / "spool", 24)
        assert len(endpoint.stored) == 20


def test_reserved_number_behaves_as_a_closed_one() -> None:
    if not hasattr(os, "O_PATH"):
        pytest.skip("this system has no descriptors that do")
    with socket.socket() as probe:
        number = probe.fileno()
    with descriptors.low_numbers_reserved():
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.read(number, 1)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(number, b"x")
        with socket.socket() as user:  # what the user opens meanwhile still fits into select()
            assert user.fileno() < 1024
    with socket.socket() as user:
        assert user.fileno() == number


@needs_numbers
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_fork_while_numbers_are_reserved_leaves_none_to_the_child() -> None:
    count = len([*NUMBERS.iterdir()])
    reading, writing = os.pipe()
    with descriptors.low_numbers_reserved():
        if (child := os.fork()) == 0:
            descriptors.reset_after_fork()
            os.write(writing, b"%d" % len([*NUMBERS.iterdir()]))
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert int(pipe.read()) == count + 2
    os.waitpid(child, 0)
