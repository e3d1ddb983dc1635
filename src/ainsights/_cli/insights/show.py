"""``ainsights show``: one event."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ainsights._cli.insights import options, output

if TYPE_CHECKING:
    import argparse

    from ainsights._cli.insights.client import Client

_APART = ("body", "meta", "neighbors", "question", "answer")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``show`` to those of ``ainsights``."""
    parser = options.add_command(subparsers, "show", "show one stored insight", run)
    parser.add_argument("id", metavar="ID", help="event id")
    options.add_json(parser, "one JSON object with the body as it was received")


def run(client: Client, args: argparse.Namespace) -> int:
    """Show the event; return the exit status."""
    event = client.get("insights", args.id)
    if args.json:
        print(json.dumps(event))
        return 0
    rows = {name: value for name, value in event.items() if name not in _APART and value not in (None, [])}
    rows |= {f"meta.{name}": value for name, value in event["meta"].items()}
    output.print_table(("field", "value"), [(name, _joined(value)) for name, value in rows.items()])
    for title, text in (("asked", event["question"]), ("answered", event["answer"])):
        print(f"{title}:\n{output.show_text(text)}\n")
    return 0


def _joined(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value
