"""``python -m ainsights.mock_openai``."""

# ruff: noqa: T201  a command line prints

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ainsights.mock_openai.script import DIRECTIVES, PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

EXTRA = {"h11", "starlette", "uvicorn"}
FAILED = 1
MISUSED = 2
LAST_PORT = 65535


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``python -m ainsights.mock_openai``; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m ainsights.mock_openai",
        description="Run a mock model API. The directives of a request choose its response. "
        "The first line printed is the base URL.",
        epilog="directives: " + ", ".join(DIRECTIVES).replace("%", "%%"),
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=0, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--announce", action="store_true", help="print the base URL and nothing else")
    args = parser.parse_args(argv)
    try:
        from ainsights.mock_openai.run import serve  # noqa: PLC0415  an extra
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        print(f"{parser.prog}: needs the server extra: pip install 'ainsights[server]'", file=sys.stderr)
        return FAILED
    try:
        serve(args.host, args.port, _announce if args.announce else _explain)
    except OSError as error:
        print(f"{parser.prog}: address {args.host}, port {args.port}: {error}", file=sys.stderr)
        return MISUSED
    return 0


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a number from 0 to {LAST_PORT}")
    return int(text)


def _announce(base_url: str) -> None:
    print(base_url, flush=True)


def _explain(base_url: str) -> None:
    _announce(base_url)
    print(f"\nGive it to a client as OPENAI_BASE_URL. Any model is served; one named {PREFIX}DIRECTIVE,… responds so:")
    for directive, meaning in DIRECTIVES.items():
        print(f"  {directive:<24}{meaning}")
    print("Ctrl-C stops it.", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
