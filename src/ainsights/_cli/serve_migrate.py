"""``ainsights serve migrate``: makes or changes the tables of a store on ClickHouse."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ainsights._cli import arguments
from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

MISUSED = 2


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``migrate`` to those of ``serve``."""
    parser = commands.add_parser(
        "migrate",
        help="make or change the tables on ClickHouse",
        description="Make the database and its tables on ClickHouse, or bring them to the version of this ainsights. "
        "It changes nothing in a database that is up to date, and may run while replicas serve.",
    )
    parser.add_argument("--store", metavar="URL", required=True, help="clickhouse://user@host/database")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Migrate; return the exit status: 0, or 2 if the store cannot be used."""
    try:
        arguments.check_one_store(args)
        from ainsights.server.clickhouse import address  # noqa: PLC0415  as below

        where = address.parse(args.store, os.environ)
        from ainsights.server.clickhouse import migrations  # noqa: PLC0415  an extra

        applied = migrations.migrate(where)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("ainsights"):
            raise
        return _fail("needs the clickhouse extra: pip install 'ainsights[clickhouse]'")
    except ConfigurationError as error:
        return _fail(str(error))
    done = f"migrated to schema {applied[-1]}" if applied else "nothing to do: the tables are up to date"
    print(f"{where.name}: {done}.")
    return 0


def _fail(message: str) -> int:
    print(f"ainsights serve migrate: {message}", file=sys.stderr)
    return MISUSED
