"""``ainsights spool``: the events that are kept on disk."""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ainsights._cli import arguments
from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ainsights._client import Insights
    from ainsights._config import Settings
    from ainsights._delivery.spool.spool import Spool, SpoolStatus

FAILED = 1
MISUSED = 2
POLL_INTERVAL = 0.5
"""Seconds between two checks of a flush's progress."""

EXAMPLES = """\
The directory is that of AINSIGHTS_SPOOL_DIR, or of --dir; key and endpoint are those of the environment.
Any number of processes may share it, this command among them: each event is sent by one of them.

exit status: 0 done; 1 something is left, or the spool cannot be used; 2 wrong usage or settings; 130 stopped by Ctrl-C
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``spool`` to those of ``ainsights``."""
    parser = subparsers.add_parser(
        "spool",
        help="see, deliver or retry the events that are kept on disk",
        description="See, deliver or retry the events that are kept on disk.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=lambda _args: parser.error("choose a subcommand: status, flush or retry-rejected"))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    status = _add(commands, "status", _status, "show how many events there are, and why some were rejected")
    status.add_argument("--json", action="store_true", help="print one JSON object")
    flush = _add(commands, "flush", _flush, "deliver all events that no running process has claimed")
    flush.add_argument(
        "--patience",
        type=arguments.seconds,
        default=30.0,
        metavar="SECONDS",
        help="give up after so long without a delivery (default: %(default)g)",
    )
    _add(commands, "retry-rejected", _retry_rejected, "send the events that the endpoint rejected once more")


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    work: Callable[[argparse.Namespace, Settings, Spool], int],
    about: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="the spool's directory (default: AINSIGHTS_SPOOL_DIR)")

    def run(args: argparse.Namespace) -> int:
        from ainsights._config import load  # noqa: PLC0415  start-up of the other commands stays light
        from ainsights._delivery.spool.spool import Spool  # noqa: PLC0415  the same

        try:
            settings = load(spool_dir=args.dir)
        except ConfigurationError as error:
            return _fail(str(error), MISUSED)
        directory = settings.spool_dir
        if directory is None:
            return _fail("no spool directory: set AINSIGHTS_SPOOL_DIR or give --dir DIR", MISUSED)
        if not (directory / "spool.db").exists():
            return _fail(f"there is no spool in {directory}: no event was ever kept there", FAILED)
        spool = Spool(directory, settings.spool_max_bytes)
        try:
            return work(args, settings, spool)
        finally:
            spool.close()

    parser.set_defaults(run=run)
    return parser


# The commands


def _status(args: argparse.Namespace, settings: Settings, spool: Spool) -> int:
    status = spool.status()
    if spool.problem is not None:
        return _fail(f"the spool {spool.directory} cannot be read: {spool.problem}", FAILED)
    if args.json:
        print(json.dumps(asdict(status) | {"directory": str(spool.directory), "limit": settings.spool_max_bytes}))
        return 0
    print(f"Spool {spool.directory}: {_size(status.bytes)} of {_size(settings.spool_max_bytes)}")
    print(f"  {status.waiting:>7,}  waiting for a process, or for: ainsights spool flush")
    print(f"  {status.claimed:>7,}  claimed by running processes")
    print(f"  {status.dead:>7,}  rejected by the endpoint; to send them again: ainsights spool retry-rejected")
    if status.oldest is not None:
        made = datetime.fromtimestamp(status.oldest, timezone.utc).isoformat(" ", "seconds")
        print(f"The oldest is of {made.removesuffix('+00:00')} UTC.")
    for reason in dict.fromkeys(status.reasons):
        print(f"Rejected because: {reason}")
    return 0


def _retry_rejected(_args: argparse.Namespace, _settings: Settings, spool: Spool) -> int:
    count = spool.retry_rejected()
    if spool.problem is not None:
        return _fail(f"the spool {spool.directory} cannot be changed: {spool.problem}", FAILED)
    if count:
        print(f"{_events(count)} will be sent again: by the next process that uses the spool, or ainsights spool flush")
    else:
        print("No event was rejected.")
    return 0


def _flush(args: argparse.Namespace, settings: Settings, spool: Spool) -> int:
    from ainsights._client import Insights  # noqa: PLC0415  the same
    from ainsights._config import NO_KEY  # noqa: PLC0415  the same

    before = spool.status()
    if spool.problem is not None:
        return _fail(f"the spool {spool.directory} cannot be read: {spool.problem}", FAILED)
    if settings.disabled_reason == NO_KEY:
        return _fail(f"{NO_KEY}.", MISUSED)
    if not before.waiting:
        print(f"No event is waiting.{_others(before)}")
        return 0

    insights = Insights(spool_dir=settings.spool_dir)
    try:
        with _progress(before.waiting) as show:
            done = _deliver(insights, args.patience, show)
    finally:
        insights.close(POLL_INTERVAL)
    return _report(insights, spool.status(), done=done)


def _deliver(insights: Insights, patience: float, show: Callable[[int], None]) -> bool:
    """Deliver until no event is waiting; False if the endpoint refuses all, or ``patience`` runs out."""
    insights.start_delivery()
    finished, moved_at = 0, time.monotonic()
    while True:
        done = insights.flush(POLL_INTERVAL)
        stats = insights.stats()
        if stats.delivered + stats.rejected > finished:
            finished, moved_at = stats.delivered + stats.rejected, time.monotonic()
        show(finished)
        if done or stats.held or time.monotonic() - moved_at > patience:
            return done


def _report(insights: Insights, after: SpoolStatus, *, done: bool) -> int:
    stats = insights.stats()
    print(f"{_events(stats.delivered)} delivered" + (f", {stats.rejected:,} rejected" if stats.rejected else "") + ".")
    if done and not after.waiting:
        print(_others(after).strip() or "No event is waiting.")
        return FAILED if stats.rejected else 0
    return _fail(f"{_events(after.waiting)} left: {stats.last_error or 'time ran out'}", FAILED)


# Output


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show how far a flush is: a bar on a terminal where rich is installed, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    try:
        from rich.console import Console  # noqa: PLC0415  of the server extra
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    except ImportError:
        print(f"Delivering {_events(total)} ...", file=sys.stderr)
        yield lambda _count: None
        return
    columns: tuple[Any, ...] = (TextColumn("Delivering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.update(task, completed=count)


def _others(status: SpoolStatus) -> str:
    return f" {_events(status.claimed)} claimed by running processes." if status.claimed else ""


def _events(count: int) -> str:
    return f"{count:,} event{'' if count == 1 else 's'}"


def _size(count: int) -> str:
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if size < 1024:  # noqa: PLR2004  the next unit
            break
        size, unit = size / 1024, larger
    return f"{size:,.1f}".removesuffix(".0") + f" {unit}"


def _fail(message: str, status: int) -> int:
    print(f"ainsights spool: {message}", file=sys.stderr)
    return status
