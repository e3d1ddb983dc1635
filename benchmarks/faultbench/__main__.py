"""``python benchmarks/faultbench [--size small|full] [--only NAME]``: run the scenarios and print one table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests")]  # the endpoint that fails is that of the tests

from faultbench import answers, deaths, floods  # noqa: E402  only now can they be found
from faultbench.row import FULL, SMALL  # noqa: E402  the same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faultbench.row import Row, Size

HEADINGS = ("", "made", "delivered", "duplicates", "in spool", "dropped", "slowest call", "bare", "to exit", "")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=("small", "full"), default="full")
    parser.add_argument("--only", action="append", help="scenarios by name")
    args = parser.parse_args()
    size = FULL if args.size == "full" else SMALL
    rows = []
    bare, ours = answers.bare_and_ours()
    for name, run in scenarios(size, bare.slowest):
        if args.only is None or name in args.only:
            print(f"{name} ...", file=sys.stderr, flush=True)
            rows.append(run())
    for line in table(rows):
        print(line)
    print(f"The first call of a process, which loads the pipeline: {_ms(ours.first)}, bare {_ms(bare.first)}.")
    return 1 if any(row.broken for row in rows) else 0


def scenarios(size: Size, bare: float) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Return all scenarios, by name."""
    yield from answers.rows(size, bare)
    yield from floods.rows(size, bare)
    yield from deaths.rows(size, bare)


def table(rows: list[Row]) -> Iterator[str]:
    cells = [HEADINGS, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS) - 1)]
    for line in cells:
        numbers = [text.rjust(width) for text, width in zip(line[1:-1], widths[1:], strict=True)]
        yield "  ".join([line[0].ljust(widths[0]), *numbers, line[-1]]).rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    dropped = ", ".join(f"{count} {reason}" for reason, count in row.dropped.items()) or "0"
    verdict = "; ".join([*(f"BROKEN: {what}" for what in row.broken), *row.notes])
    counts = (row.made, row.delivered, row.duplicates, row.in_spool)
    return (
        row.name,
        *(f"{count:,}" for count in counts),
        dropped,
        _ms(row.slowest),
        _ms(row.bare),
        "" if row.to_exit is None else f"{row.to_exit:.2f} s",
        verdict,
    )


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.1f} ms"


if __name__ == "__main__":
    sys.exit(main())
