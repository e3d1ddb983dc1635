"""Whether the files of an index belong together, and to the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server.index.columns import IndexFormatError
from ainsights.server.index.shards import first_seq

if TYPE_CHECKING:
    from ainsights.server.index.columns import Columns
    from ainsights.server.index.shards import TextIndex
    from ainsights.server.store import Store


def check_files(columns: Columns, text: TextIndex, store: Store) -> None:
    """Check that the files are a whole index of this store, or new.

    Raises:
        IndexFormatError: they are not, and must be rebuilt.
    """
    state = columns.state()
    with columns.cursor() as cursor:
        newest = cursor.execute("SELECT seq, id FROM event ORDER BY seq DESC LIMIT 1").fetchall()
        shards = cursor.execute("SELECT DISTINCT seq // ? FROM event", [first_seq(1)]).fetchall()
    if not state.complete:
        if newest or text.numbers:
            raise IndexFormatError("its last rebuild did not end")
        return
    if not {number for (number,) in shards} <= text.numbers:
        raise IndexFormatError("a file of the text index is missing")
    if state.indexed_seq > store.last_seq() or (newest and not _is_in(store, *newest[0])):
        raise IndexFormatError("it is of another database")


def _is_in(store: Store, seq: int, event_id: str) -> bool:
    """Whether the store has this event, or removed it."""
    stored = store.bodies([seq])
    return not stored or stored[0].event_id.replace("\0", "\ufffd") == event_id
