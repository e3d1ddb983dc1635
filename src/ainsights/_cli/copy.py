"""``ainsights export --db|--store`` and ``ainsights import``: whole stores from one place to another."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ainsights._cli import arguments
from ainsights.errors import ConfigurationError, InsightsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from ainsights.server.copying.stream import Header
    from ainsights.server.store import Store

FAILED = 1
MISUSED = 2

_ABOUT = """\
Store what 'ainsights export --db FILE' or 'ainsights export --store URL' writes, in a SQLite file or on ClickHouse.
Events that are there already change nothing, so that an import may be repeated. One that was cut off prints how to
continue it.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``import`` to those of ``ainsights``."""
    parser = subparsers.add_parser("import", help="store the copy of another store", description=_ABOUT)
    store = parser.add_mutually_exclusive_group()
    store.add_argument(
        "--db", type=Path, default=arguments.DATABASE, metavar="FILE", help="a SQLite file (default: %(default)s)"
    )
    store.add_argument("--store", metavar="URL", help="a database on ClickHouse: clickhouse://user@host/database")
    parser.add_argument("--audit-key-file", type=Path, metavar="FILE", help="key of the hash chain, as for serve")
    parser.set_defaults(run=run_import)


def add_export(parser: argparse.ArgumentParser) -> None:
    """Add the options that have ``export`` copy a store instead of asking an endpoint."""
    group = parser.add_argument_group("copying a whole store for 'ainsights import', without an endpoint")
    store = group.add_mutually_exclusive_group()
    store.add_argument("--db", type=Path, metavar="FILE", help="a SQLite file")
    store.add_argument("--store", metavar="URL", help="a database on ClickHouse: clickhouse://user@host/database")
    what = group.add_mutually_exclusive_group()
    what.add_argument("--after", metavar="POSITION", help="continue after the position that an import printed")
    what.add_argument("--hash", action="store_true", help="print count and hash of the store instead of its events")


def is_copy(args: argparse.Namespace) -> bool:
    """Whether the options of ``export`` have a store copied."""
    return bool(args.hash) or any(each is not None for each in (args.db, args.store, args.after))


def _misuse(args: argparse.Namespace) -> str | None:
    """Return what is wrong with the options of a copy."""
    if args.db is None and args.store is None:
        return f"{'--hash' if args.hash else '--after'}: needs --db or --store"
    of_endpoint = {
        "FILTER": args.filter,
        "--since": args.since,
        "--until": args.until,
        "--format": args.format != "jsonl",
        "--output": args.output,
        "--url": args.url,
        "--api-key": args.api_key,
    }
    given = [name for name, value in of_endpoint.items() if value]
    return f"{given[0]}: not with --db or --store, which copy a whole store to stdout" if given else None


def run_export(args: argparse.Namespace) -> int:
    """Write the copy of a store; return the exit status."""
    if wrong := _misuse(args):
        return _fail("export", wrong, MISUSED)
    try:
        from ainsights.server.copying import stores, transfer  # noqa: PLC0415  an extra
    except ModuleNotFoundError as error:
        return _missing("export", error)
    try:
        with stores.opened_source(args.db, args.store) as source, _progress("exporting") as show:
            if args.hash:
                tally = stores.tally(source)
                print(f"{tally.events} events, hash {tally.hash}")
            else:
                transfer.export(source, sys.stdout.buffer.write, args.after or "", show)
                sys.stdout.buffer.flush()
    except ConfigurationError as error:
        return _fail("export", str(error), MISUSED)
    except InsightsError as error:
        return _fail("export", str(error), FAILED)
    return 0


def run_import(args: argparse.Namespace) -> int:
    """Store a copy from stdin; return the exit status: 0 if all of it is stored."""
    try:
        from ainsights.server.copying import stores  # noqa: PLC0415  an extra
        from ainsights.server.copying.stream import CopyError, decode_header  # noqa: PLC0415  the same
    except ModuleNotFoundError as error:
        return _missing("import", error)
    lines = iter(sys.stdin.buffer)
    try:
        header = decode_header(next(lines, b""))  # what is not a copy makes no database
        with stores.opened_target(args.db, args.store, args.audit_key_file) as target:
            _store(target, header, lines)
    except ConfigurationError as error:
        return _fail("import", str(error), MISUSED)
    except CopyError as error:
        return _fail("import", str(error), FAILED)
    return 0


def _store(target: Store, header: Header, lines: Iterator[bytes]) -> None:
    from ainsights.server.copying import transfer  # noqa: PLC0415  an extra
    from ainsights.server.copying.stream import CopyError  # noqa: PLC0415  the same

    try:
        with _progress("importing") as show:
            done = transfer.store(target, header, lines, show)
    except transfer.CutOffError as error:
        command = f"ainsights export ... --after '{error.place}' | ainsights import ..."
        go_on = f"; to go on, with the same stores: {command}" if error.place else ""
        raise CopyError(f"{error}; {error.stored} events are stored{go_on}") from error
    print(f"{target.name} has all {done.events} events of the copy, hash {done.hash}.")


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield what shows how far it is, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console  # noqa: PLC0415  an extra
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=max(done, total))


def _missing(command: str, error: ModuleNotFoundError) -> int:
    if error.name and error.name.startswith("ainsights"):
        raise error
    return _fail(command, "needs the server extra: pip install 'ainsights[server]'", FAILED)


def _fail(command: str, message: str, status: int) -> int:
    print(f"ainsights {command}: {message}", file=sys.stderr)
    return status
