"""Types of arguments that several commands take. Their errors name no function of ours."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from ainsights._base_url import normalize_path
from ainsights.errors import ConfigurationError

DATABASE = Path("insights.db")
"""The file of an endpoint where none is named."""


def check_one_store(args: argparse.Namespace) -> None:
    """Refuse ``--db`` and ``--store`` together, where one is given to a command and one to its subcommand.

    Raises:
        ConfigurationError: both are given.
    """
    if args.store is not None and args.db is not DATABASE:
        raise ConfigurationError("argument --store: not allowed with argument --db")


def port(text: str) -> int:
    """Return the number of a port."""
    return _integer(text, 0, 65535, "a port: a number from 0 to 65535")


def size(text: str) -> int:
    """Return a number of bytes."""
    return _integer(text, 1, 2**63, "a size: a number of bytes above 0")


def count(text: str) -> int:
    """Return how many."""
    return _integer(text, 0, 10**9, "a number, 0 or more")


def count_above_0(text: str) -> int:
    """Return how many, at least one."""
    return _integer(text, 1, 10**9, "a number, 1 or more")


def seconds(text: str) -> float:
    """Return a length of time."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: seconds, 0 or more")
    return value


def _integer(text: str, low: int, high: int, what: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return value


def days(text: str) -> float:
    """Return a number of days above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e6:  # noqa: PLR2004  some 2,700 years
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days: give one above 0")
    return number


def path(text: str) -> str:
    """Return the path of a URL."""
    try:
        return normalize_path(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a path such as /insight: {error}") from None
