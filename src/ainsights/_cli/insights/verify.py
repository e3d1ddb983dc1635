"""``ainsights verify``: proof that nothing that is stored was changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ainsights._cli import arguments
from ainsights._cli.insights import options, output
from ainsights._cli.insights.client import CommandError
from ainsights._logging import sanitize

if TYPE_CHECKING:
    import argparse

    from ainsights._cli.insights.client import Client

FAILED = 1


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``verify`` to those of ``ainsights``."""
    parser = options.add_command(subparsers, "verify", "prove that no stored insight was changed or removed", run)
    parser.add_argument(
        "--entries", type=arguments.count_above_0, metavar="N", help="the chain must have the entry N ..."
    )
    parser.add_argument("--head", metavar="HASH", help="... with this hash, as an earlier run printed them")
    options.add_json(parser, "one JSON object")


def run(client: Client, args: argparse.Namespace) -> int:
    """Verify; return the exit status: 1 if something is wrong."""
    noted = {name: value for name, value in (("entries", args.entries), ("head", args.head)) if value is not None}
    if len(noted) == 1:
        given, missing = ("--entries", "--head") if "entries" in noted else ("--head", "--entries")
        raise CommandError(f"{given} needs {missing}: give both, as an earlier run printed them", options.MISUSED)
    found = _found(client, noted)
    if args.json:
        print(json.dumps(found))
    elif found["problem"] is None and not found["entries"]:
        print("Nothing is stored yet, so there is nothing to verify.")
    elif found["problem"] is None:
        print(f"All {found['events']} events are as they were stored.")
        print(f"Note elsewhere: --entries {found['entries']} --head {found['head']}")
    else:
        print(f"Not as it was stored: {sanitize(found['problem'])}")
    return 0 if found["problem"] is None else FAILED


def _found(client: Client, noted: dict[str, Any]) -> dict[str, Any]:
    total = client.get("status")["store"]["last_seq"]
    with (
        output.progress("verifying", total) as show,
        client.stream("verify", params=noted, timeout=None) as answer,
    ):
        for line in answer.iter_lines():
            found: dict[str, Any] = json.loads(line)
            if found["done"]:
                return found
            show(found["events"])
    raise CommandError("the endpoint ended before the verification did")
