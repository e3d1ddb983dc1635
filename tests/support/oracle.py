"""The same answers by another way: plain tables in SQLite, obvious SQL for filters, and plain Python for measures."""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from math import floor
from typing import TYPE_CHECKING, Any

from ainsights.server.query import FIELDS, Condition, Filter, Kind, Measure, Query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ainsights.server.events import Event

Row = dict[str, Any]
LISTS = ("tool", "input", "url", "tag")
PLAIN = [name for name, field in FIELDS.items() if field.kind is not Kind.LIST and name != "conversation"]


def tokens(text: str) -> list[str]:
    """Return the words of a text, without accents and case; each character of a script without spaces is one."""
    plain = "".join(
        each for each in unicodedata.normalize("NFKD", text) if unicodedata.category(each) != "Mn" or each > "\u0e00"
    )
    return re.findall(
        r"[\u0e00-\u0e7f\u3040-\u9fff](?<![\u0e31\u0e34-\u0e3a\u0e47-\u0e4e])|[^\W_\u0e00-\u0e7f\u3040-\u9fff]+",
        plain.lower(),
    )


def contains(text: str, phrase: str) -> bool:
    """Whether the words of the phrase follow each other in the text."""
    words, wanted = tokens(text), tokens(phrase)
    return any(words[at : at + len(wanted)] == wanted for at in range(len(words) - len(wanted) + 1))


class Oracle:
    """Answers queries slowly."""

    def __init__(self, events: Iterable[Event], conversations: dict[int, str]) -> None:
        self._lite = sqlite3.connect(":memory:")
        self._lite.create_function("contains", 2, contains)
        columns = ", ".join(f'"{name}"' for name in PLAIN)
        self._lite.execute(f"CREATE TABLE event (seq, time, conversation, question, answer, {columns})")
        self._lite.execute("CREATE TABLE item (seq, field, value)")
        self._lite.execute("CREATE TABLE meta (seq, key, value)")
        for event in events:
            values = [getattr(event, name) for name in PLAIN]
            head = [event.seq, event.time, conversations[event.seq], event.question, event.answer]
            self._lite.execute(f"INSERT INTO event VALUES ({', '.join('?' * (5 + len(PLAIN)))})", [*head, *values])
            for name in LISTS:
                self._lite.executemany(
                    "INSERT INTO item VALUES (?, ?, ?)", [(event.seq, name, value) for value in getattr(event, name)]
                )
            self._lite.executemany(
                "INSERT INTO meta VALUES (?, ?, ?)", [(event.seq, *each) for each in event.meta.items()]
            )
        self._lite.row_factory = sqlite3.Row

    def rows(self, wanted: Filter) -> list[Row]:
        """Return the events that pass a resolved filter."""
        sql, values = "SELECT * FROM event e WHERE TRUE", []
        for condition in wanted.conditions:
            clause, bound = _clause(condition)
            sql += f" AND {'NOT' if condition.negated else ''} ifnull({clause}, FALSE)"
            values += bound
        for text in wanted.texts:
            sql += f" AND {'NOT' if text.negated else ''} (contains(question, ?) OR contains(answer, ?))"
            values += [text.text, text.text]
        for operator, when in ((">=", wanted.since), ("<", wanted.until)):
            if when is not None:
                sql += f" AND time {operator} ?"
                values.append(round(when.timestamp() * 1e6))
        found = [dict(row) for row in self._lite.execute(sql, values)]
        for row in found:
            row["meta"] = dict(
                map(tuple, self._lite.execute("SELECT key, value FROM meta WHERE seq = ?", [row["seq"]]))
            )
            for name in LISTS:
                items = self._lite.execute("SELECT value FROM item WHERE seq = ? AND field = ?", [row["seq"], name])
                row[name] = [value for (value,) in map(tuple, items)]
        return found

    def events(self, query: Query) -> list[str]:
        """Return the ids of the list, all of it, in order."""
        rows = self.rows(query.filter)
        name, descending = (query.order.name, query.order.descending) if query.order else ("time", True)
        known = sorted(
            (row for row in rows if row[name] is not None), key=lambda row: (row[name], row["seq"]), reverse=descending
        )
        unknown = sorted((row for row in rows if row[name] is None), key=lambda row: row["seq"], reverse=descending)
        return [row["id"] for row in (*known, *unknown)]

    def table(self, query: Query, bucket: str | None) -> list[tuple[Any, ...]]:
        """Return the rows of the table, in order."""
        rows = self.rows(query.filter)
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for row in rows:
            for key in _keys(row, [bucket if group.is_bucket and bucket else group.name for group in query.groups]):
                groups.setdefault(key, []).append(row)
        if not query.groups:
            groups = {(): rows}
        table = [
            (*key, *(_measure(measure, found, len(rows)) for measure in query.measures))
            for key, found in groups.items()
        ]
        return _ordered(query, table)


def _clause(condition: Condition) -> tuple[str, list[Any]]:
    name = condition.field
    if name in LISTS:
        source = "SELECT 1 FROM item WHERE seq = e.seq AND field = ?"
        return _exists(source, [name], condition)
    if name.startswith("meta."):
        source = "SELECT 1 FROM meta WHERE seq = e.seq AND key = ?"
        return _exists(source, [name[5:]], condition)
    clauses, values = _compared(f'e."{name}"', condition)
    return clauses, values


def _exists(source: str, values: list[Any], condition: Condition) -> tuple[str, list[Any]]:
    if condition.operator == "has":
        return f"EXISTS ({source})", values
    clause, bound = _compared("value", condition)
    return f"EXISTS ({source} AND {clause})", values + bound


def _compared(expression: str, condition: Condition) -> tuple[str, list[Any]]:
    values = list(condition.values)
    if condition.operator == "has":
        return f"{expression} IS NOT NULL", []
    if condition.operator == "*":
        return "(" + " OR ".join(f"substr({expression}, 1, ?) = ?" for _ in values) + ")", [
            part for value in values for part in (len(str(value)), value)
        ]
    if condition.operator == ":":
        return "(" + " OR ".join(f"{expression} = ?" for _ in values) + ")", values
    if condition.field.startswith("meta."):
        number = f"CASE WHEN {expression} IN ('1', '2.5', '-3', '1e2') THEN CAST({expression} AS REAL) END"
        return f"{number} {condition.operator} ?", values
    return f"{expression} {condition.operator} ?", values


def _keys(row: Row, names: list[str]) -> list[tuple[Any, ...]]:
    keys: list[tuple[Any, ...]] = [()]
    for name in names:
        keys = [(*key, value) for key in keys for value in _values(row, name)]
    return keys


def _values(row: Row, name: str) -> list[Any]:
    widths = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
    if name in widths:
        monday = 4 * 86_400 if name == "week" else 0
        return [float((row["time"] // 10**6 - monday) // widths[name] * widths[name] + monday)]
    if name.startswith("meta."):
        return [row["meta"].get(name[5:])]
    if name in LISTS:
        return row[name] or [None]
    if name == "stream":
        return [None if row[name] is None else bool(row[name])]
    return [row[name]]


def _measure(measure: Measure, rows: list[Row], total: int) -> Any:
    errors = sum(row["status"] == "error" for row in rows)
    plain = {
        "events": len(rows),
        "share": len(rows) / max(1, total),
        "errors": errors,
        "error_rate": errors / len(rows) if rows else None,
        "users": len({row["user"] for row in rows} - {None}),
        "conversations": len({row["conversation"] for row in rows} - {None}),
        "tokens_per_second": _speed(rows),
    }
    if measure.name in plain:
        return plain[measure.name]
    values = sorted(row[measure.of] for row in rows if row[measure.of] is not None)
    return _statistic(measure.statistic or "sum", values) if values else None


def _speed(rows: list[Row]) -> float | None:
    timed = [row for row in rows if row["completion_tokens"] is not None and row["latency"]]
    seconds = sum(row["latency"] for row in timed) / 1000
    return sum(row["completion_tokens"] for row in timed) / seconds if timed else None


def _statistic(name: str, values: list[float]) -> float:
    if name.startswith("p"):
        at = int(name[1:]) / 100 * (len(values) - 1)
        low, high = values[floor(at)], values[min(floor(at) + 1, len(values) - 1)]
        return low + (high - low) * (at - floor(at))
    return {"sum": sum(values), "mean": sum(values) / len(values), "min": values[0], "max": values[-1]}[name]


def _ordered(query: Query, table: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    names = [group.name for group in query.groups] + [measure.name for measure in query.measures]
    first = [(at, False) for at, group in enumerate(query.groups) if group.is_bucket] + [(len(query.groups), True)]
    if query.order:
        first = [(names.index(query.order.name), query.order.descending)]
    for at, descending in reversed([*first, *((at, False) for at in range(len(query.groups)))]):
        table = sorted(table, key=lambda row, at=at: row[at] if row[at] is not None else 0, reverse=descending) if all(
            not isinstance(row[at], str) for row in table
        ) else sorted(table, key=lambda row, at=at: row[at] or "", reverse=descending)  # fmt: skip
        table = sorted(table, key=lambda row, at=at: row[at] is None)
    return table
