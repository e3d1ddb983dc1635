"""A ClickHouse server for tests: the embedded engine in a process of its own, or a real one that a variable names.

``AINSIGHTS_TEST_CLICKHOUSE=clickhouse://user:password@host:8123`` has the suite use a real server; each test then has a
database of its own there, which is dropped at its end.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ainsights.server.clickhouse import migrations
from ainsights.server.clickhouse.address import Address, parse
from ainsights.server.clickhouse.connection import Connection
from ainsights.server.clickhouse.store import ClickHouseStore
from support.endpoints import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ainsights.server.store import Limits

VARIABLE = "AINSIGHTS_TEST_CLICKHOUSE"
PROGRAM = Path(__file__).with_name("clickhouse_server.py")
ROOM = 2**30
"""Bytes that must be free where the files of a server that many tests share are kept in memory."""

needs_engine = pytest.mark.skipif(
    not os.environ.get(VARIABLE) and importlib.util.find_spec("chdb") is None,
    reason=f"needs chdb-core (pip install --group clickhouse), or a server in {VARIABLE}",
)


class Server:
    """The embedded engine over a directory, at one port; it can be killed and started again."""

    def __init__(self, directory: Path, certificate: Path | None = None) -> None:
        self.directory = directory
        self.certificate = certificate
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, str(PROGRAM), str(self.directory), str(self.port)]
        command += [str(self.certificate)] if self.certificate else []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        assert self.process.stdout.readline().strip() == str(self.port)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout
            self.process.stdout.close()
        self.process = None

    def url(self, database: str) -> str:
        return f"clickhouse://default@127.0.0.1:{self.port}/{database}"


@contextmanager
def embedded(directory: Path, certificate: Path | None = None) -> Iterator[Server]:
    """Run a server over ``directory`` for the length of the block; over TLS, if there is a certificate."""
    server = Server(directory, certificate)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def shared_server() -> Iterator[str]:
    """Yield the address, without a database, of a server for many tests, with its many small files in memory."""
    given = os.environ.get(VARIABLE)
    if given:
        yield given.rstrip("/")
        return
    with tempfile.TemporaryDirectory(dir=_file_system_in_memory()) as directory, embedded(Path(directory)) as server:
        yield server.url("").rstrip("/")


def _file_system_in_memory() -> str | None:
    path = Path("/dev/shm")  # where containers may have a few megabytes only
    return str(path) if path.is_dir() and shutil.disk_usage(path).free > ROOM else None


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """Yield the address of a database that is not there yet, and drop it at the end."""
    name = f"test_{secrets.token_hex(6)}"
    url = f"{server}/{name}"
    try:
        yield url
    finally:
        connection = Connection(replace(address(url), database="default"))
        connection.command(f"DROP DATABASE IF EXISTS {name} SYNC")
        connection.close()


def address(url: str) -> Address:
    """Return the parsed address."""
    return parse(url, os.environ)


KEY = bytes(range(32))


@contextmanager
def opened(url: str, limits: Limits | None = None, key: bytes = KEY) -> Iterator[ClickHouseStore]:
    """Migrate and open the store for the length of the block."""
    migrations.migrate(address(url))
    with ClickHouseStore(address(url), key, limits) as store:
        yield store
