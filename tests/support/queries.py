"""Hypothesis strategies for queries of all shapes."""

from __future__ import annotations

from datetime import datetime, timezone

from hypothesis import strategies as st

from ainsights.server.query import (
    FIELDS,
    GROUPS,
    MEASURES,
    Ago,
    Condition,
    Filter,
    Group,
    Kind,
    Measure,
    Order,
    Query,
    Text,
)

texts = st.text(max_size=12) | st.sampled_from(
    ["gpt-4o", "a b", 'quo"te', "back\\slash", "a,b", "x*", "-x", "meta.a", "AND", "by"]
)
keys = texts.filter(bool)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**6), 10**6).map(float)
words = texts.filter(lambda text: any(character.isalnum() for character in text))
times = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(timezone.utc))  # noqa: DTZ001
whens = st.builds(Ago, st.integers(0, 10**6), st.sampled_from("wdhms")) | times


@st.composite
def conditions(
    draw: st.DrawFn,
    texts: st.SearchStrategy[str] = texts,
    keys: st.SearchStrategy[str] = keys,
    numbers: st.SearchStrategy[float] = numbers,
) -> Condition:
    """Any condition, with values from ``texts``."""
    name = draw(st.sampled_from(sorted(FIELDS)) | keys.map("meta.{}".format))
    negated = draw(st.booleans())
    kind = FIELDS[name].kind if name in FIELDS else Kind.TEXT
    operators = [":", "has"]
    if kind in (Kind.TEXT, Kind.LIST):
        operators.append("*")
    if kind.is_numeric or name not in FIELDS:
        operators += ["<", "<=", ">", ">="]
    operator = draw(st.sampled_from(operators))
    if operator == "has":
        return Condition(name, "has", (), negated)
    if operator in ("<", "<=", ">", ">="):
        return Condition(name, operator, (draw(numbers),), negated)
    values: st.SearchStrategy[str | float | bool] = texts
    if operator == "*":
        values = texts.filter(bool)
    elif kind.is_numeric:
        values = numbers
    elif kind is Kind.FLAG:
        values = st.booleans()
    return Condition(name, operator, tuple(draw(st.lists(values, min_size=1, max_size=3))), negated)


@st.composite
def filters(
    draw: st.DrawFn,
    conditions: st.SearchStrategy[Condition] | None = None,
    words: st.SearchStrategy[str] = words,
    whens: st.SearchStrategy[Ago | datetime] = whens,
) -> Filter:
    """Any filter."""
    return Filter(
        tuple(draw(st.lists(conditions if conditions is not None else _CONDITIONS, max_size=4))),
        tuple(draw(st.lists(st.builds(Text, words, st.booleans()), max_size=3))),
        draw(st.none() | whens),
        draw(st.none() | whens),
    )


_CONDITIONS = conditions()


@st.composite
def queries(
    draw: st.DrawFn, filters: st.SearchStrategy[Filter] | None = None, keys: st.SearchStrategy[str] = keys
) -> Query:
    """Any query: a list of events, or a table with up to two groups."""
    wanted = draw(filters if filters is not None else _FILTERS)
    measures = tuple(Measure(name) for name in draw(st.lists(st.sampled_from(MEASURES), max_size=3, unique=True)))
    names = st.sampled_from(GROUPS) | keys.map("meta.{}".format)
    groups: tuple[Group, ...] = ()
    if measures:
        found = [Group(name) for name in draw(st.lists(names, max_size=2, unique=True))]
        groups = tuple(found if sum(group.is_bucket for group in found) < 2 else found[:1])
    plain = Query(wanted, measures, groups)
    order = draw(st.none() | st.builds(Order, st.sampled_from(plain.orders), st.booleans()))
    return Query(wanted, measures, groups, order, draw(st.none() | st.integers(1, 50)))


_FILTERS = filters()
