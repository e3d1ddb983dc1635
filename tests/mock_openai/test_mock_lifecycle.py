"""Starting and stopping, clients that leave, and the command."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import openai
import pytest
from support.mock_openai import ASK, RawResponse, create_params
from support.polling import wait_until

from ainsights import mock_openai

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def connected(server: mock_openai.Server, directive: str, *, stream: bool) -> Iterator[socket.socket]:
    """Send a request and leave the connection open."""
    url = urlsplit(server.url)
    body = json.dumps(create_params(directive, stream=stream)).encode()
    with socket.create_connection((url.hostname, url.port), timeout=10) as connection:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        yield connection


@pytest.mark.parametrize(
    ("directive", "stream"),
    [("hang", False), ("hang=2", True), ("delay=60", False), ("pace=60", True), ("hang=0", False)],
)
def test_stop_ends_promptly_while_requests_hang(directive: str, stream: bool) -> None:  # noqa: FBT001
    before = set(threading.enumerate())
    with mock_openai.serving() as server, connected(server, directive, stream=stream) as one:
        wait_until(lambda: server.requests.total == 1)
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 5  # or never
        try:
            while one.recv(65536):
                pass
        except ConnectionResetError:
            pass
    assert set(threading.enumerate()) <= before  # those of other tests' servers may end meanwhile


def test_stop_lets_an_answer_finish() -> None:
    with mock_openai.serving() as server, connected(server, "delay=0.1", stream=False) as one:
        wait_until(lambda: server.requests.total == 1)
        server.stop()
        assert one.recv(65536).startswith(b"HTTP/1.1 200")
        server.stop()


def test_a_client_that_disconnects_does_not_disturb_the_server(
    server: mock_openai.Server, caplog: pytest.LogCaptureFixture
) -> None:
    before = server.requests.total
    for directive in ("chunks=5000,size=4000000", "hang", "hang=2", "pace=0.01", "delay=0.01", "split,size=100000"):
        with connected(server, directive, stream=True) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wait_until(lambda: server.requests.total == before + 6)
    assert RawResponse(server, ASK).status == 200
    assert not caplog.records


def test_garbage_is_answered_with_400_and_the_server_keeps_serving(server: mock_openai.Server) -> None:
    url = urlsplit(server.url)
    with socket.create_connection((url.hostname, url.port), timeout=10) as connection:
        connection.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    assert RawResponse(server, ASK).status == 200


def test_an_address_in_use_is_an_error(server: mock_openai.Server) -> None:
    with pytest.raises(OSError, match="in use"), mock_openai.serving(port=urlsplit(server.url).port or 0):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_prints_its_url_first_and_ends_at_a_signal(number: int) -> None:
    command = [sys.executable, "-W", "error", "-m", "ainsights.mock_openai", "--announce"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            url = process.stdout.readline().strip()
            with openai.OpenAI(base_url=url, api_key="key") as client:
                assert client.chat.completions.create(**ASK).choices
            process.send_signal(number)
            out, err = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (0, "", "")


def test_the_command_reports_the_address_that_it_cannot_use(server: mock_openai.Server) -> None:
    port = str(urlsplit(server.url).port)
    command = [sys.executable, "-m", "ainsights.mock_openai", "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 2
    assert port in ended.stderr
    assert "Traceback" not in ended.stderr


WITHOUT_THE_EXTRA = """
import runpy, sys
sys.modules |= dict.fromkeys(("uvicorn", "starlette", "h11"))
runpy.run_module("ainsights.mock_openai", run_name="__main__", alter_sys=True)
"""


def test_the_command_has_help_without_the_extra() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA, "--help"], capture_output=True, text=True, check=False, timeout=30
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "tools" in ended.stdout.partition("directives:")[2]


def test_the_command_names_the_extra_that_it_needs() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA], capture_output=True, text=True, check=False, timeout=30
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "python -m ainsights.mock_openai: needs the server extra: pip install 'ainsights[server]'\n"


@pytest.mark.parametrize("port", ["x", "-1", "65536"])
def test_the_command_refuses_what_is_not_a_port(port: str) -> None:
    command = [sys.executable, "-m", "ainsights.mock_openai", f"--port={port}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 2
    assert ended.stderr.endswith(f"argument --port: '{port}' is not a port: a number from 0 to 65535\n")
