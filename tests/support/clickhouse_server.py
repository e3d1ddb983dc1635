"""The real ClickHouse engine (chdb, in this process) as a server that speaks ClickHouse's HTTP interface.

    python clickhouse_server.py DIRECTORY PORT [CERTIFICATE FOR TLS]

What the driver uses of the interface is here: queries and inserts by POST, bound parameters, settings, error codes,
``/ping``. One query runs at a time, as the embedded engine wants it. Replication and Keeper are not part of the engine.
"""

from __future__ import annotations

import re
import ssl
import sys
import threading
import time
import uuid
import zlib
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import lz4.frame
import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT = re.compile(r"\s+FORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
INSERT = re.compile(rb"(\s*INSERT\s+INTO\b[^\n]*\bFORMAT\s+\w+)\s*?\n(.+)", re.IGNORECASE | re.DOTALL)
"""A statement that its rows follow in the same body."""
CODE = re.compile(r"Code: (\d+)")
NOT_SETTINGS = {
    *("query", "database", "query_id", "session_id", "session_check", "session_timeout", "client_protocol_version"),
    *("compress", "decompress", "wait_end_of_query", "buffer_size", "role", "quota_key", "default_format"),
}
"""Parameters of the HTTP interface; every other one is a setting of the query."""
UNKNOWN_ERROR = 1002
TAKES_SETTINGS = re.compile(r"\s*(SELECT|WITH|INSERT(?!.*\bVALUES\b))\b", re.IGNORECASE | re.DOTALL)
"""Statements at whose end settings may stand."""


def all_frames(body: bytes, decompressor: Callable[[], Any]) -> bytes:
    """Decompress a body of several frames, one for each block of rows."""
    parts = []
    while body:
        frame = decompressor()
        parts.append(frame.decompress(body))
        body = frame.unused_data
    return b"".join(parts)


DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": lambda body: zlib.decompress(body, 31),
    "lz4": lambda body: all_frames(body, lz4.frame.LZ4FrameDecompressor),
    "zstd": lambda body: all_frames(body, zstandard.ZstdDecompressor().decompressobj),
}


class Engine:
    """One embedded engine over a directory."""

    def __init__(self, directory: Path) -> None:
        from chdb import session  # noqa: PLC0415  it takes its time to load

        self._session: Any = session.Session(str(directory))
        self._lock = threading.Lock()

    def query(self, sql: str, output: str, params: dict[str, str], database: str | None) -> bytes:
        """Run one statement and return its result in the format ``output``."""
        with self._lock:
            self._use(database)
            data: bytes = self._session.query(sql, output, params=params or None).bytes() or b""
            return data

    def insert(self, sql: str, form: str, data: bytes, database: str | None) -> None:
        """Run an INSERT whose rows are ``data`` in the format ``form``."""
        with self._lock:
            self._use(database)
            with self._session.send_insert(sql, form) as inserter:
                inserter.append(data)
                inserter.finish()

    def _use(self, database: str | None) -> None:
        self._session.query(f"USE `{database or 'default'}`")


class Handler(BaseHTTPRequestHandler):
    """One connection to the server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    engine: Engine

    def do_GET(self) -> None:
        if urlsplit(self.path).path in ("/ping", "/replicas_status"):
            self._answer(200, b"Ok.\n", {})
        else:
            self._run(b"")

    def do_POST(self) -> None:
        self._run(self._body())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return DECODERS[self.headers.get("Content-Encoding", "identity")](body)

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def _run(self, body: bytes) -> None:
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        if self.headers.get_content_type() == "multipart/form-data":  # parameters too long for a URL
            given |= form_fields(self.headers["Content-Type"], body)
            body = given.pop("query", "").encode()
        params = {name.removeprefix("param_"): value for name, value in given.items() if name.startswith("param_")}
        began = time.monotonic()
        headers = {"X-ClickHouse-Query-Id": given.get("query_id") or str(uuid.uuid4())}
        try:
            data = self._execute(given, params, body)
        except RuntimeError as error:
            message = str(error)
            found = CODE.search(message)
            headers["X-ClickHouse-Exception-Code"] = found[1] if found else str(UNKNOWN_ERROR)
            self._answer(500, message.encode(), headers)
            return
        elapsed = int((time.monotonic() - began) * 1e9)
        headers["X-ClickHouse-Summary"] = f'{{"read_rows":"0","written_rows":"0","elapsed_ns":"{elapsed}"}}'
        self._answer(200, data, headers)

    def _execute(self, given: dict[str, str], params: dict[str, str], body: bytes) -> bytes:
        database = given.get("database")
        inline = INSERT.match(body)
        head, data = (inline[1], inline[2]) if inline and "query" not in given else (b"", body)
        sql = given.get("query") or (head or body).decode()
        found = FORMAT.search(sql)
        if found and data and sql.lstrip()[:6].upper() == "INSERT":
            self.engine.insert(with_settings(sql[: found.start()], given), found[1], data, database)
            return b""
        if found:
            sql, output = sql[: found.start()], found[1]
        else:
            output = self.headers.get("X-ClickHouse-Format") or "TabSeparated"
        return self.engine.query(with_settings(sql, given), output, params, database)

    def _answer(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: object) -> None:
        pass


def form_fields(content_type: str, body: bytes) -> dict[str, str]:
    """Return the fields of a form."""
    form = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    fields = {}
    for part in form.iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        fields[str(part.get_param("name", header="content-disposition"))] = content.decode()
    return fields


class Server(ThreadingHTTPServer):
    """A server whose clients may disconnect, as killed ones do."""

    request_queue_size = 256

    def handle_error(self, *_args: object) -> None:
        pass


def with_settings(sql: str, given: dict[str, str]) -> str:
    """Return ``sql`` with the settings that came beside it, where a statement takes some."""
    settings = {n: v for n, v in given.items() if n not in NOT_SETTINGS and not n.startswith("param_")}
    if not settings or not TAKES_SETTINGS.match(sql) or re.search(r"\bSETTINGS\b", sql):
        return sql
    listed = ", ".join(f"{name} = {value if value.isdigit() else repr(value)}" for name, value in settings.items())
    return f"{sql.rstrip().rstrip(';')} SETTINGS {listed}"


def main() -> None:
    """Serve until killed; prints the port once it listens."""
    directory, port = Path(sys.argv[1]), int(sys.argv[2])
    handler = type("BoundHandler", (Handler,), {"engine": Engine(directory)})
    server = Server(("127.0.0.1", port), handler)
    if len(sys.argv) > 3:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(sys.argv[3])
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
