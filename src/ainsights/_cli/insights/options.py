"""Arguments that the commands share."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ainsights._cli.insights.client import Client, CommandError

if TYPE_CHECKING:
    from collections.abc import Callable

MISUSED = 2
FILTER_HELP = "such as model:gpt-4o, status:error, 'latency>2s', user:ann, meta.team:x, word, '\"a phrase\"', -word"
EPILOG = """\
The endpoint is --url or AINSIGHTS_BASE_URL (default: http://127.0.0.1:8383), the key --api-key, AINSIGHTS_API_KEY or
AINSIGHTS_SERVER_KEY.{about_filter}

exit status: 0 done; 1 failed; 2 wrong usage or filter; 130 stopped by Ctrl-C
"""
ABOUT_FILTER = " All words of a filter must hold; a minus before a word negates it."


def add_command(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    about: str,
    work: Callable[[Client, argparse.Namespace], int],
) -> argparse.ArgumentParser:
    """Add a command that asks an endpoint, and return its parser."""
    parser = subparsers.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog=EPILOG.format(about_filter=""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,  # -h would hide words of a filter such as -has:cost
    )
    parser.add_argument("--help", action="help", help="show this help message and exit")
    parser.add_argument("--url", help="URL of the endpoint")
    parser.add_argument("--api-key", metavar="KEY", help="other users of the machine can see it here")

    def run(args: argparse.Namespace) -> int:
        try:
            with Client(args.url, args.api_key) as client:
                return work(client, args)
        except CommandError as error:
            print(f"ainsights {name}: {error}", file=sys.stderr)
            return error.status

    parser.set_defaults(run=run)
    return parser


def add_filter(parser: argparse.ArgumentParser) -> None:
    """Add the words of a filter."""
    parser.epilog = EPILOG.format(about_filter=ABOUT_FILTER)
    parser.add_argument("filter", nargs="*", metavar="FILTER", help=FILTER_HELP)
    parser.add_argument("--since", metavar="TIME", help="7d, 24h, 30m (ago), a date, or RFC 3339")
    parser.add_argument("--until", metavar="TIME", help="as --since")


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help=f"print {what}, for programs")


def filter_params(args: argparse.Namespace) -> dict[str, str]:
    """Return the filter as URL parameters."""
    given = {"q": " ".join(args.filter), "since": args.since, "until": args.until}
    return {name: value for name, value in given.items() if value}
