"""The command line, a file for each command."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from ainsights._cli import copy, demo, doctor, insights, run, serve, spool
from ainsights._version import __version__
from ainsights.errors import InsightsError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (run, doctor, spool, serve, *insights.COMMANDS, copy, demo)

OUTPUT_FAILED = {errno.EBADF, errno.EIO, errno.ENOSPC, errno.EPIPE}
"""How a write to stdout fails."""

FAILED = 1
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    _prepare_streams()
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
    except InsightsError as error:
        print(f"ainsights: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if error.errno not in OUTPUT_FAILED or error.filename is not None:
            raise
        _discard_output()
        if not isinstance(error, BrokenPipeError):  # whose reader has seen enough
            print(f"ainsights: the output cannot be written: {error.strerror}", file=sys.stderr)
        return FAILED


def _run(argv: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="ainsights", description="Captures OpenAI chat completions and responses as insights."
    )
    parser.add_argument("--version", action="version", version=f"ainsights {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="subcommand", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    args, rest = parser.parse_known_args(argv)
    if rest and ("filter" not in args or any(word.startswith("--") for word in rest)):
        subparsers.choices[args.subcommand].error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:  # words of a filter that stand after an option, or begin with a minus
        args.filter += rest
    status: int = args.run(args)
    return status


def _prepare_streams() -> None:
    """Make all output possible: into closed streams, and of characters that the locale does not have."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the descriptor was closed when Python started
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  it is never closed
        with suppress(AttributeError):  # of a stream that a test put there
            getattr(sys, name).reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Discard what waits in stdout, which Python would try to write at exit once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
