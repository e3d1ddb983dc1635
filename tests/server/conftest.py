from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import clickhouse

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server, without a database."""
    with clickhouse.shared_server(tmp_path_factory.mktemp("clickhouse")) as url:
        yield url


@pytest.fixture
def clickhouse_url(clickhouse_server: str) -> Iterator[str]:
    """The address of a database that is not there yet."""
    with clickhouse.new_database(clickhouse_server) as url:
        yield url
