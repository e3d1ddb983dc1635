"""``ainsights list``: the events of a filter, newest first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ainsights._cli import arguments
from ainsights._cli.insights import options, output

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ainsights._cli.insights.client import Client

PAGE = 500


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``list`` to those of ``ainsights``."""
    parser = options.add_command(subparsers, "list", "list stored insights, newest first", run)
    options.add_filter(parser)
    parser.add_argument(
        "--limit", type=arguments.count_above_0, default=50, metavar="N", help="how many at most (default: %(default)s)"
    )
    parser.add_argument("--order", metavar="NAME", help="time, latency, tokens, cost, ...; 'latency asc' for ascending")
    options.add_json(parser, "one JSON object a line")


def run(client: Client, args: argparse.Namespace) -> int:
    """List; return the exit status."""
    params = options.filter_params(args) | ({"order": args.order} if args.order else {})
    items = pages(client, params, args.limit)
    if args.json:
        for item in items:
            print(json.dumps(item))
    else:
        output.print_events(list(items))
    return 0


def pages(client: Client, params: dict[str, str], limit: int) -> Iterator[dict[str, Any]]:
    """Yield events, a page at a time."""
    cursor: dict[str, str] = {}
    while limit > 0:
        page = client.get("insights", limit=min(limit, PAGE), **params, **cursor)
        yield from page["items"]
        limit -= len(page["items"])
        if not page["next_cursor"]:
            return
        cursor = {"cursor": page["next_cursor"]}
