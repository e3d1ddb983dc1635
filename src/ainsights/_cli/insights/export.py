"""``ainsights export``: every event of a filter as CSV or JSON lines."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ainsights._cli import copy
from ainsights._cli.insights import options, output
from ainsights._cli.insights.client import CommandError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ainsights._cli.insights.client import Client

MODE = 0o600
"""Of the file: what users asked is for its owner only."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``export`` to those of ``ainsights``."""
    parser = options.add_command(subparsers, "export", "write stored insights as JSON lines or CSV", run)
    options.add_filter(parser)
    parser.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="(default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="(default: stdout)")
    copy.add_export(parser)
    ask = parser.get_default("run")
    parser.set_defaults(run=lambda args: copy.run_export(args) if copy.is_copy(args) else ask(args))


def run(client: Client, args: argparse.Namespace) -> int:
    """Export; return the exit status."""
    params = options.filter_params(args)
    total = client.get("insights", limit=1, **params)["total"]
    done = 0
    with (
        output.progress("exporting", total) as show,
        client.stream("export", params={"format": args.format, **params}) as answer,
        _target(args.output) as file,
    ):
        for part in answer.iter_bytes():
            file.write(part)
            done += part.count(b"\n")
            show(done)
    if args.output:
        print(f"Wrote {args.output}.")
    return 0


@contextmanager
def _target(path: Path | None) -> Iterator[IO[bytes]]:
    """Yield the file to write; it has its name only once it is whole."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = path.with_name(f"{path.name}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, MODE)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        _rename(part, path)
    finally:
        part.unlink(missing_ok=True)


def _rename(part: Path, path: Path) -> None:
    try:
        part.replace(path)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
