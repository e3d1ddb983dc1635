"""``ainsights query``: measures of events, in groups."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ainsights._cli.insights import options, output

if TYPE_CHECKING:
    import argparse

    from ainsights._cli.insights.client import Client


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``query`` to those of ``ainsights``."""
    parser = options.add_command(subparsers, "query", "measure stored insights, in groups", run)
    parser.add_argument(
        "query",
        metavar="QUERY",
        help="'MEASURE, ... by GROUP, ... order by NAME limit N', as 'p95 latency by model, hour'",
    )
    options.add_filter(parser)
    options.add_json(parser, "one JSON object")


def run(client: Client, args: argparse.Namespace) -> int:
    """Measure; return the exit status."""
    found = client.get("query", query=args.query, **options.filter_params(args))
    if args.json:
        print(json.dumps(found))
        return 0
    rows = found["rows"]
    numbers = [
        name
        for at, name in enumerate(found["columns"])
        if all(isinstance(row[at], (int, float, type(None))) for row in rows)
    ]
    output.print_table(found["columns"], rows, numbers)
    if found["truncated"]:
        print("There are more groups: raise the limit, or narrow the filter.")
    return 0
