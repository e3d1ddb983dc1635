"""The store on ClickHouse: what is stored, read, erased, removed and proven."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import TYPE_CHECKING

import pytest
from support.clickhouse import KEY, address, needs_engine, opened
from support.indexed import Body, body, random_bodies
from support.polling import wait_until

from ainsights._model import new_event_id
from ainsights.errors import ConfigurationError
from ainsights.server.clickhouse import connection, erasure, maintenance
from ainsights.server.clickhouse.backend import find_audit_key
from ainsights.server.clickhouse.keys import KeyTable
from ainsights.server.clickhouse.store import ClickHouseStore
from ainsights.server.clickhouse.views import ViewTable
from ainsights.server.keys import Role
from ainsights.server.store import Anchor, Limits, StoredBody, StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = needs_engine
EVENTS = "SELECT id FROM event FINAL ORDER BY seq"
HIDDEN = "SELECT count() FROM system.parts WHERE active AND has_lightweight_delete AND database = currentDatabase()"
DAY = 86_400.0


def put(store: ClickHouseStore, bodies: Sequence[Body]) -> None:
    """Put all at once, and wait until they are stored."""

    async def put_all() -> None:
        await asyncio.gather(*(store.put(*each) for each in bodies))

    asyncio.run(put_all())


def ids(store: ClickHouseStore) -> list[str]:
    return [event_id for (event_id,) in store.connection.rows(EVENTS)]


def at(text: str, days_ago: float = 0.0) -> Body:
    """Return an event of so many days ago, whose id is a UUIDv7 of that time."""
    received_at = time.time() - days_ago * DAY
    return body(new_event_id(received_at), received_at, messages=text)


def test_what_is_put_is_found_by_id_by_number_and_in_order(clickhouse_url: str) -> None:
    given = random_bodies(20, seed=1)
    with opened(clickhouse_url) as store:
        put(store, given)
        stored = store.bodies_after(0, 100)
        assert [each[1:] for each in stored] == [tuple(each) for each in given]
        assert store.bodies_after(stored[4].seq, 3) == stored[5:8]
        assert store.bodies([stored[7].seq, 5, stored[2].seq]) == [stored[7], stored[2]]
        assert store.find(given[3].event_id) == stored[3]
        assert store.find("unknown") is None
        assert store.last_seq() == stored[-1].seq
        assert stored[-1].seq < 2**53


def test_an_event_is_stored_once_wherever_it_arrives_and_the_first_is_kept(clickhouse_url: str) -> None:
    first, again = body("an id", messages="first"), body("an id", 1.0, messages="again")
    with opened(clickhouse_url) as store, ClickHouseStore(address(clickhouse_url), KEY) as other:
        store.connection.command("SYSTEM STOP MERGES event")
        put(store, [first])
        put(other, [again, first, at("another")])
        assert len(ids(store)) == 2
        assert store.bodies_after(0, 10)[0].body == first.body
        found = other.find("an id")
        assert found
        assert found.body == first.body
        assert store.verify().problem is None
        store.connection.command("SYSTEM START MERGES event")
        store.connection.command("OPTIMIZE TABLE event FINAL")
        assert store.connection.rows("SELECT count() FROM event") == [(2,)]
        assert store.verify().problem is None


def test_bodies_come_back_as_they_were_received(clickhouse_url: str) -> None:
    odd = b'{ "response":{}, "messages":"\\u0000\\ud800 \xc3\xbc \xe6\x97\xa5 \\"\\\\", "meta":{"a\\u0000b": 1.50}}\n'
    with opened(clickhouse_url) as store:
        put(store, [Body("a 'quoted' \\ id\0", 1.25, odd)])
        stored = store.find("a 'quoted' \\ id\0")
        assert stored
        assert stored == StoredBody(stored.seq, "a 'quoted' \\ id\0", 1.25, odd)
        assert store.verify().problem is None


def test_an_event_that_cannot_be_stored_does_not_hold_up_the_others(clickhouse_url: str) -> None:
    with opened(clickhouse_url) as store:
        store.connection.command("ALTER TABLE event MODIFY COLUMN host FixedString(4)", mutations_sync=2)
        poison = body("poison", meta={"ainsights.base_url": "https://too-long-for-the-column"})
        batch = [at("one"), at("two"), poison, at("three")]

        async def put_all() -> list[object]:
            return await asyncio.gather(*(store.put(*each) for each in batch), return_exceptions=True)

        results = asyncio.run(put_all())
        assert [isinstance(result, StoreError) for result in results] == [False, False, True, False]
        assert store.problem is None
        assert len(ids(store)) == 3
        assert store.verify().problem is None


def test_the_largest_body_is_stored(clickhouse_url: str) -> None:
    large = body("large", messages='"' * (7 * 2**20))
    with opened(clickhouse_url) as store:
        put(store, [large])
        stored = store.find("large")
        assert stored
        assert stored.body == large.body


def test_a_query_that_takes_too_long_is_ended_by_the_server(
    clickhouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "QUERY_SECONDS", 1)
    with opened(clickhouse_url) as store:
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError, match=r"took longer than 1 s.*narrow its time range"):
            store.connection.rows("SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))")
        assert time.monotonic() - began < connection.ANSWER_SECONDS / 2
        assert store.connection.rows("SELECT 1") == [(1,)]


def test_an_erased_event_is_gone_for_every_reader_and_refused_afterwards(clickhouse_url: str) -> None:
    with opened(clickhouse_url) as store:
        secret, other = at("secret words"), at("other")
        put(store, [secret, other])
        seq = store.bodies_after(0, 1)[0].seq
        assert store.erase([seq, 7], by="ann", reason="asked") == 1
        assert store.find(secret.event_id) is None
        assert store.status().erased == 1
        put(store, [secret])
        assert ids(store) == [other.event_id]
        assert store.verify().problem is None
        store.purge()
        assert store.status().erased == 0
        assert store.connection.rows(HIDDEN) == [(0,)]
        [(_, line), *_] = store.accesses()
        assert (line.key_name, line.action) == ("ann", "erase")
        assert json.loads(line.detail) == {"seqs": [seq], "reason": "asked"}


def test_retention_drops_days_and_the_chains_still_verify(clickhouse_url: str) -> None:
    with opened(clickhouse_url, Limits(keep_days=2.0)) as store:
        old, new = at("old", 10), at("new")
        put(store, [old, body("undated and old", time.time()), new, at("three days", 3.5)])
        maintenance.apply_retention(store.connection, store._batches.ledger, 2.0)
        assert ids(store) == ["undated and old", new.event_id]
        assert store.verify().problem is None
        maintenance.apply_retention(store.connection, store._batches.ledger, -1.0)
        assert "undated and old" not in ids(store)
        store.purge()
        assert store.connection.rows(HIDDEN) == [(0,)]
        assert store.verify().problem is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("ALTER TABLE event UPDATE body = '{}' WHERE id = 'event-3'", "was changed or added"),
        ("ALTER TABLE event DELETE WHERE id = 'event-3'", "was removed"),
        ("ALTER TABLE ledger DELETE WHERE number = 1", "entry 1 of the chain"),
        ("ALTER TABLE ledger UPDATE detail = 'x' WHERE number = 1", "entry 1 of the chain .* was changed"),
        ("ALTER TABLE ledger UPDATE seqs = [1] WHERE number = 1", "events of entry 1"),
    ],
)
def test_verify_names_what_was_changed(clickhouse_url: str, change: str, problem: str) -> None:
    with opened(clickhouse_url) as store:
        put(store, random_bodies(5, seed=2))
        put(store, [at("more")])
        assert store.verify().problem is None
        store.connection.command(change, mutations_sync=2)
        found = store.verify()
        assert found.problem
        assert re.search(problem, found.problem), found.problem


def test_verify_shows_by_its_anchor_that_a_chain_was_cut_off(clickhouse_url: str) -> None:
    with opened(clickhouse_url) as store:
        put(store, random_bodies(5, seed=2))
        first = store.verify()
        assert (first.problem, first.events) == (None, 5)
        put(store, [at("more")])
        assert store.verify(Anchor(first.entries, first.head)).problem is None
        store.connection.command("TRUNCATE TABLE ledger")
        store.connection.command("TRUNCATE TABLE event")
        found = store.verify(Anchor(first.entries, first.head))
        assert found.problem
        assert "cut off" in found.problem


def test_a_row_of_a_batch_without_an_entry_is_genuine_and_a_forged_one_is_not(clickhouse_url: str) -> None:
    with opened(clickhouse_url) as store:
        put(store, [at("killed before the entry")])
        store.connection.command("TRUNCATE TABLE ledger")
        with ClickHouseStore(address(clickhouse_url), KEY) as other:
            put(other, [at("after")])
            assert other.verify().problem is None
            other.connection.command("INSERT INTO event (seq, id, key_time, body) VALUES (1, 'forged', 0, '{}')")
            found = other.verify()
            assert found.problem
            assert "changed or added" in found.problem


def test_all_replicas_have_one_audit_key(clickhouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(clickhouse_url):
        pass
    with (
        pytest.raises(ConfigurationError, match="another audit key"),
        ClickHouseStore(address(clickhouse_url), b"x" * 32),
    ):
        pass
    with pytest.raises(
        ConfigurationError, match=r"missing, .*; copy it from the first replica, or give it in AINSIGHTS_AUDIT_KEY"
    ):
        find_audit_key(address(clickhouse_url), tmp_path / "audit-key")
    monkeypatch.setenv("AINSIGHTS_AUDIT_KEY", KEY.hex())
    assert find_audit_key(address(clickhouse_url), tmp_path / "audit-key") == KEY


def test_keys_and_views_are_shared_and_a_revoked_key_is_refused_soon(clickhouse_url: str) -> None:
    with opened(clickhouse_url) as store:
        here, there = KeyTable(store.connection), KeyTable(store.connection)
        assert here.first()
        assert there.first() is None
        there.open()
        try:
            here.add("app", [Role.WRITE])
            digest = next(key.digest for key in here.read() if key.name == "app")
            wait_until(lambda: there.find(digest) is not None)
            with pytest.raises(ConfigurationError, match="is taken"):
                there.add("app", [Role.READ])
            assert here.revoke("app")
            assert not here.revoke("app")
            wait_until(lambda: there.find(digest) is None)
        finally:
            there.close()
        views = ViewTable(store.connection)
        assert views.add("mine", "/ui/?q=a")
        assert not views.add("mine", "https://elsewhere.example")
        assert [view.name for view in views.read()] == ["mine"]
        views.remove("mine")
        assert views.read() == []


def test_a_purge_is_due_the_night_after_the_erasure() -> None:
    noon = 1_750_075_200.0
    assert not maintenance.is_purge_due(noon, noon + 14 * 3600)
    assert maintenance.is_purge_due(noon, noon + 15 * 3600)
    assert maintenance.is_purge_due(noon, noon + 30 * DAY)
    assert erasure.AT_ONCE > 0
