"""Random queries give the same answers from the index, from ClickHouse, and from plain tables in SQLite."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support import indexed, queries
from support.engines import ENGINES, Answering, answering
from support.indexed import random_bodies
from support.oracle import Oracle

from ainsights.server.events import build_event
from ainsights.server.query import Filter, Group, Measure, Query, parse_filter

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBERS = st.sampled_from([float(each) for each in (*indexed.LATENCIES, *indexed.COUNTS, *indexed.COSTS, -3, 2.5)])
TEXTS = st.sampled_from(
    [
        *indexed.MODELS,
        *indexed.USERS,
        *indexed.TAGS,
        *indexed.TOOLS,
        *indexed.META_VALUES,
        "ok",
        "error",
        "s1",
        "gpt",
        "stop",
    ]
)
KEYS = st.sampled_from([*indexed.META_KEYS, "absent"])
WORDS = st.lists(st.sampled_from(indexed.WORDS), min_size=1, max_size=2).map(" ".join)
TIMES = st.sampled_from([indexed.START + seconds for seconds in (-1, 0, 1, 60, 3600, 86_400, 10**7)]).map(
    lambda seconds: datetime.fromtimestamp(seconds, timezone.utc)
)
FILTERS = queries.filters(queries.conditions(TEXTS, KEYS, NUMBERS), WORDS, TIMES)
QUERIES = queries.queries(FILTERS, KEYS)


class Both(NamedTuple):
    answering: Answering
    oracle: Oracle


pytestmark = pytest.mark.timeout(600)  # for the examples of the long profile, which CI runs


@pytest.fixture(scope="module", params=ENGINES)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    directory = tmp_path_factory.mktemp("differential")
    bodies = random_bodies(400, seed=1)
    with indexed.small_shards(), answering(request.param, request, directory, bodies) as found:
        stored = found.store.bodies_after(0, 1000)
        yield Both(found, Oracle([build_event(*body) for body in stored], found.conversations))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(wanted=FILTERS)
def test_the_same_events_pass_a_filter(both: Both, wanted: Filter) -> None:
    expected = [row["seq"] for row in both.oracle.rows(wanted)]
    assert both.answering.engine.count(wanted) == len(expected)
    assert both.answering.engine.seqs(wanted, 0, 1000) == sorted(expected)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(query=QUERIES.filter(lambda query: not query.measures))
def test_pages_together_are_the_whole_list_in_order(both: Both, query: Query) -> None:
    query = Query(query.filter, order=query.order, limit=max(query.limit or 0, 20))
    ids: list[str] = []
    cursor = None
    while True:
        page = both.answering.engine.events(query, cursor)
        ids += [row.id for row in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert ids == both.oracle.events(query)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(query=QUERIES)
@example(query=Query(Filter(), (Measure("events"),), (Group("tool"), Group("tag"))))
@example(query=Query(parse_filter("user:nobody"), (Measure("max_size"), Measure("mean_size"), Measure("size"))))
def test_a_table_has_the_same_rows_in_the_same_order(both: Both, query: Query) -> None:
    query = query if query.measures else Query(query.filter, (Measure("events"),))
    table = both.answering.engine.aggregate(query)
    expected = both.oracle.table(query, table.bucket)
    limit = query.limit or 1000
    assert table.truncated == (len(expected) > limit)
    assert len(table.rows) == len(expected[:limit])
    assert [_rounded(row) for row in table.rows] == [_rounded(row) for row in expected[:limit]]


def _rounded(row: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(float(f"{value:.9g}") if isinstance(value, float) else value for value in row)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(wanted=FILTERS, name=st.sampled_from(["model", "user", "stream", "tag", "tool", "template", "meta.team"]))
def test_a_facet_counts_the_same_values(both: Both, wanted: Filter, name: str) -> None:
    expected = both.oracle.table(Query(wanted, (Measure("events"),), (Group(name),)), None)
    facet = both.answering.engine.facets(wanted, [name], 100)[name]
    assert [tuple(each) for each in facet] == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(wanted=FILTERS)
@example(wanted=Filter())
def test_conversations_page_by_page_are_those_of_the_events_the_last_active_first(both: Both, wanted: Filter) -> None:
    places: dict[str, list[tuple[int, int]]] = {}
    for row in both.oracle.rows(wanted):
        places.setdefault(row["conversation"], []).append((row["time"], row["seq"]))
    expected = sorted(((max(found), name, len(found)) for name, found in places.items()), reverse=True)
    pages, cursor = [], None
    while True:
        page = both.answering.engine.conversations(Query(wanted, limit=30), cursor)
        pages += page.rows
        cursor = page.next_cursor
        if cursor is None:
            break
    assert [(each.id, each.events) for each in pages] == [(name, count) for _, name, count in expected]
