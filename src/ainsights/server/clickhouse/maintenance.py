"""What a replica does beside storing: the access log, its slot, retention, and the purge of what was erased.

Retention and purge change nothing that another replica could do at the same time to harm; one of them does it usually,
that with the lowest slot.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from ainsights._logging import log_rate_limited
from ainsights.server.clickhouse import erasure, ledger
from ainsights.server.clickhouse.numbers import number_at
from ainsights.server.clickhouse.slots import BEAT_SECONDS
from ainsights.server.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ainsights.server.clickhouse.access_log import AccessLog
    from ainsights.server.clickhouse.connection import Connection
    from ainsights.server.clickhouse.ledger import Ledger
    from ainsights.server.clickhouse.slots import Slot

TICK_SECONDS = 1.0
CHECK_SECONDS = 30.0
CLOCK_SECONDS = 60.0

PURGE_HOUR = 3
"""UTC. What was erased before is removed from the disk then."""

EPOCH = date(1970, 1, 1)
DAY_SECONDS = 86_400.0
MICROSECOND = 1_000_000

_PARTITIONS = (
    "SELECT DISTINCT partition FROM system.parts "
    "WHERE active AND database = currentDatabase() AND table = 'event' ORDER BY partition"
)


class Maintenance:
    """Runs from :meth:`open` to :meth:`close`."""

    def __init__(
        self,
        connection: Connection,
        slot: Slot,
        access_log: AccessLog,
        retention: Callable[[], None],
        on_failure: Callable[[StoreError], None],
    ) -> None:
        """Take what it does its work with.

        Args:
            connection: to the store.
            slot: is confirmed.
            access_log: is flushed.
            retention: removes what is beyond the retention.
            on_failure: is called when the slot could not be confirmed: nothing can be stored then.
        """
        self._connection = connection
        self._slot = slot
        self._access_log = access_log
        self._retention = retention
        self._on_failure = on_failure
        self._due: dict[str, float] = {}
        self._purged_at = 0.0
        self._purging_since: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ainsights-server-maintenance", daemon=True)

    def open(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread after the step that it is at."""
        self._stopping.set()
        if self._thread.ident:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            self._attempt("access log", 0.0, self._access_log.flush)
            self._attempt("slot", BEAT_SECONDS, self._confirm)
            self._attempt("clock", CLOCK_SECONDS, self._connection.read_clock)
            self._attempt("check", CHECK_SECONDS, self._check)

    def _attempt(self, what: str, every: float, work: Callable[[], None]) -> None:
        """Do what is due; while ClickHouse is away, again with the next tick."""
        if time.monotonic() < self._due.get(what, 0.0):
            return
        try:
            work()
        except StoreError:
            return  # the writer logs that ClickHouse is away
        except Exception as error:  # noqa: BLE001  the thread must live
            log_rate_limited("error", f"maintenance {what}", "Internal error in maintenance: %r", error, error=error)
        self._due[what] = time.monotonic() + every

    def _confirm(self) -> None:
        try:
            self._slot.confirm()
        except StoreError as error:
            self._on_failure(error)
            raise

    def _check(self) -> None:
        if not self._slot.is_first:
            return
        self._retention()
        self._purge(self._connection.now())

    def _purge(self, now: float) -> None:
        """Start the purge at night, and look later whether it is through."""
        if self._purging_since is not None:
            if erasure.finish_purge(self._connection, self._purging_since):
                self._purging_since = None
            return
        self._purged_at = self._purged_at or now
        oldest = min((number / 1000 for number, _ in erasure.pending(self._connection)), default=now)
        if is_purge_due(min(oldest, self._purged_at), now):
            self._purging_since = now if erasure.start_purge(self._connection) else None
            self._purged_at = now


def is_purge_due(since: float, now: float) -> bool:
    """Whether the hour of the purge came between the two times."""
    erased = datetime.fromtimestamp(since, timezone.utc)
    purge = erased.replace(hour=PURGE_HOUR, minute=0, second=0, microsecond=0)
    if purge <= erased:
        purge += timedelta(days=1)
    return now >= purge.timestamp()


def apply_retention(connection: Connection, chain: Ledger, keep_days: float) -> None:
    """Drop the partitions of days that ended longer ago than ``keep_days``.

    Events whose body has no time stand in one partition, and those of a clock that is fast in partitions to come: of
    them those are hidden that were received earlier.
    """
    before = connection.now() - keep_days * DAY_SECONDS
    last_day = int(before // DAY_SECONDS) - 1
    partitions = [text for (text,) in connection.rows(_PARTITIONS)]
    days = {text: (date.fromisoformat(text) - EPOCH).days for text in partitions}
    expired = [text for text, day in days.items() if 0 < day <= last_day]
    undated_before = number_at(before)
    future = int((before + DAY_SECONDS) * MICROSECOND)
    undated_too_old = f"(key_time = 0 OR key_time > {future:d}) AND seq < {undated_before:d}"
    undated = connection.rows(f"SELECT count() FROM event WHERE {undated_too_old}")[0][0]  # noqa: S608  numbers
    if not expired and not undated:
        return
    detail = {"by": "retention", "through_day": last_day, "undated_before": undated_before}
    chain.append(ledger.RETENTION, (), json.dumps(detail))
    cluster = connection.address.cluster.clause
    for partition in expired:
        connection.command(f"ALTER TABLE event{cluster} DROP PARTITION '{partition}'")
    if undated:
        connection.command(
            f"DELETE FROM event{cluster} WHERE {undated_too_old}",  # noqa: S608  numbers
            lightweight_deletes_sync=2,
        )
    with suppress(StoreError):
        _drop_links(connection, before)


def _drop_links(connection: Connection, before: float) -> None:
    """Drop the links of months that ended before."""
    month = datetime.fromtimestamp(before, timezone.utc).strftime("%Y%m")
    rows = connection.rows(_PARTITIONS.replace("'event'", "'link'"))
    for (partition,) in rows:
        if partition < month:
            connection.command(f"ALTER TABLE link{connection.address.cluster.clause} DROP PARTITION {int(partition):d}")
