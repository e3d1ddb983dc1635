"""``GET /export``: every event of a filter as CSV or JSON lines, a part at a time."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple

from ainsights.server.api import answers
from ainsights.server.api.events import bodies_of
from ainsights.server.query.engine import EventRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from ainsights.server.api.service import Service
    from ainsights.server.query import Filter

AT_ONCE = 1000
"""Events for which the index is asked at once."""

PART_BYTES = 256 * 1024
"""What is made before a client has taken the part before it."""

COLUMNS = (*EventRow._fields, "question", "answer")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_LISTS = ("tool", "input", "url", "tag")


class _Format(NamedTuple):
    media_type: str
    head: bytes
    line: Callable[[dict[str, object], bytes], bytes]


def _jsonl(shown: dict[str, object], body: bytes) -> bytes:
    # line breaks in JSON stand between its tokens alone
    return answers.with_body(shown, body.replace(b"\n", b" ").replace(b"\r", b" ")) + b"\n"


def _csv(shown: dict[str, object], _body: bytes) -> bytes:
    return csv_line([_cell(name, shown[name]) for name in COLUMNS])


def _cell(name: str, value: object) -> str:
    if value is None:
        return ""
    if name in _LISTS:
        return neutralize(answers.encode(value).decode())
    if isinstance(value, bool):
        return str(value).lower()
    return neutralize(value) if isinstance(value, str) else str(value)


def neutralize(text: str) -> str:
    """Return ``text`` so that a spreadsheet takes it for text, and not for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def csv_line(cells: list[str]) -> bytes:
    """Return one line of CSV (RFC 4180)."""
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue().encode(errors="replace")


FORMATS = {
    "jsonl": _Format("application/x-ndjson", b"", _jsonl),
    "csv": _Format("text/csv; charset=utf-8", csv_line(list(COLUMNS)), _csv),
}


async def export(service: Service, wanted: Filter, form: _Format) -> AsyncIterator[bytes]:
    """Yield the parts; each is made once the one before it is on its way. What is stored meanwhile is left out."""
    wanted = wanted.resolved(datetime.now(timezone.utc))
    last, after = await service.query(service.store.last_seq), 0
    yield form.head
    while seqs := await service.query(service.engine.seqs, wanted, after, AT_ONCE):
        after = seqs[-1]
        parts = _parts(service, [seq for seq in seqs if seq <= last], form)
        while part := await service.query(next, parts, b""):
            yield part
        if after >= last:
            return


def _parts(service: Service, seqs: list[int], form: _Format) -> Iterator[bytes]:
    lines: list[bytes] = []
    size = 0
    for row, body in bodies_of(service, service.engine.rows(seqs)):
        lines.append(form.line(answers.item(row, answers.event_of(body), None), body.body))
        size += len(lines[-1])
        if size >= PART_BYTES:
            yield b"".join(lines)
            lines, size = [], 0
    if lines:
        yield b"".join(lines)
