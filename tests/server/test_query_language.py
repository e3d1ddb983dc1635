from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import queries

from ainsights.server.query import (
    Ago,
    Condition,
    Filter,
    Group,
    Measure,
    Order,
    Query,
    QueryError,
    Text,
    parse_filter,
    parse_params,
    parse_query,
    print_filter,
    print_query,
    to_params,
)

NOW = datetime(2025, 6, 1, 12, tzinfo=timezone.utc)


def test_a_query_names_measures_groups_order_limit_and_filter() -> None:
    query = parse_query("p95 latency, errors by model, hour order by errors desc limit 20 where status:error since:7d")
    assert query == Query(
        Filter((Condition("status", ":", ("error",)),), (), Ago(7, "d")),
        (Measure("p95_latency"), Measure("errors")),
        (Group("model"), Group("hour")),
        Order("errors", descending=True),
        20,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model:gpt-4o", Condition("model", ":", ("gpt-4o",))),
        ("model:a,b", Condition("model", ":", ("a", "b"))),
        ('model:"a,b",c', Condition("model", ":", ("a,b", "c"))),
        ("-model:a", Condition("model", ":", ("a",), negated=True)),
        ("model:gpt-4*", Condition("model", "*", ("gpt-4",))),
        ('model:"gpt 4"*', Condition("model", "*", ("gpt 4",))),
        ('model:"gpt-4*"', Condition("model", ":", ("gpt-4*",))),
        ("model:*", Condition("model", "has")),
        ("-has:cost", Condition("cost", "has", (), negated=True)),
        ("latency>2s", Condition("latency", ">", (2000.0,))),
        ("latency<=1.5s", Condition("latency", "<=", (1500.0,))),
        ("ttft>=250ms", Condition("ttft", ">=", (250.0,))),
        ("latency>2m", Condition("latency", ">", (120_000.0,))),
        ("tokens>=1k", Condition("tokens", ">=", (1000.0,))),
        ("cost<$0.01", Condition("cost", "<", (0.01,))),
        ("size>100kb", Condition("size", ">", (100_000.0,))),
        ("stream:true", Condition("stream", ":", (True,))),
        ("meta.release:1.2", Condition("meta.release", ":", ("1.2",))),
        ('meta."a key":"a value"', Condition("meta.a key", ":", ("a value",))),
        ("meta.score>0.5", Condition("meta.score", ">", (0.5,))),
        ("meta.ainsights.retries:2", Condition("meta.ainsights.retries", ":", ("2",))),
        ('user:"say \\"hi\\""', Condition("user", ":", ('say "hi"',))),
    ],
)
def test_a_condition_is_parsed(text: str, expected: Condition) -> None:
    assert parse_filter(text) == Filter((expected,))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("refund", Text("refund")),
        ("-refund", Text("refund", negated=True)),
        ('"out of office"', Text("out of office")),
        ('-"out of office"', Text("out of office", negated=True)),
        ("foo-bar", Text("foo-bar")),
        ("https://example.com/a?b", Text("https://example.com/a?b")),
        ("12:30", Text("12:30")),
        ("日本語", Text("日本語")),
        ('"AND"', Text("AND")),
    ],
)
def test_a_text_is_parsed(text: str, expected: Text) -> None:
    assert parse_filter(text) == Filter((), (expected,))


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("since:7d", NOW - timedelta(days=7)),
        ("since:24h", NOW - timedelta(hours=24)),
        ("since:2w", NOW - timedelta(weeks=2)),
        ("since:1000000w", datetime(1970, 1, 1, tzinfo=timezone.utc)),
        ("since:2025-01-31", datetime(2025, 1, 31, tzinfo=timezone.utc)),
        ("since:2025-01-31T12:00:00Z", datetime(2025, 1, 31, 12, tzinfo=timezone.utc)),
        ("since:2025-01-31T12:00:00.5+02:00", datetime(2025, 1, 31, 10, 0, 0, 500_000, tzinfo=timezone.utc)),
    ],
)
def test_a_time_resolves_to(text: str, since: datetime) -> None:
    assert parse_filter(text).resolved(NOW).since == since


@pytest.mark.parametrize(
    ("text", "word", "remedy"),
    [
        ("p95 latancy", "p95 latancy", "did you mean 'p95 latency'?"),
        ("events by modle", "modle", "did you mean 'model'?"),
        ("events by latency", "latency", "the choices are model, api, user"),
        ("events by model, user, day", "day", "at most 2 groups"),
        ("events by hour, day", "day", "at most one time bucket"),
        ("events, events", "events", "is there twice"),
        ("by model", "model", "name a measure"),
        ("events order errors", "order", "write order by NAME"),
        ("events order by cost", "cost", "the choices are events"),
        ("events limit 0", "0", "from 1 to 10000"),
        ("events limit many", "many", "limit takes a number"),
        ("events limit 1 limit 2", "limit", "is there twice"),
        ("where modle:x", "modle", "did you mean 'model'?; to search for 'modle:x', quote it"),
        ("where model=x", "model=x", "write model:x"),
        ("where model:", "model:", "a value is missing"),
        ('where model:"x', 'model:"x', "needs quotes"),
        ('where "x', '"x', "a quote is not closed"),
        ('where x"y"', 'x"y"', "quote the whole of it"),
        ("where model>3", "model", "write model:VALUE"),
        ("where latency:fast", "fast", "write one such as 2s or 500ms"),
        ("where tokens>1,2", "tokens", "takes one value"),
        ("where stream:maybe", "maybe", "neither true nor false"),
        ("where model:a*,b", "model:a*,b", "either all values end in *"),
        ("where since:soon", "soon", "write one such as 7d"),
        ("where since:1960-01-01", "1960-01-01", "before 1970"),
        ("where since:7d since:8d", "since:8d", "is there twice"),
        ("where -since:7d", "-since:7d", "write since:7d"),
        ("where a OR b", "OR", "write model:a,b"),
        ("where '...'", "'...'", "nothing to search for"),
        ("where has:colour", "colour", "unknown field"),
    ],
)
def test_an_error_names_the_word_and_what_would_be_right(text: str, word: str, remedy: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(text)
    assert caught.value.word == word
    assert remedy in str(caught.value)


def test_url_parameters_name_fields_with_plain_values() -> None:
    query = parse_params(
        [("model", "a,b*"), ("user", "Ann"), ("user", "Bob"), ("latency", ">2s"), ("q", "-x"), ("since", "7d")]
    )
    assert query.filter == Filter(
        (
            Condition("model", ":", ("a,b*",)),
            Condition("user", ":", ("Ann", "Bob")),
            Condition("latency", ">", (2000.0,)),
        ),
        (Text("x", negated=True),),
        Ago(7, "d"),
    )


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ([("modle", "x")], "modle"),
        ([("limit", "1"), ("limit", "2")], "limit"),
        ([("since", "7d"), ("q", "since:8d")], "since"),
    ],
)
def test_an_error_names_the_url_parameter(params: list[tuple[str, str]], word: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_params(params)
    assert caught.value.word == word


@given(queries.queries())
def test_what_is_printed_parses_to_an_equal_query(query: Query) -> None:
    assert parse_query(print_query(query)) == query


@given(queries.queries())
def test_url_parameters_parse_to_an_equal_query(query: Query) -> None:
    assert parse_params(to_params(query)) == query


@given(queries.filters())
def test_a_printed_filter_parses_to_an_equal_filter(wanted: Filter) -> None:
    assert parse_filter(print_filter(wanted)) == wanted


@given(
    st.text()
    | st.lists(st.sampled_from([" ", '"', "-", ":", "model", "latency", ">", "*", ",", "where", "by"])).map("".join)
)
def test_any_text_is_a_query_or_a_query_error(text: str) -> None:
    with suppress(QueryError):
        query = parse_query(text)
        assert parse_query(print_query(query)) == query
