"""``ainsights query``: measures of events, in groups."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

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


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00\.000000Z")


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
    output.print_table(found["columns"], [[_shown(value) for value in row] for row in rows], numbers)
    if found["truncated"]:
        print("There are more groups: raise the limit, or narrow the filter.")
    return 0


def _shown(value: Any) -> Any:
    """Return the beginning of an interval without its zeros, and any other value as it is."""
    if isinstance(value, str) and _TIME.fullmatch(value):
        return value[:16].replace("T", " ").removesuffix(" 00:00")
    return value
