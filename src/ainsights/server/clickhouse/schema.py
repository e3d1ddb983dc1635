"""The tables in ClickHouse.

::

    event       one row for each insight: its columns, its words and its body
    ledger      the hash chains: one entry for each batch of a replica, with the MACs of its events
    link        hashes by which events find their conversations (see `links`)
    erased      MACs of the ids of erased events, which are refused if they arrive once more
    erasure     each erasure, and whether it is hidden (from every reader) or purged (from the disk)
    access      who read and who erased what
    api_key     named keys, by hash
    view        saved views
    replica     which number a running replica gives its events
    setting     what all replicas have to agree on
    migration   the versions of this schema that were applied

**What makes an event unique** is its sorting key: ``key_time`` and ``id``. ``key_time`` comes from the body alone (its
timestamp, else the time in a UUIDv7 id, else 0), so that the same event is the same row whenever and wherever it
arrives; duplicates fall into one partition and merge. Of duplicates the one with the highest ``version`` remains, which
is the one that arrived first. Reads use ``FINAL``, and so are exact before the merge.

**Unknown** is the empty string in text columns (no field is ever an empty text), NULL in numbers and flags, and 0 in
hashes. ``time`` is in microseconds since the epoch, and equals ``key_time`` unless the body has no time: a condition
on ``time`` may be repeated as ``key_time = 0 OR key_time >= ...``, which spares whole partitions.
"""

from __future__ import annotations

from typing import NamedTuple

VERSION = 1

SEQ_BITS = 53
"""Numbers of events have so many bits: what JavaScript reads exactly."""

REVISION = 1 << (SEQ_BITS + 1)
"""What a row's version grows by when its conversation is found late."""

DAY_MICROSECONDS = 86_400_000_000

EVENT_COLUMNS = {
    "seq": "Int64 CODEC(Delta, ZSTD)",
    "id": "String CODEC(ZSTD)",
    "key_time": "Int64 CODEC(Delta, ZSTD)",
    "version": "UInt64 CODEC(Delta, ZSTD)",
    "received_at": "Float64 CODEC(ZSTD)",
    "time": "Int64 CODEC(Delta, ZSTD)",
    "model": "LowCardinality(String)",
    "api": "LowCardinality(String)",
    "user": "String CODEC(ZSTD)",
    "status": "LowCardinality(String)",
    "error": "LowCardinality(String)",
    "finish": "LowCardinality(String)",
    "release": "LowCardinality(String)",
    "host": "LowCardinality(String)",
    "template": "LowCardinality(String)",
    "conversation": "String CODEC(ZSTD)",
    "conversation_key": "UInt64",
    "turn": "UInt64",
    "stream": "Nullable(Bool)",
    "latency": "Nullable(Float64) CODEC(ZSTD)",
    "ttft": "Nullable(Float64) CODEC(ZSTD)",
    "tokens_per_second": "Nullable(Float64) CODEC(ZSTD)",
    "tokens": "Nullable(Int64) CODEC(ZSTD)",
    "prompt_tokens": "Nullable(Int64) CODEC(ZSTD)",
    "completion_tokens": "Nullable(Int64) CODEC(ZSTD)",
    "cached_tokens": "Nullable(Int64) CODEC(ZSTD)",
    "reasoning_tokens": "Nullable(Int64) CODEC(ZSTD)",
    "cost": "Nullable(Float64) CODEC(ZSTD)",
    "cost_source": "LowCardinality(String)",
    "size": "Int64 CODEC(ZSTD)",
    "tool": "Array(LowCardinality(String))",
    "input": "Array(LowCardinality(String))",
    "url": "Array(String) CODEC(ZSTD)",
    "tag": "Array(LowCardinality(String))",
    "meta": "Map(LowCardinality(String), String)",
    "messages": "Array(UInt64)",
    "question_hash": "UInt64",
    "question": "String CODEC(ZSTD)",
    "answer": "String CODEC(ZSTD)",
    "body": "String CODEC(ZSTD(3))",
    "mac": "FixedString(32) CODEC(ZSTD)",
}
"""The columns of ``event``.

``question`` and ``answer`` hold the words of the last user message and of the answer as `events.words.folded` gives
them, with a space before the first and after the last, so that ``" a phrase "`` is found in them; empty if there are
none. The texts themselves are in ``body``.
"""

EVENT_INDEXES = (
    "INDEX by_seq seq TYPE minmax GRANULARITY 1",
    "INDEX by_time time TYPE minmax GRANULARITY 1",
    "INDEX by_id id TYPE bloom_filter(0.01) GRANULARITY 1",
    'INDEX by_user "user" TYPE bloom_filter(0.01) GRANULARITY 1',
    "INDEX by_conversation conversation_key TYPE bloom_filter(0.01) GRANULARITY 1",
    "INDEX by_question question TYPE text(tokenizer = splitByString([' ']))",
    "INDEX by_answer answer TYPE text(tokenizer = splitByString([' ']))",
)

SYNCED = "fsync_after_insert = 1, fsync_part_directory = 1"
"""An insert is on disk when it is answered. On a cluster as many servers have it as the quorum asks for."""


class _Table(NamedTuple):
    """A small table; of two rows with the same sorting key, the one with the higher ``version`` remains."""

    name: str
    columns: str
    order: str
    version: str = ""
    settings: str = ""
    partition: str = ""


class Cluster(NamedTuple):
    """Where the tables are replicated.

    Attributes:
        name: as the servers' configuration has it; None for one server alone.
    """

    name: str | None = None

    @property
    def clause(self) -> str:
        """What follows the name of what a statement makes or changes."""
        return f' ON CLUSTER "{self.name}"' if self.name else ""

    def engine(self, kind: str, table: str, *arguments: str) -> str:
        """Return the table engine ``kind``, such as ``ReplacingMergeTree``, or its replicated variant."""
        if not self.name:
            return f"{kind}({', '.join(arguments)})"
        where = (f"'/clickhouse/tables/{{shard}}/{{database}}/{table}'", "'{replica}'")
        return f"Replicated{kind}({', '.join((*where, *arguments))})"


def statements(cluster: Cluster) -> list[str]:
    """Return what makes the tables of version 1 in the current database. Each does nothing where it was done."""
    return [_event(cluster), *(_create(cluster, each) for each in _TABLES)]


def migration_table(cluster: Cluster) -> str:
    """Return what makes the table of applied versions."""
    return _create(cluster, _Table("migration", "version UInt32, applied_at Float64", "version", "applied_at"))


def _event(cluster: Cluster) -> str:
    columns = [f'"{name}" {kind}' for name, kind in EVENT_COLUMNS.items()]
    return (
        f"CREATE TABLE IF NOT EXISTS event{cluster.clause} ({', '.join((*columns, *EVENT_INDEXES))}) "
        f"ENGINE = {cluster.engine('ReplacingMergeTree', 'event', 'version')} "
        f"PARTITION BY toDate(fromUnixTimestamp64Micro(key_time, 'UTC')) ORDER BY (key_time, id) "
        f"SETTINGS {SYNCED}, {_FINE}"
    )


def _create(cluster: Cluster, table: _Table) -> str:
    if table.version:
        engine = cluster.engine("ReplacingMergeTree", table.name, table.version)
    else:
        engine = cluster.engine("MergeTree", table.name)
    settings = f"{SYNCED}, {table.settings}" if table.settings else SYNCED
    partition = f" PARTITION BY {table.partition}" if table.partition else ""
    return (
        f"CREATE TABLE IF NOT EXISTS {table.name}{cluster.clause} ({table.columns}) "
        f"ENGINE = {engine}{partition} ORDER BY ({table.order}) SETTINGS {settings}"
    )


_LEDGER = """
    chain String, number UInt64, kind LowCardinality(String), at Float64, seqs Array(Int64) CODEC(Delta, ZSTD),
    days Array(UInt16) CODEC(ZSTD), id_macs Array(UInt64) CODEC(NONE), macs Array(FixedString(16)) CODEC(NONE),
    detail String, items_mac FixedString(32), mac FixedString(32), pruned UInt8
"""
_LINK = "hash UInt64, kind UInt8, key UInt64, name String, seq Int64, day Date DEFAULT today()"
_FINE = "index_granularity = 1024"
"""For tables where single rows are looked up."""

_TABLES = (
    _Table("ledger", _LEDGER, "chain, number", "pruned", "index_granularity = 64"),
    _Table("link", _LINK, "hash, kind, key", "", _FINE, "toYYYYMM(day)"),
    _Table("erased", "id_mac UInt64, number Int64", "id_mac", "number", _FINE),
    _Table(
        "erasure",
        'number Int64, at Float64, "by" String, reason String, events UInt64, purged_at Float64',
        "number",
        "purged_at",
    ),
    _Table("access", "number Int64, at Float64, key_name String, action String, detail String", "number"),
    _Table(
        "api_key",
        "name String, digest String, roles Array(String), created_at String, revoked Bool, changed_at Float64",
        "name, digest",
        "changed_at",
    ),
    _Table("view", "name String, url String, removed Bool, changed_at Float64", "name", "changed_at"),
    _Table(
        "replica", "slot UInt16, token String, host String, released Bool, seen_at Float64", "slot, token", "seen_at"
    ),
    _Table("setting", "name String, value String, changed_at Float64", "name", "changed_at"),
)
