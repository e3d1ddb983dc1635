"""``ainsights serve``: a local Insights endpoint that stores what it gets."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ainsights._cli import arguments
from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

    from ainsights.server.run import Endpoint

KEY_VARIABLE = "AINSIGHTS_SERVER_KEY"
EXTRA = {"fastapi", "starlette", "uvicorn"}

FAILED = 1
MISUSED = 2


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``serve`` to those of ``ainsights``."""
    parser = subparsers.add_parser(
        "serve",
        help="run a local Insights endpoint that stores what it gets",
        description="Run a local Insights endpoint: PUT /insight stores to SQLite, GET /insights lists.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=arguments.port, default=8383, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--db", type=Path, default=Path("insights.db"), help="SQLite file (default: %(default)s)")
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        help=f"what clients must send; other users of the machine can see it here, but not in {KEY_VARIABLE} "
        "(default: made at the first start, and kept in the database's name + .key)",
    )
    parser.add_argument(
        "--max-body-bytes", type=arguments.size, metavar="N", help="a larger body is answered 413 (default: 16 MiB)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; return the exit status: 0, 1 without the extra, 2 for what cannot be used."""
    try:
        from ainsights.server import run as server  # noqa: PLC0415  an extra, and start-up of the others stays light
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        return _fail("needs the server extra: pip install 'ainsights[server]'", FAILED)
    given = args.api_key if args.api_key is not None else os.environ.get(KEY_VARIABLE) or None

    def announce(endpoint: Endpoint) -> None:
        _announce(endpoint, given=given is not None, open_to_others=not server.is_loopback(args.host))

    options = server.Options(args.db, args.host, args.port, given, args.max_body_bytes)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt):
            server.serve(options, announce)
    except ConfigurationError as error:
        return _fail(str(error), MISUSED)
    finally:
        signal.signal(signal.SIGTERM, before)
    print("Stopped: every insight that was answered is on disk.")
    return 0


def _announce(endpoint: Endpoint, *, given: bool, open_to_others: bool) -> None:
    print(f"Insights endpoint at {endpoint.url}, storing to {endpoint.database}")
    if open_to_others:
        print("Warning: it listens beyond this machine, and key and insights travel unencrypted.", file=sys.stderr)
    if not given:
        print(f"API key, kept in {endpoint.database}.key: {endpoint.api_key}")
    print("Send insights here:")
    print(f"  export AINSIGHTS_BASE_URL={endpoint.url}")
    print(f"  export AINSIGHTS_API_KEY={'<the key you gave>' if given else endpoint.api_key}")
    print("Ctrl-C stops it.", flush=True)


def _fail(message: str, status: int) -> int:
    print(f"ainsights serve: {message}", file=sys.stderr)
    return status
