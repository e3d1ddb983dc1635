"""``ainsights erase``: an event, or all of a user's events, at once and for good."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ainsights._cli.insights import options
from ainsights._cli.insights.client import MISUSED, CommandError
from ainsights._logging import sanitize

if TYPE_CHECKING:
    import argparse

    from ainsights._cli.insights.client import Client


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``erase`` to those of ``ainsights``."""
    parser = options.add_command(subparsers, "erase", "erase stored insights, at once and for good", run)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--id", metavar="ID", help="the event with this id")
    what.add_argument("--user", metavar="USER", help="all events of this user")
    parser.add_argument("--reason", default="", help="why, for the records")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(client: Client, args: argparse.Namespace) -> int:
    """Erase; return the exit status."""
    what = f"the event {args.id!r}" if args.id is not None else f"all events of the user {args.user!r}"
    if not args.yes:
        _confirm(sanitize(what), client.url)
    path = ("insights", args.id) if args.id is not None else ("users", args.user)
    erased = client.delete(*path, **({"reason": args.reason} if args.reason else {}))["erased"]
    print(f"Erased {erased} event{'' if erased == 1 else 's'}.")
    return 0


def _confirm(what: str, url: str) -> None:
    if not sys.stdin.isatty():
        raise CommandError("no terminal to confirm at: give --yes", MISUSED)
    if input(f"Erase {what} at {url}, for good? Type yes: ").strip().lower() != "yes":
        raise CommandError("nothing was erased")
