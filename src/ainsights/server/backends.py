"""What serves an endpoint: store, engine, keys and saved views, in files of this machine or in ClickHouse."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ainsights.errors import ConfigurationError
from ainsights.server import files
from ainsights.server.clickhouse import address
from ainsights.server.embedded import EmbeddedEngine
from ainsights.server.index import Index, IndexOptions
from ainsights.server.keys import KeyFile
from ainsights.server.pages.saved_views import SavedViews
from ainsights.server.store import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from ainsights.server.keys import KeyStore
    from ainsights.server.options import Options
    from ainsights.server.pages.saved_views import ViewStore
    from ainsights.server.query.engine import Engine
    from ainsights.server.store import Store

START_SECONDS = 2.0
"""How long the start waits for the index; the rebuild of a large one continues while the endpoint serves."""

SECRET_BYTES = 32


class Backend(NamedTuple):
    """What the routes and pages of an endpoint need, open.

    Attributes:
        session_secret: signs the cookies of the pages; the same for all replicas of an endpoint.
    """

    store: Store
    engine: Engine
    keys: KeyStore
    views: ViewStore
    session_secret: bytes


@contextmanager
def opened(options: Options) -> Iterator[Backend]:
    """Open what the options name for the length of the block.

    Raises:
        ConfigurationError: it cannot be used.
    """
    with _embedded(options) if options.store is None else _on_clickhouse(options, options.store) as backend:
        yield backend


@contextmanager
def _on_clickhouse(options: Options, url: str) -> Iterator[Backend]:
    with clickhouse(url).opened(url, options.limits, options.audit_key_path) as parts:
        yield Backend(*parts)


@contextmanager
def opened_keys(database: Path, url: str | None) -> Iterator[KeyStore]:
    """Yield the keys of the endpoint with this file or this store, whether it runs or not.

    Raises:
        ConfigurationError: they cannot be used.
    """
    if url is None:
        yield KeyFile(database)
        return
    with clickhouse(url).opened_keys(url) as keys:
        yield keys


def clickhouse(url: str) -> ModuleType:
    """Return the module that opens the store at ``url`` on ClickHouse, whose driver is an extra.

    Raises:
        ConfigurationError: the driver is not installed, or the URL is not that of a store.
    """
    address.parse(url, os.environ)
    try:
        from ainsights.server.clickhouse import backend  # noqa: PLC0415  an extra
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("clickhouse_connect"):
            raise
        raise ConfigurationError("--store needs the clickhouse extra: pip install 'ainsights[clickhouse]'") from None
    return backend


@contextmanager
def _embedded(options: Options) -> Iterator[Backend]:
    store = SQLiteStore(options.database, options.limits, options.audit_key_file)
    with store:
        directory = store.path.with_suffix(".index")
        files.check_our_directory(directory, "index directory")
        with Index(store, directory, IndexOptions(progress=options.on_index_progress)) as index:
            index.wait(START_SECONDS)
            keys, views = KeyFile(options.database), SavedViews(options.database)
            engine = EmbeddedEngine(index, store)
            yield Backend(store, engine, keys, views, secrets.token_bytes(SECRET_BYTES))
