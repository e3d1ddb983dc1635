"""The command line, a file for each command."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from ainsights._cli import demo, doctor, run, serve, spool
from ainsights._version import __version__
from ainsights.errors import InsightsError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (run, doctor, spool, serve, demo)

FAILED = 1
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="ainsights", description="Captures OpenAI chat completions as insights.")
    parser.add_argument("--version", action="version", version=f"ainsights {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    args = parser.parse_args(argv)
    try:
        status: int = args.run(args)
    except InsightsError as error:
        print(f"ainsights: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return status
