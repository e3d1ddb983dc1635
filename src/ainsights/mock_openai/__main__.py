"""``python -m ainsights.mock_openai``."""

# ruff: noqa: T201  a command line prints

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ainsights.mock_openai.run import serve
from ainsights.mock_openai.script import DIRECTIVES, PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

MISUSED = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``python -m ainsights.mock_openai``; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m ainsights.mock_openai",
        description="Run a model API that answers as the request tells it to. The first line printed is its base URL.",
        epilog="directives: " + ", ".join(DIRECTIVES).replace("%", "%%"),
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--announce", action="store_true", help="print the base URL and nothing else")
    args = parser.parse_args(argv)
    try:
        serve(args.host, args.port, _announced if args.announce else _explained)
    except (OSError, OverflowError) as error:
        print(f"{parser.prog}: address {args.host}, port {args.port}: {error}", file=sys.stderr)
        return MISUSED
    return 0


def _announced(base_url: str) -> None:
    print(base_url, flush=True)


def _explained(base_url: str) -> None:
    _announced(base_url)
    print(f"\nGive it to a client as OPENAI_BASE_URL. Any model is served; one named {PREFIX}DIRECTIVE,… answers so:")
    for directive, meaning in DIRECTIVES.items():
        print(f"  {directive:<24}{meaning}")
    print("Ctrl-C stops it.", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
