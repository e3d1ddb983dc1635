"""Addresses, and the tables on a ClickHouse server."""

from __future__ import annotations

import asyncio
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from support import indexed
from support.clickhouse import KEY, address, embedded, needs_engine, opened
from support.endpoints import free_port, running_endpoint

from ainsights._model import new_event_id
from ainsights.errors import ConfigurationError
from ainsights.server.clickhouse import erasure, maintenance, migrations, schema
from ainsights.server.clickhouse.address import PASSWORD_VARIABLE, parse
from ainsights.server.clickhouse.connection import Connection
from ainsights.server.clickhouse.ledger import Ledger
from ainsights.server.clickhouse.schema import Cluster

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = needs_engine
AUTHORITY = Path(__file__).parents[1] / "support" / "authority.pem"
TABLES = "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name"


def test_an_address_names_the_server_and_hides_the_password() -> None:
    found = parse("clickhouses://ann:s%40cret@db.example/insights", {})
    assert (found.host, found.port, found.user, found.password) == ("db.example", 8443, "ann", "s@cret")
    assert found.tls
    assert "cret" not in found.name + repr(found)
    assert parse("clickhouse://ann@db/d", {PASSWORD_VARIABLE: "x"}).password == "x"
    assert parse("clickhouse://ann@[::1]/d", {}).name == "clickhouse://ann@[::1]:8123/d"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("clickhouse://ann:secret@", "give clickhouse://"),
        ("clickhouse://ann:secret@h:port/d", "port: give a number from 1 to 65535"),
        ("clickhouse://ann:secret@h:99999/d", "port: give a number from 1 to 65535"),
        ("clickhouse://ann:secret@h:0/d", "port: give a number from 1 to 65535"),
        ("clickhouse://ann:secret", "port: give a number from 1 to 65535"),
        ("clickhouse://ann:secret@h/", "names no database; give clickhouse://user@host/database"),
        ("clickhouse://ann:secret@h", "names no database; give clickhouse://user@host/database"),
        ("clickhouse://ann:secret/x@h/d", "not a URL"),
        ("clickhouse://ann:1#secret@h/d", "not a URL"),
        ("clickhouse://ann:1/secret@h/d", "not a URL"),
        ("clickhouse://ann:1?secret@h/d", "not a URL"),
        ("clickhouse://ann:secret\uff0f@h/d", "not a URL"),
        ("clickhouse://ann:secret@h/a-b", "database: 'a-b' is not a name; use letters, digits and _"),
        ("clickhouse://ann:secret@h/d?colour=red", "unknown option 'colour'"),
        ("clickhouse://ann:secret@h/d?cluster=a'b", 'cluster: "a\'b" is not a name; use letters'),
        ("clickhouse://ann:secret@h/d?cluster=", "cluster: '' is not a name; use letters"),
        ("clickhouses://ann:secret@h/d?ca=/nope", "ca: /nope: no such file"),
        (f"clickhouses://ann:secret@h/d?ca={__file__}", f"ca: {re.escape(__file__)} has no certificate in PEM"),
        (f"clickhouse://ann:secret@h/d?ca={AUTHORITY}", "ca is for TLS: give clickhouses:// with it"),
        ("clickhouse://ann:secret@h/d?verify=no", "verify is for TLS: give clickhouses:// with it"),
        ("clickhouse://ann:secret@h/d?quorum=most", "quorum takes"),
    ],
)
def test_a_wrong_address_is_refused_by_what_is_wrong(text: str, wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=wrong) as error:
        parse(text, {})
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("clickhouse://a%40b:secret@h/d", "clickhouse://a%40b@h:8123/d"),
        ("clickhouses://a@h/d?cluster=c&quorum=2&verify=no", "'clickhouses://a@h:8443/d?cluster=c&quorum=2&verify=no'"),
        (f"clickhouses://a@[::1]:1/d?ca={AUTHORITY}", f"'clickhouses://a@[::1]:1/d?ca={AUTHORITY}'"),
    ],
)
def test_the_command_that_migrates_has_the_whole_address_but_for_the_password(text: str, url: str) -> None:
    found = parse(text, {})
    assert found.migrate_command == f"ainsights serve migrate --store {url}"
    assert parse(found.url, {PASSWORD_VARIABLE: found.password}) == found


def test_migrate_makes_the_database_and_is_idempotent(clickhouse_url: str) -> None:
    where = address(clickhouse_url)
    assert migrations.migrate(where) == [1]
    assert migrations.migrate(where) == []
    connection = Connection(where)
    tables = [name for (name,) in connection.rows(TABLES)]
    assert {"event", "ledger", "migration"} <= {*tables}
    migrations.check(connection)
    connection.close()


def test_processes_may_migrate_at_the_same_time(clickhouse_url: str) -> None:
    where = address(clickhouse_url)
    with ThreadPoolExecutor(4) as pool:
        results = [*pool.map(lambda _: migrations.migrate(where), range(4))]
    assert [1] in results
    connection = Connection(where)
    migrations.check(connection)
    connection.close()


@pytest.mark.parametrize(
    ("version", "wrong"),
    [
        (0, "does not have ainsights' tables yet; run: ainsights serve migrate --store clickhouse://.*@"),
        (99, "of a newer ainsights"),
    ],
)
def test_a_schema_that_is_not_known_is_refused(clickhouse_url: str, version: int, wrong: str) -> None:
    where = address(clickhouse_url)
    migrations.migrate(where)
    connection = Connection(where)
    if version:
        connection.insert("migration", ("version", "applied_at"), [(version, time.time())])
    else:
        connection.command("TRUNCATE TABLE migration")
    with pytest.raises(ConfigurationError, match=wrong):
        migrations.check(connection)
    connection.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_server_that_is_not_there_is_named_without_the_password(host: str) -> None:
    where = parse(f"clickhouse://ann:secret@{host}:{free_port()}/d", {})
    with pytest.raises(ConfigurationError, match=rf"/d: .* not answer at {re.escape(host)}:.*[Rr]efused") as error:
        migrations.migrate(where)
    assert "secret" not in str(error.value)


def test_a_server_is_reached_over_tls_and_its_certificate_is_checked(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    with embedded(tmp_path / "clickhouse", tmp_path / "server.pem") as server:
        url = f"clickhouses://default@localhost:{server.port}/insights"
        assert migrations.migrate(address(f"{url}?ca={tmp_path / 'ca.pem'}")) == [1]
        with pytest.raises(ConfigurationError, match="certificate"):
            migrations.migrate(address(url))


@pytest.mark.parametrize(
    ("scheme", "wrong"),
    [
        ("clickhouse", "what answers at 127.0.0.1:{port} is not ClickHouse, .*: HTTP status 501"),
        ("clickhouses", "no TLS at 127.0.0.1:{port}; give clickhouse:// for HTTP"),
    ],
)
def test_a_server_that_is_not_clickhouse_is_named(scheme: str, wrong: str) -> None:
    with running_endpoint() as endpoint:
        port = int(endpoint.url.rpartition(":")[2])
        with pytest.raises(ConfigurationError, match=wrong.format(port=port)):
            migrations.migrate(parse(f"{scheme}://ann@127.0.0.1:{port}/d", {}))


class Parsing(Connection):
    """Has the server parse commands instead of running them."""

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None, **_: Any) -> None:
        self.parsed = [*getattr(self, "parsed", ()), sql]
        assert self.rows(f"EXPLAIN AST {sql}", parameters)


def test_what_erases_and_removes_on_a_cluster_are_statements_that_the_engine_parses(clickhouse_url: str) -> None:
    with opened(clickhouse_url) as store:
        asyncio.run(store.put(*indexed.body("undated", 1.0)))
        asyncio.run(store.put(*indexed.body(new_event_id(1_750_000_000.0), 1.0)))
        connection = Parsing(replace(address(clickhouse_url), cluster=Cluster("main")))
        erasure.hide(connection, ["undated"], {"undated": 0})
        connection.insert("erasure", ("number", "events"), [(1, 1)])
        assert erasure.start_purge(connection)
        maintenance.apply_retention(connection, Ledger(connection, KEY), 1.0)
        connection.close()
    begins = [sql.split(" ON CLUSTER ")[0] for sql in connection.parsed if ' ON CLUSTER "main"' in sql]
    assert begins == ["DELETE FROM event", "ALTER TABLE link", "ALTER TABLE event", "ALTER TABLE event"]


def test_the_replicated_tables_are_statements_that_the_engine_parses(clickhouse_url: str) -> None:
    where = address(clickhouse_url)
    migrations.migrate(where)
    connection = Connection(where)
    for statement in (schema.migration_table(Cluster("main")), *schema.statements(Cluster("main"))):
        assert "ON CLUSTER" in statement
        assert "Replicated" in statement
        parsed = "\n".join(line for (line,) in connection.rows(f"EXPLAIN AST {statement}"))
        assert "Replicated" in parsed
    connection.close()
