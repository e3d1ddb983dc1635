"""Tables, lines and progress bars. All that others wrote is sanitized here."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ainsights._cli.insights.client import CommandError
from ainsights._logging import sanitize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import Console

WIDE = 160
"""Characters of a line where the output is not a terminal."""

LONGEST_CELL = 200
PATIENCE = 1.0
"""Seconds after which progress is shown."""

EVENT_COLUMNS = ("time", "id", "model", "status", "user", "latency", "tokens", "cost", "question")
_NUMBERS = ("latency", "tokens", "cost")
_LEFT_OUT_FIRST = ("cost", "tokens", "id", "latency", "user")
QUESTION_WIDTH = 20
"""Characters of a question that are worth more than another column."""

SPACING = 3
"""Characters between two columns."""


def console(*, stderr: bool = False) -> Console:
    """Return where to print.

    Raises:
        CommandError: rich is not installed.
    """
    try:
        from rich.console import Console  # noqa: PLC0415  an extra
    except ModuleNotFoundError:
        raise CommandError("needs the server extra: pip install 'ainsights[server]'") from None
    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal and not os.environ.get("COLUMNS"):
        made.width = WIDE
    return made


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], numbers: Iterable[str] = ()) -> None:
    """Print rows as a table; cells may be anything that others wrote."""
    if not rows:
        print("No insights match.")
        return
    to = console()
    from rich import box  # noqa: PLC0415  an extra
    from rich.table import Table  # noqa: PLC0415  the same
    from rich.text import Text  # noqa: PLC0415  the same

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    right = set(numbers)
    cells = [[cell(value) for value in row] for row in rows]
    for at, name in enumerate(columns):
        justify, overflow = ("right" if name in right else "left"), ("fold" if name == "id" else "ellipsis")
        widest = max(map(len, [name, *(row[at] for row in cells)])) if name in right else None  # a number is whole
        heading = Text(sanitize(name))
        table.add_column(heading, justify=justify, overflow=overflow, no_wrap=name != "id", min_width=widest)  # type: ignore[arg-type]
    for row in cells:
        table.add_row(*map(Text, row))
    to.print(table)


def print_events(items: Sequence[dict[str, Any]]) -> None:
    """Print events as a table, with the columns that the terminal has room for."""
    rows = [event_row(item) for item in items]
    chosen = _fitting(rows, console().width)
    print_table([EVENT_COLUMNS[at] for at in chosen], [[row[at] for at in chosen] for row in rows], _NUMBERS)


def _fitting(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return which columns to show: the least important are left out until the question has room."""
    widths = [max(map(len, [name, *(row[at] for row in rows)])) for at, name in enumerate(EVENT_COLUMNS)]
    widths[-1] = min(widths[-1], QUESTION_WIDTH)
    chosen = list(range(len(EVENT_COLUMNS)))
    for name in _LEFT_OUT_FIRST:
        if sum(widths[at] + SPACING for at in chosen) <= width:
            break
        chosen.remove(EVENT_COLUMNS.index(name))
    return chosen


def event_row(item: dict[str, Any]) -> list[str]:
    """Return the columns of an event, as texts."""
    shown = item | {
        "time": str(item["time"])[:19].replace("T", " "),
        "status": item["error"] or item["status"],
        "latency": "" if item["latency"] is None else f"{item['latency']:,.0f} ms",
        "cost": "" if item["cost"] is None else f"${item['cost']:.4f}",
    }
    return [cell(shown[name]) for name in EVENT_COLUMNS]


def event_line(item: dict[str, Any]) -> str:
    """Return an event as one line."""
    return "  ".join(filter(None, event_row(item)))


def cell(value: object) -> str:
    """Return a value as one line that a terminal can show."""
    if value is None:
        return ""
    if isinstance(value, float):
        value = f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"  # noqa: PLR2004  four digits
    text = " ".join(str(value).split())
    return sanitize(text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 3]}...")


def show_text(text: str) -> str:
    """Return captured text of several lines, fit to be shown."""
    return "\n".join(sanitize(line.expandtabs()) for line in text.splitlines())


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yield what is to be called with the number that is done; a bar appears on a terminal after a second."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.progress import Progress  # noqa: PLC0415  an extra

    began = time.monotonic()
    with Progress(console=console(stderr=True), transient=True, disable=False) as bar:
        task = bar.add_task(title, total=total, visible=False)
        yield lambda done: bar.update(task, completed=done, visible=time.monotonic() - began >= PATIENCE)
