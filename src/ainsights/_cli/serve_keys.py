"""``ainsights serve keys``: the API keys of a local Insights endpoint, while it runs or not."""

from __future__ import annotations

import argparse
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ainsights._cli import arguments
from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ainsights.server.keys import KeyStore

ROLES = ("write", "read", "admin")
MISUSED = 2


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``keys`` to those of ``serve``."""
    keys = commands.add_parser(
        "keys", help="add, list and revoke API keys", description="Manage API keys; a running endpoint follows at once."
    )
    actions = keys.add_subparsers(metavar="ACTION", required=True)
    add = actions.add_parser("add", help="make a key, and print it once")
    add.add_argument("name", metavar="NAME", help="whom or what it is for")
    add.add_argument(
        "--role",
        action="append",
        choices=ROLES,
        help="write: send insights; read: read them; admin: read and erase them; can be repeated (default: write)",
    )
    add.set_defaults(run=_add)
    show = actions.add_parser("list", help="list the keys' names and roles")
    show.set_defaults(run=_list)
    revoke = actions.add_parser("revoke", help="have a key refused from now on")
    revoke.add_argument("name", metavar="NAME")
    revoke.set_defaults(run=_revoke)
    for action in (add, show, revoke):
        store = action.add_mutually_exclusive_group()
        store.add_argument(
            "--db", type=Path, default=argparse.SUPPRESS, help="SQLite file of the endpoint (default: insights.db)"
        )
        store.add_argument(
            "--store",
            metavar="URL",
            default=argparse.SUPPRESS,
            help="the endpoint's store on ClickHouse, if it is there",
        )


def _add(args: argparse.Namespace) -> int:
    try:
        with _opened(args) as keys:
            key = keys.add(args.name, args.role or ["write"])
    except ConfigurationError as error:
        return _fail(error)
    print(f"API key {args.name!r}, shown only now: {key}")
    return 0


def _list(args: argparse.Namespace) -> int:
    try:
        with _opened(args) as store:
            keys = store.read()
    except ConfigurationError as error:
        return _fail(error)
    for key in keys:
        print(f"{key.name}  {','.join(sorted(key.roles))}  {key.created_at}")
    if not keys:
        print("No keys.", file=sys.stderr)
    return 0


def _revoke(args: argparse.Namespace) -> int:
    try:
        with _opened(args) as keys:
            if not keys.revoke(args.name):
                return _fail(f"no key is called {args.name!r}")
    except ConfigurationError as error:
        return _fail(error)
    print(f"Revoked {args.name!r}.")
    return 0


@contextmanager
def _opened(args: argparse.Namespace) -> Iterator[KeyStore]:
    try:
        from ainsights.server import backends  # noqa: PLC0415  an extra, and start-up of the others stays light
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("ainsights"):
            raise
        raise ConfigurationError("needs the server extra: pip install 'ainsights[server]'") from None
    arguments.check_one_store(args)
    with backends.opened_keys(args.db, args.store) as keys:
        yield keys


def _fail(error: object) -> int:
    print(f"ainsights serve keys: {error}", file=sys.stderr)
    return MISUSED
