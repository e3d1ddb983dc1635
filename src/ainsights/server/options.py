"""How to run the endpoint, and the endpoint that runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ainsights._base_url import DEFAULT_PATH
from ainsights.server.store import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class Options:
    """How to run the endpoint.

    Attributes:
        database: the SQLite file; made if it is not there. With ``store``, only the name of the audit key's file.
        host: the address to listen on.
        port: 0 takes a free one.
        api_key: one that has every role, beside the named ones; None: only those.
        max_body_bytes: a larger body is answered 413; None means 16 MiB.
        limits: how long and how much is kept.
        audit_key_file: where the key of the hash chain is kept; None: beside the database.
        allowed_hosts: host names under which browsers may reach the pages, beside addresses and ``localhost``.
        paths: where insights are taken.
        is_sample: whether what is stored is a generated sample; the pages then show a note.
        store: the address of a database on ClickHouse, ``clickhouse://user@host/database``, instead of the file.
        on_index_progress: called while the index is rebuilt, with the done part, 0 to 1, on any thread.
    """

    database: Path
    host: str = "127.0.0.1"
    port: int = 0
    api_key: str | None = None
    max_body_bytes: int | None = None
    limits: Limits = UNLIMITED
    audit_key_file: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = (DEFAULT_PATH,)
    is_sample: bool = False
    on_index_progress: Callable[[float], None] | None = None
    store: str | None = None

    @property
    def audit_key_path(self) -> Path:
        """Where the key of the hash chain is kept."""
        return self.audit_key_file or self.database.with_name(f"{self.database.name}.audit-key")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A local Insights endpoint that accepts connections.

    Attributes:
        url: where.
        api_key: one that has every role; empty where none is known, since only hashes are kept.
        database: the SQLite file.
        explorer: a link to the pages that signs a browser in, once, within ten minutes.
        store: where the insights are stored, as people know it, without a password.
    """

    url: str
    api_key: str
    database: Path
    explorer: str = ""
    store: str = ""
