"""``ainsights tail``: events as they are stored."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from ainsights._cli import arguments
from ainsights._cli.insights import options, output
from ainsights._cli.insights.client import LostError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ainsights._cli.insights.client import Client

SILENCE = 45.0
"""Seconds without a heartbeat after which the connection counts as lost."""

RETRY_SECONDS = 1.0


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``tail`` to those of ``ainsights``."""
    parser = options.add_command(subparsers, "tail", "show insights as they are stored", run)
    options.add_filter(parser)
    parser.add_argument(
        "--last", type=arguments.count, default=10, metavar="N", help="begin with the last ones (default: %(default)s)"
    )
    parser.add_argument("--count", type=arguments.count, metavar="N", help="stop after so many new ones")
    options.add_json(parser, "one JSON object a line")


def run(client: Client, args: argparse.Namespace) -> int:
    """Follow until Ctrl-C; return the exit status."""
    params = options.filter_params(args)
    after = client.get("status")["index"]["indexed_seq"]
    last = client.get("insights", limit=args.last, **params)["items"] if args.last else []
    for item in reversed(last):
        _print(item, args)
    shown = {item["seq"] for item in last}
    left = args.count
    for item in _following(client, params, after):
        if item["seq"] in shown:
            continue
        _print(item, args)
        left = None if left is None else left - 1
        if left == 0:
            break
    return 0


def _print(item: dict[str, Any], args: argparse.Namespace) -> None:
    print(json.dumps(item) if args.json else output.event_line(item), flush=True)


def _following(client: Client, params: dict[str, str], after: int) -> Iterator[dict[str, Any]]:
    """Yield events that follow ``after``; go on after a lost connection where it ended."""
    is_lost = False
    while True:
        try:
            headers = {"Last-Event-ID": str(after)}
            with client.stream("insights", "stream", params=params, headers=headers, timeout=SILENCE) as answer:
                is_lost = False
                for line in answer.iter_lines():
                    if line.startswith("data: "):
                        item = json.loads(line[6:])
                        yield item
                        after = item["seq"]
        except LostError as error:
            if not is_lost:
                print(f"ainsights tail: {error}; trying again", file=sys.stderr)
            is_lost = True
        time.sleep(RETRY_SECONDS)
