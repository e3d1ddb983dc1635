"""``ainsights serve``: a local Insights endpoint that stores what it gets."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ainsights._base_url import DEFAULT_PATH
from ainsights._cli import arguments, serve_keys, serve_migrate
from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ainsights.server.run import Endpoint

KEY_VARIABLE = "AINSIGHTS_SERVER_KEY"
EXTRA = {"duckdb", "fastapi", "jinja2", "markupsafe", "starlette", "uvicorn", "zstandard"}

SHORT_KEY = 12
"""Characters; a given key with fewer is warned of."""

FAILED = 1
MISUSED = 2


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``serve`` to those of ``ainsights``."""
    parser = subparsers.add_parser(
        "serve",
        help="run a local Insights endpoint that stores what it gets",
        description="Run a local Insights endpoint. 'ainsights list' and 'ainsights query' read what it stores.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=arguments.port, default=8383, help="0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--path",
        type=arguments.path,
        action="append",
        metavar="PATH",
        help="path of insights, which clients have as AINSIGHTS_PATH; can be repeated (default: /insight)",
    )
    store = parser.add_mutually_exclusive_group()
    store.add_argument("--db", type=Path, default=arguments.DATABASE, help="SQLite file (default: %(default)s)")
    store.add_argument(
        "--store",
        metavar="URL",
        help="a database on ClickHouse instead of the file: clickhouse://user@host/database (clickhouses:// for TLS); "
        "the password from AINSIGHTS_CLICKHOUSE_PASSWORD",
    )
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        help="a key that has every role, which is kept nowhere; other users of the machine can see it here: set "
        f"{KEY_VARIABLE} instead (default: a key is made and printed at the first start)",
    )
    parser.add_argument(
        "--max-body-bytes", type=arguments.size, metavar="N", help="larger bodies are answered 413 (default: 16 MiB)"
    )
    parser.add_argument(
        "--keep-days", type=arguments.days, metavar="N", help="remove events after this time (default: never)"
    )
    parser.add_argument(
        "--max-bytes",
        type=arguments.size,
        metavar="N",
        help="remove the oldest events when the file is larger (default: never)",
    )
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a host name under which browsers may open the pages, beside addresses and localhost; can be repeated",
    )
    parser.add_argument(
        "--audit-key-file",
        type=Path,
        metavar="FILE",
        help="key of the hash chain, made if it is not there (default: the database's name + .audit-key); with "
        "--store, AINSIGHTS_AUDIT_KEY holds the key itself, 64 hexadecimal digits, instead of a file",
    )
    parser.set_defaults(run=run)
    commands = parser.add_subparsers(metavar="[keys | migrate]")
    serve_keys.add_parser(commands)
    serve_migrate.add_parser(commands)


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; return the exit status: 0, 1 for lost events or no extra, 2 for wrong usage."""
    try:
        from ainsights.server import run as server  # noqa: PLC0415  an extra, and start-up of the others stays light
        from ainsights.server.store import Limits  # noqa: PLC0415  the same
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        return _fail("needs the server extra: pip install 'ainsights[server]'", FAILED)
    paths = tuple(dict.fromkeys(args.path or (DEFAULT_PATH,)))
    given = args.api_key if args.api_key is not None else os.environ.get(KEY_VARIABLE) or None

    def announce(endpoint: Endpoint) -> None:
        if given is not None and len(given) < SHORT_KEY:
            print(f"Warning: an API key of fewer than {SHORT_KEY} characters can be guessed.", file=sys.stderr)
        _announce(endpoint, paths, given=given is not None, open_to_others=not server.is_loopback(args.host))

    limits = Limits(args.keep_days, args.max_bytes)
    options = server.Options(
        args.db,
        args.host,
        args.port,
        given,
        args.max_body_bytes,
        limits,
        args.audit_key_file,
        tuple(args.allowed_host),
        paths,
        store=args.store,
        on_index_progress=_show_progress if sys.stderr.isatty() else None,
    )
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        lost = server.serve(options, announce)
    except ConfigurationError as error:
        return _fail(str(error), MISUSED)
    finally:
        signal.signal(signal.SIGTERM, before)
    if lost:
        return _fail(f"stopped; not everything that was answered 200 is on disk: {lost}", FAILED)
    print("Stopped: every insight that was answered 200 is on disk.")
    return 0


def _announce(endpoint: Endpoint, paths: Sequence[str], *, given: bool, open_to_others: bool) -> None:
    print(f"Insights endpoint at {endpoint.url}, storing to {endpoint.store}")
    if open_to_others:
        print("Warning: it listens beyond this machine, and key and insights travel unencrypted.", file=sys.stderr)
    made = not given and endpoint.api_key
    if made:
        print(f"API key, shown only now: {endpoint.api_key}")
    print("Open the Explorer (this link signs in once, within ten minutes; later, sign in with a key):")
    print(f"  {endpoint.explorer}")
    print("Send insights here:")
    print(f"  export AINSIGHTS_BASE_URL={endpoint.url}")
    if paths != (DEFAULT_PATH,):
        others = f"  # or {', '.join(paths[1:])}" if paths[1:] else ""
        print(f"  export AINSIGHTS_PATH={paths[0]}{others}")
    known = "<the key you gave>" if given else "<your key; 'ainsights serve keys add NAME' makes another>"
    print(f"  export AINSIGHTS_API_KEY={endpoint.api_key if made else known}")
    print("Ctrl-C stops it.", flush=True)


def _show_progress(done: float) -> None:
    end = "\n" if done >= 1 else ""
    print(f"\rBuilding the index: {done:4.0%}", end=end, file=sys.stderr, flush=True)


def _fail(message: str, status: int) -> int:
    print(f"ainsights serve: {message}", file=sys.stderr)
    return status
