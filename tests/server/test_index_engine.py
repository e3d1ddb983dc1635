from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from support.engines import ENGINES, Answering, answering
from support.indexed import START, Body, body

from ainsights.server.query import QueryError, parse_filter, parse_query
from ainsights.server.query.cursors import Position, encode_cursor
from ainsights.server.query.engine import Facet, Neighbors

if TYPE_CHECKING:
    from collections.abc import Iterator


def asks(name: str, question: str, *, at: int = 0, user: str = "Ann", **meta: Any) -> Body:
    messages = [{"role": "system", "content": "Be nice."}, {"role": "user", "content": question}]
    return body(name, START + at, messages=messages, user_id=user, meta=meta | {"ainsights.latency_ms": 100.0 * at})


BODIES = [
    asks("a", "How are you?", at=1, team="red"),
    asks("b", "how are  you", at=2, user="Bob", team="red"),
    asks("c", "How are you!", at=3, team="blue"),
    asks("d", "See https://example.com/x and https://example.org", at=4, user="Bob"),
    asks("e", "Read https://example.com/x", at=5, **{"ainsights.status": "error"}),
    asks("f", "请问退款在哪里", at=6),
]


@pytest.fixture(scope="module", params=ENGINES)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answering]:
    with answering(request.param, request, tmp_path_factory.mktemp("engine"), BODIES) as served:
        yield served


def test_a_row_has_the_columns_of_the_event(served: Answering) -> None:
    row = served.engine.events(parse_query("where id:d")).rows[0]
    assert (row.id, row.time, row.user, row.latency) == ("d", START + 4, "Bob", 400.0)
    assert [stored.event_id for stored in served.store.bodies([row.seq])] == ["d"]
    assert (row.url, row.tag, row.model, row.cost) == (
        ["https://example.com/x", "https://example.org"],
        [],
        "gpt-4o",
        None,
    )


def test_questions_are_counted_whatever_their_case_and_punctuation(served: Answering) -> None:
    first = served.engine.questions(parse_query("limit 1"))[0]
    assert (first.text, first.role, first.events, first.users, first.last_id) == ("How are you!", "user", 3, 2, "c")
    assert first.last_time == START + 3


def test_questions_are_those_within_the_filter(served: Answering) -> None:
    assert [each.text for each in served.engine.questions(parse_query("where user:Bob example"))] == [
        "See https://example.com/x and https://example.org"
    ]


def test_recurring_messages_have_their_role(served: Answering) -> None:
    first = served.engine.messages(parse_query("limit 1"))[0]
    assert (first.text, first.role, first.events, first.errors) == ("Be nice.", "system", 6, 1)


def test_urls_are_counted(served: Answering) -> None:
    assert [(each.text, each.events, each.errors) for each in served.engine.urls(parse_query(""))] == [
        ("https://example.com/x", 2, 1),
        ("https://example.org", 1, 0),
    ]


def test_words_are_counted_in_a_sample_that_is_named(served: Answering) -> None:
    words = served.engine.words(parse_query(""))
    assert (words.sampled, words.total) == (6, 6)
    counts = {each.word: each.events for each in words.words}
    assert (counts["fine"], counts["example"], counts["退款"]) == (6, 2, 1)
    assert "are" not in counts


def test_facets_count_the_values_of_the_usual_fields(served: Answering) -> None:
    facets = served.engine.facets(parse_filter("how"))
    assert facets["user"] == [Facet("Ann", 2), Facet("Bob", 1)]
    assert facets["tag"] == [Facet(None, 3)]
    assert list(facets)[:3] == ["model", "api", "status"]


def test_a_facet_of_a_key_of_meta_counts_its_values(served: Answering) -> None:
    assert served.engine.facets(parse_filter(""), ["meta.team"]) == {
        "meta.team": [Facet(None, 3), Facet("red", 2), Facet("blue", 1)]
    }


def test_the_keys_of_meta_are_counted(served: Answering) -> None:
    assert served.engine.meta_keys(parse_filter("")) == [Facet("team", 3)]


def test_a_facet_of_an_unknown_field_is_an_error(served: Answering) -> None:
    with pytest.raises(QueryError, match="unknown field 'colour'"):
        served.engine.facets(parse_filter(""), ["colour"])


@pytest.mark.parametrize(
    ("query", "event_id", "expected"),
    [
        ("", "b", Neighbors("c", "a")),
        ("", "f", Neighbors(None, "e")),
        ("", "a", Neighbors("b", None)),
        ("where user:Ann", "c", Neighbors("e", "a")),
        ("where user:Ann", "b", Neighbors("c", "a")),
        ("where how", "b", Neighbors("c", "a")),
        ("where how", "c", Neighbors(None, "b")),
        ("order by latency asc", "b", Neighbors("a", "c")),
        ("", "unknown", Neighbors(None, None)),
    ],
)
def test_the_neighbors_of_an_event_are_those_in_the_list(
    served: Answering, query: str, event_id: str, expected: Neighbors
) -> None:
    assert served.engine.neighbors(parse_query(query), event_id) == expected


def test_a_user_is_summed_up(served: Answering) -> None:
    user = served.engine.user("Ann")
    assert user
    assert (user.first_time, user.last_time, user.events, user.errors) == (START + 1, START + 6, 4, 1)
    assert (user.tokens, user.cost, user.models) == (None, None, [Facet("gpt-4o", 4)])


def test_an_unknown_user_is_none(served: Answering) -> None:
    assert served.engine.user("Zoe") is None


def test_conversations_come_page_by_page_the_last_active_first(served: Answering) -> None:
    first = served.engine.conversations(parse_query("limit 4"))
    second = served.engine.conversations(parse_query("limit 4"), first.next_cursor)
    assert [each.last_id for each in (*first.rows, *second.rows)] == ["f", "e", "d", "c", "b", "a"]
    assert second.next_cursor is None


def test_a_conversation_has_its_user_and_its_sums(served: Answering) -> None:
    found = served.engine.conversations(parse_query("where id:e")).rows[0]
    assert (found.events, found.errors, found.user, found.first_time, found.last_time) == (
        1,
        1,
        "Ann",
        START + 5,
        START + 5,
    )


@pytest.mark.parametrize("cursor", ["x", "e30", "W10", "WzEsIDJd" * 2, encode_cursor(Position(1.0, -1)), "日本"])
def test_a_cursor_that_no_page_gave_is_an_error(served: Answering, cursor: str) -> None:
    with pytest.raises(QueryError, match="cursor"):
        served.engine.events(parse_query(""), cursor)


@pytest.mark.parametrize("value", [1.5, 5e-324, -(2**62), 2**62, None])
def test_a_cursor_of_a_list_in_another_order_is_not_a_store_failure(served: Answering, value: float | None) -> None:
    cursor = encode_cursor(Position(value, 5))
    for answer in (served.engine.events, served.engine.conversations):
        with suppress(QueryError):
            answer(parse_query(""), cursor)


def test_a_table_names_the_bucket_that_auto_became(served: Answering) -> None:
    table = served.engine.aggregate(parse_query("events by auto"))
    assert (table.columns, table.bucket, table.rows) == (("auto", "events"), "minute", [(START - START % 60, 6)])
    table = served.engine.aggregate(parse_query("events by auto where since:2024-01-01"))
    assert table.bucket == "week"


def test_values_in_a_query_are_never_sql(served: Answering) -> None:
    hostile = json.dumps("' OR 1=1; DROP TABLE event; --")
    for field in ("model", "user", "tag", "meta.team"):
        assert served.engine.count(parse_filter(f"{field}:{hostile}")) == 0
        assert served.engine.count(parse_filter(f'meta."x\\\' OR 1=1 --":{hostile}')) == 0
    assert served.engine.count(parse_filter(f'"{"DROP TABLE event"}"')) == 0
    assert served.engine.count(parse_filter("")) == len(BODIES)
