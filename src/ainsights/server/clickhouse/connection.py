"""The driver: statements and inserts over HTTP(S), from any thread, and errors of ours for those of ClickHouse."""

from __future__ import annotations

import logging
import re
import threading
import time
from typing import TYPE_CHECKING, Any

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError
from urllib3.exceptions import HTTPError

from ainsights.errors import ConfigurationError
from ainsights.server.store import StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from ainsights.server.clickhouse.address import Address

logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())  # its failures are reported as ours

CONNECT_SECONDS = 3
ANSWER_SECONDS = 30
"""How long one statement may take to be answered."""

QUERY_SECONDS = 25
"""How long a SELECT may run: ClickHouse ends it then, so that none goes on that nobody waits for."""

RETRY_AFTER = 2
MAX_REASON = 400

WRONG_CREDENTIALS = {192, 193, 194, 516}
NO_ACCESS = {497}
NO_DATABASE = {81}
NO_TABLE = {60}
TOO_SLOW = {159, 160}
BROKEN_QUERY = {36, 42, 43, 46, 47, 53, 62, 386}
BROKEN_DATA = {6, 25, 26, 27, 33, 38, 41, 69, 72, 117, 130, 131, 321, 349, 469}
"""Codes of statements or rows that are wrong in themselves and fail again; all else may pass."""


_NOT_CLICKHOUSE = re.compile(r"received HTTP status (\d+)")
"""What the driver reports of an answer without a code of ClickHouse."""


class Connection:
    """Statements to one address. It connects at the first one, and again after it failed."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._client: Client | None = None
        self._lock = threading.Lock()
        self._clock_offset = 0.0

    def check(self) -> None:
        """Connect.

        Raises:
            ConfigurationError: host, credentials or database are wrong.
        """
        try:
            self.rows("SELECT 1")
        except StoreError as error:
            raise ConfigurationError(f"store {self.address.name}: {error}") from error.__cause__

    def now(self) -> float:
        """Return the server's time in seconds since the epoch, as of the latest look at its clock."""
        return time.time() + self._clock_offset

    def read_clock(self) -> None:
        """Look at the server's clock, so that replicas agree on the time.

        Raises:
            StoreError: ClickHouse is away.
        """
        began = time.time()
        theirs = self.rows("SELECT toUnixTimestamp64Micro(now64(6))")[0][0] / 1e6
        self._clock_offset = theirs - (began + time.time()) / 2

    def close(self) -> None:
        """Close the connections that are kept."""
        with self._lock:
            client, self._client = self._client, None
        if client:
            client.close()

    def rows(
        self, statement: str, parameters: Mapping[str, Any] | None = None, **settings: Any
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT. Parameters stand in it as ``{name:Type}``."""
        bounded = {"max_execution_time": QUERY_SECONDS} | settings
        try:
            rows = self._connected().query(statement, parameters=dict(parameters or {}), settings=bounded).result_rows
        except (ClickHouseError, HTTPError, OSError) as error:
            raise self._failure(error) from error
        return [tuple(row) for row in rows]

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None, **settings: Any) -> None:
        """Run a statement without rows."""
        try:
            self._connected().command(sql, parameters=dict(parameters or {}), settings=settings)
        except (ClickHouseError, HTTPError, OSError) as error:
            raise self._failure(error) from error

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows; when it returns, they are durable."""
        try:
            self._connected().insert(table, rows, columns, settings=self.durably)
        except (ClickHouseError, HTTPError, OSError) as error:
            raise self._failure(error) from error

    def insert_json(self, table: str, lines: bytes) -> None:
        """Insert rows that are given as JSON, one a line; when it returns, they are durable."""
        try:
            self._connected().raw_insert(table, insert_block=lines, fmt="JSONEachRow", settings=self.durably)
        except (ClickHouseError, HTTPError, OSError) as error:
            raise self._failure(error) from error

    @property
    def durably(self) -> dict[str, Any]:
        """The settings of an insert that is durable when it returns, and has events of any days."""
        settings: dict[str, Any] = {"async_insert": 0, "max_partitions_per_insert_block": 0}
        if self.address.cluster.name:
            settings |= {"insert_quorum": self.address.quorum, "insert_quorum_timeout": 10_000}
        return settings

    def _connected(self) -> Client:
        with self._lock:
            if self._client is None:
                self._client = _connect(self.address)
            return self._client

    def _failure(self, error: Exception) -> StoreError:
        code = getattr(error, "code", None)
        reason = self._reason(error, code)
        if isinstance(error, DatabaseError) and code in BROKEN_QUERY | BROKEN_DATA:
            return StoreError(reason)
        return StoreUnavailableError(reason, RETRY_AFTER)

    def _reason(self, error: Exception, code: int | None) -> str:
        address = self.address
        if code in WRONG_CREDENTIALS:
            return f"user or password is wrong (user {address.user!r}; the password comes from the URL or a variable)"
        if code in NO_ACCESS:
            return f"the user {address.user!r} does not have the rights that are needed: {self._text(error)}"
        if code in NO_DATABASE or code in NO_TABLE:
            return f"the database {address.database!r} does not have ainsights' tables; run: {address.migrate_command}"
        if code in TOO_SLOW:
            return f"the query took longer than {QUERY_SECONDS} s, and was ended; narrow its time range or its filter"
        if code is None:
            return self._unreachable(_cause(error))
        return f"ClickHouse: {self._text(error)}"

    def _unreachable(self, cause: BaseException) -> str:
        where = f"{self.address.host_in_url}:{self.address.port}"
        if status := _NOT_CLICKHOUSE.search(str(cause)):
            return f"what answers at {where} is not ClickHouse, or a proxy without it: HTTP status {status[1]}"
        if "WRONG_VERSION_NUMBER" in str(cause):
            return f"no TLS at {where}; give clickhouse:// for HTTP, or the port of HTTPS"
        return f"ClickHouse does not answer at {where}: {self._text(cause)}"

    def _text(self, error: BaseException) -> str:
        text = " ".join(str(error).split())[:MAX_REASON]
        return text.replace(self.address.password, "***") if self.address.password else text


def _cause(error: BaseException) -> BaseException:
    """Return what made a connection fail. The errors around it repeat the URL, which holds values of the statement."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _connect(address: Address) -> Client:
    return clickhouse_connect.get_client(
        interface="https" if address.tls else "http",
        host=address.host_in_url,
        port=address.port,
        username=address.user,
        password=address.password,
        database=address.database,
        connect_timeout=CONNECT_SECONDS,
        send_receive_timeout=ANSWER_SECONDS,
        client_name="ainsights",
        ca_cert=address.ca,
        verify=address.verify,
        autogenerate_session_id=False,
        dedicated_pool=True,
    )
