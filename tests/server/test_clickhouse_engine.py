"""Answers from ClickHouse while copies of events, and events with another conversation, are not merged yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import clickhouse, indexed
from support.indexed import START, body

from ainsights.server.clickhouse.engine import ClickHouseEngine, extent
from ainsights.server.query import Condition, Filter, Query, parse_filter, parse_query

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from support.indexed import Body

    from ainsights.server.clickhouse.store import ClickHouseStore

pytestmark = clickhouse.needs_engine


@pytest.fixture
def store(clickhouse_url: str) -> Iterator[ClickHouseStore]:
    with clickhouse.opened(clickhouse_url) as store:
        store.connection.command("SYSTEM STOP MERGES event")
        yield store


@pytest.fixture
def engine(store: ClickHouseStore) -> ClickHouseEngine:
    return ClickHouseEngine(store.connection, store)


def call(number: int, **changes: Any) -> Body:
    """Return the call of this number in one conversation: it repeats all that was before."""
    messages = []
    for n in range(number + 1):
        messages += [{"role": "user", "content": f"question {n}"}, {"role": "assistant", "content": f"answer {n}"}]
    response = {"model": "m", "choices": [{"message": messages.pop()}]}
    return body(f"call-{number}", START + number, messages=messages, response=response, **changes)


def at(second: int) -> dict[str, Any]:
    return {"ainsights.timestamp": f"2025-06-15T15:06:{second:02}Z"}


def test_event_that_moved_to_another_conversation_is_in_that_alone(
    store: ClickHouseStore, engine: ClickHouseEngine
) -> None:
    indexed.put(store, [call(1)])
    former = engine.events(Query()).rows[0].conversation
    indexed.put(store, [call(0)])
    (moved,) = {row.conversation for row in engine.events(Query()).rows}
    assert former
    assert moved
    assert moved != former
    assert engine.conversation(former) == []
    assert engine.count(parse_filter(f"conversation:{former}")) == 0
    assert engine.events(parse_query(f"where conversation:{former}")).rows == []
    assert [row.id for row in engine.conversation(moved)] == ["call-0", "call-1"]
    assert engine.aggregate(parse_query("events, conversations")).rows == [(2, 1)]
    assert [facet.events for facet in engine.facets(Filter(), ["conversation"])["conversation"]] == [2]


def test_pages_are_full_however_many_copies_there_are(store: ClickHouseStore, engine: ClickHouseEngine) -> None:
    for _ in range(4):
        indexed.put(store, [body(f"e{n}", meta=at(n)) for n in range(6)])
    first = engine.events(parse_query("limit 4"))
    second = engine.events(parse_query("limit 4"), first.next_cursor)
    assert [row.id for row in (*first.rows, *second.rows)] == ["e5", "e4", "e3", "e2", "e1", "e0"]
    assert second.next_cursor is None


def test_list_goes_back_as_far_as_needed(
    store: ClickHouseStore, engine: ClickHouseEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extent, "FIRST_LOOK", 1)
    days = [
        body(f"e{n}", meta={"ainsights.timestamp": f"2025-{1 + n % 9}-{1 + n % 28:02}T00:00:00Z"}) for n in range(60)
    ]
    indexed.put(store, [*days, body("old", user_id="ann", meta={"ainsights.timestamp": "2024-01-01T00:00:00Z"})])
    assert [row.id for row in engine.events(parse_query("where user:ann")).rows] == ["old"]
    assert engine.events(parse_query("order by time asc limit 1")).rows[0].id == "old"


def test_event_without_a_time_is_listed_by_its_receipt(store: ClickHouseStore, engine: ClickHouseEngine) -> None:
    indexed.put(store, [body("first", START), body("last", START + 20), body("dated", meta=at(30))])
    assert [row.id for row in engine.events(Query()).rows] == ["last", "first", "dated"]
    assert [row.id for row in engine.events(parse_query("where since:2025-06-15T15:06:50Z")).rows] == ["last"]
    assert engine.aggregate(parse_query("events where until:2025-06-15T15:06:35Z")).rows == [(1,)]


def test_filter_may_be_longer_than_a_url(store: ClickHouseStore, engine: ClickHouseEngine) -> None:
    indexed.put(store, [body("e1", user_id="ann")])
    users = tuple(f"user {n} 日本 {'x' * 500}" for n in range(400))
    assert engine.count(Filter((Condition("user", ":", (*users, "ann")),))) == 1
    assert engine.count(Filter((Condition("user", ":", users),))) == 0
