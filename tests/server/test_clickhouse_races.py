"""What happens on ClickHouse when two replicas, or two clocks, come between each other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from support.clickhouse import KEY, address, embedded, needs_engine, opened
from support.indexed import START, Body, body, put
from support.polling import wait_until

from ainsights._model import new_event_id
from ainsights.errors import ConfigurationError
from ainsights.server.clickhouse import audit_key, erasure, ledger, linking, maintenance, verify
from ainsights.server.clickhouse.access_log import AccessLog
from ainsights.server.clickhouse.keys import COLUMNS, KeyTable
from ainsights.server.clickhouse.ledger import Item
from ainsights.server.clickhouse.schema import DAY_MICROSECONDS
from ainsights.server.clickhouse.store import ClickHouseStore
from ainsights.server.clickhouse.views import ViewTable
from ainsights.server.keys import Role
from ainsights.server.store import Access, Limits, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = needs_engine
DAY = 86_400.0


def ids(store: ClickHouseStore) -> list[str]:
    return [event_id for (event_id,) in store.connection.rows("SELECT id FROM event FINAL ORDER BY seq")]


def before(monkeypatch: pytest.MonkeyPatch, function: str, work: Callable[[], object]) -> None:
    """Have ``work`` done once, before a function of `linking` is called for the first time."""
    original, done = getattr(linking, function), list[bool]()

    def called(*args: Any) -> Any:
        if not done:
            done.append(True)
            work()
        return original(*args)

    monkeypatch.setattr(linking, function, called)


def test_an_event_that_is_erased_while_another_replica_stores_it_again_stays_erased(
    clickhouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, other = body(new_event_id(START)), body(new_event_id(START))
    with opened(clickhouse_url) as store, ClickHouseStore(address(clickhouse_url), KEY) as second:
        put(store, [secret])
        seq = store.bodies_after(0, 1)[0].seq
        before(monkeypatch, "write", lambda: store.erase([seq], by="ann", reason="asked"))
        put(second, [secret, other])
        assert ids(store) == [other.event_id]
        assert store.find(secret.event_id) is None
        assert store.verify().problem is None


def calls() -> tuple[Body, Body]:
    """Return a call, and one that continues it."""
    question, answer = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}
    response = {"model": "m", "choices": [{"index": 0, "message": answer}]}
    more = [question, answer, {"role": "user", "content": "more"}]
    first = body("first", START, messages=[question], user_id="ann", response=response)
    return first, body("second", START + 1, messages=more, user_id="ann", response=response)


def test_an_event_that_is_erased_while_its_conversation_moves_stays_erased(
    clickhouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = calls()
    with opened(clickhouse_url) as store:
        put(store, [second])
        seq = store.bodies_after(0, 1)[0].seq
        original = linking._move

        def moved_and_erased(*args: Any) -> None:
            original(*args)
            command = store.connection.command
            command("CREATE TABLE read_before AS event")
            command("INSERT INTO read_before SELECT * FROM event WHERE id = 'second'")
            store.erase([seq], by="ann", reason="asked")
            command("INSERT INTO event SELECT * FROM read_before")

        monkeypatch.setattr(linking, "_move", moved_and_erased)
        put(store, [first])
        assert store.connection.rows("SELECT count() FROM read_before")[0][0]
        assert ids(store) == ["first"]
        assert store.verify().problem is None


@pytest.mark.parametrize("is_hidden", [True, False])
def test_verify_waits_for_an_erasure_that_is_under_way(
    clickhouse_url: str, monkeypatch: pytest.MonkeyPatch, *, is_hidden: bool
) -> None:
    monkeypatch.setattr(verify, "ERASURE_SECONDS", 0.5)
    with opened(clickhouse_url) as store:
        put(store, [body("secret")])
        [found] = erasure.find(store.connection, [store.bodies_after(0, 1)[0].seq])
        id_mac = ledger.id_mac(KEY, "secret")
        item = Item(found.seq, found.key_time // DAY_MICROSECONDS, id_mac, found.mac)
        store._batches.ledger.append(ledger.REMOVAL, [item])  # as an erasure does before it hides the event
        proof = store.verify(progress=lambda _: is_hidden and erasure.hide(store.connection, ["secret"]))
        assert proof.problem is None if is_hidden else "was erased, and is there again" in str(proof.problem)


def test_retention_removes_what_a_fast_clock_dated_and_the_chains_still_verify(clickhouse_url: str) -> None:
    with opened(clickhouse_url, Limits(keep_days=2.0)) as store:
        future, soon = (body(new_event_id(time.time() + days * DAY)) for days in (300.0, 1.5))
        put(store, [future, soon])
        maintenance.apply_retention(store.connection, store._batches.ledger, 2.0)
        assert ids(store) == [future.event_id, soon.event_id]
        maintenance.apply_retention(store.connection, store._batches.ledger, -1.0)  # as if a day had gone
        assert ids(store) == [soon.event_id]
        assert store.verify().problem is None


def test_a_key_is_revoked_and_a_view_removed_also_by_a_machine_whose_clock_is_slow(clickhouse_url: str) -> None:
    with opened(clickhouse_url) as store:
        keys, later = KeyTable(store.connection), time.time() + 3600
        keys.add("app", [Role.WRITE])
        [key] = keys.read()
        store.connection.insert("api_key", COLUMNS, [(key.name, key.digest, ["write"], key.created_at, False, later)])
        assert keys.revoke("app")
        assert keys.read() == []
        views = ViewTable(store.connection)
        store.connection.insert("view", ("name", "url", "removed", "changed_at"), [("mine", "/ui/", False, later)])
        assert views.read()
        views.remove("mine")
        assert views.read() == []


def test_the_first_of_replicas_that_start_at_once_with_different_keys_continues(
    clickhouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = b"first" * 8, b"second" * 8
    with opened(clickhouse_url, key=first) as store:
        monkeypatch.setattr(audit_key, "is_known", lambda _: False)  # as both found it
        with pytest.raises(ConfigurationError, match="another audit key"):
            audit_key.check_audit_key(store.connection, second)
        monkeypatch.undo()
        audit_key.check_audit_key(store.connection, first)
        store.connection.command("OPTIMIZE TABLE setting FINAL")
        audit_key.check_audit_key(store.connection, first)


def test_lines_of_the_access_log_with_the_same_number_are_on_one_page(clickhouse_url: str) -> None:
    with opened(clickhouse_url) as store:
        for name in ("ann", "bob"):
            log = AccessLog(store.connection)
            log.add(Access(START, name, "read", ""))
            log.add(Access(START - 1, name, "read", ""))
            log.flush()
        found, number = list[str](), None
        while lines := store.accesses(number, 1):
            found += [line.key_name for _, line in lines]
            number = lines[-1][0]
        assert sorted(found) == ["ann", "ann", "bob", "bob"]


def test_a_line_of_the_access_log_is_shown_once_though_the_answer_to_its_insert_was_lost(
    clickhouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(clickhouse_url) as store:
        insert = store.connection.insert

        def lose_the_answer(*arguments: Any) -> None:
            monkeypatch.undo()
            insert(*arguments)
            raise StoreUnavailableError("the connection was reset")

        monkeypatch.setattr(store.connection, "insert", lose_the_answer)
        log = AccessLog(store.connection)
        log.add(Access(START, "ann", "read", ""))
        with pytest.raises(StoreUnavailableError):
            log.flush()
        log.flush()
        assert store.connection.rows("SELECT count() FROM access") == [(2,)]
        assert [line.key_name for _, line in store.accesses()] == ["ann"]


def test_a_store_that_answers_but_does_not_store_is_not_reported_as_recovered_each_second(
    clickhouse_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(clickhouse_url) as store:
        store.connection.command("RENAME TABLE event TO away")
        for _ in range(3):
            with pytest.raises(StoreUnavailableError):
                put(store, [body("an id")])
            wait_until(lambda: store.problem is None)
        store.connection.command("RENAME TABLE away TO event")
        put(store, [body("an id")])
        assert [line.getMessage() for line in caplog.records if "works again" in line.getMessage()][1:] == []


def test_a_store_that_becomes_unavailable_is_detected_without_a_put_and_named_without_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "BEAT_SECONDS", 0.1)
    with embedded(tmp_path) as server, opened(server.url("d")) as store:
        server.kill()
        wait_until(lambda: store.problem is not None)
        with pytest.raises(StoreUnavailableError, match="refused") as error:
            store.find("a secret id")
        assert "secret" not in str(error.value)
        server.start()
        wait_until(lambda: store.problem is None)


def test_events_of_very_many_days_are_stored_at_once(clickhouse_url: str) -> None:
    given = [body(new_event_id(START - number * DAY)) for number in range(120)]
    with opened(clickhouse_url) as store:
        put(store, given)
        assert sorted(ids(store)) == sorted(each.event_id for each in given)
        assert store.verify().problem is None
