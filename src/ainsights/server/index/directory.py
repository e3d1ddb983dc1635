"""The directory of the index, which is used only if nothing but an index is in it.

Whatever is in it may be deleted, as a damaged index is. So a directory that somebody has filled otherwise is refused.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from ainsights.errors import ConfigurationError
from ainsights.server.files import check_ours

if TYPE_CHECKING:
    from pathlib import Path

SPILL = "spill"
"""The directory in it for what queries have no memory for."""

INCOMING = "incoming.ndjson"
"""The file in it with the events that are being added."""

_UNFINISHED = re.compile(
    r"columns-[0-9]{6}\.duckdb\.part(\.wal)?|build-[0-9]+\.(ndjson|db(-wal|-shm|-journal)?)|" + re.escape(INCOMING)
)
_FILE = re.compile(r"columns-[0-9]{6}\.duckdb(\.wal)?|text-[0-9]{6,}\.db(-wal|-shm|-journal)?|" + _UNFINISHED.pattern)


def prepare(directory: Path) -> None:
    """Create the directory, or check the one that is there.

    Raises:
        ConfigurationError: something in it is not part of an index, or belongs to another user.
        OSError: it cannot be made, or looked at.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in directory.iterdir():
        if path.name == SPILL:
            continue
        if not _FILE.fullmatch(path.name):
            reason = f"{path.name} in it is not part of an index; give the database another name"
            raise ConfigurationError(f"index directory {directory}: {reason}")
        check_ours(path, "index file")


def delete_files(directory: Path) -> None:
    """Delete the index."""
    _delete(directory, _FILE)


def delete_unfinished_files(directory: Path) -> None:
    """Delete what a killed process was writing: it may hold events that are erased later."""
    _delete(directory, _UNFINISHED)


def _delete(directory: Path, names: re.Pattern[str]) -> None:
    shutil.rmtree(directory / SPILL, ignore_errors=True)
    for path in directory.iterdir():
        if names.fullmatch(path.name):
            path.unlink(missing_ok=True)
