from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import backends, clickhouse
from support.serving import KEY, LIMIT, Client

from ainsights.server import Options, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ainsights.server import Endpoint


SLOW_ON_CLICKHOUSE = {"test_api_schema.py", "test_pages.py"}
"""Files whose tests run on both stores only with the slow ones: other tests ask both for the same."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of those files as slow where they run on ClickHouse; that each page answers is always tested."""
    for item in items:
        if not isinstance(item, pytest.Function) or item.path.name not in SLOW_ON_CLICKHOUSE:
            continue
        on_clickhouse = hasattr(item, "callspec") and "clickhouse" in map(str, item.callspec.params.values())
        if on_clickhouse and item.originalname != "test_page_answers":
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def endpoint(options: Options) -> Iterator[Endpoint]:
    """An endpoint that runs for one test."""
    with running(options) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def bounded_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """An endpoint that runs for all tests of a file, and takes bodies up to a small limit."""
    database = tmp_path_factory.mktemp("server") / "insights.db"
    with running(Options(database, api_key=KEY, max_body_bytes=LIMIT)) as endpoint:
        yield endpoint


@pytest.fixture
def client(endpoint: Endpoint) -> Iterator[Client]:
    """A connection to the endpoint of the test or of its file."""
    with Client(endpoint) as client:
        yield client


@pytest.fixture(scope="session")
def clickhouse_server() -> Iterator[str]:
    """The address of a server, without a database."""
    with clickhouse.shared_server() as url:
        yield url


@pytest.fixture
def clickhouse_url(clickhouse_server: str) -> Iterator[str]:
    """The address of a database that is not there yet."""
    with clickhouse.new_database(clickhouse_server) as url:
        yield url


@pytest.fixture(params=backends.STORES)
def options(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Options]:
    """Options of an endpoint over an empty store; each test runs on SQLite and on ClickHouse."""
    with backends.options_of(request.param, lambda: request.getfixturevalue("clickhouse_server"), tmp_path) as options:
        yield options


@pytest.fixture(scope="module", params=backends.STORES)
def shared_options(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Options]:
    """The same for all tests of a module."""
    directory = tmp_path_factory.mktemp("server")
    with backends.options_of(request.param, lambda: request.getfixturevalue("clickhouse_server"), directory) as options:
        yield options


@pytest.fixture(scope="module")
def shared_client(shared_options: Options) -> Iterator[Client]:
    """A connection to an endpoint without events that runs for all tests of a file."""
    with running(shared_options) as endpoint, Client(endpoint) as client:
        yield client
