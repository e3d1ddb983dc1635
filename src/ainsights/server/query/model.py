"""The typed query: which events, what to measure of them, and how to group it.

Everything here is immutable and valid by construction, so that an engine need not check again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Literal

from ainsights.server.query.fields import BUCKETS, FIELDS, META_PREFIX, Kind, QueryError, get_field, suggest

Value = str | float | bool
Operator = Literal[":", "*", "<", "<=", ">", ">=", "has"]
"""``:`` equals one of the values, ``*`` begins with one of them, ``has`` is known at all."""

MAX_LIMIT = 10_000
MAX_GROUPS = 2
MAX_WORD = 1000


@dataclass(frozen=True)
class Condition:
    """One condition on a field. An event whose field is unknown doesn't meet it, and meets its negation.

    Numbers are floats; durations are in milliseconds, sizes in bytes, costs in US dollars.

    Raises:
        QueryError: the field is unknown, or takes no such operator or value.
    """

    field: str
    operator: Operator
    values: tuple[Value, ...] = ()
    negated: bool = False

    def __post_init__(self) -> None:
        kind = get_field(self.field).kind
        if self.operator == "has":
            return
        if not self.values or (self.operator in ("<", "<=", ">", ">=") and len(self.values) > 1):
            raise QueryError(f"{self.field}{self.operator} takes one value", self.field)
        if self.operator != ":" and not _takes(self.field, kind, self.operator):
            raise QueryError(f"{self.field} is a {kind.value}: {_instead(self.field, kind)}", self.field)
        for value in self.values:
            if type(value) is not self.value_type:
                raise QueryError(f"{self.field} takes a {kind.value}, not {value!r}", str(value))
            if isinstance(value, float) and not abs(value) < float("inf"):
                raise QueryError(f"{self.field} takes a finite number", str(value))

    @property
    def value_type(self) -> type[Value]:
        """The type of this condition's values."""
        kind = get_field(self.field).kind
        if kind.is_numeric or self.operator in ("<", "<=", ">", ">="):
            return float
        return bool if kind is Kind.FLAG else str


def _takes(name: str, kind: Kind, operator: Operator) -> bool:
    if operator == "*":
        return kind in (Kind.TEXT, Kind.LIST)
    return kind.is_numeric or name.startswith(META_PREFIX)


def _instead(name: str, kind: Kind) -> str:
    if kind.is_numeric:
        return f"write {name}:VALUE or {name}>VALUE"
    return f"write {name}:VALUE"


@dataclass(frozen=True)
class Text:
    """A word or phrase that the last user message or the answer contains; case and accents don't matter.

    Raises:
        QueryError: it has neither letter nor digit, or is too long.
    """

    text: str
    negated: bool = False

    def __post_init__(self) -> None:
        if not any(character.isalnum() for character in self.text):
            raise QueryError(f"nothing to search for in {self.text!r}: give a word", self.text)
        if len(self.text) > MAX_WORD:
            raise QueryError(f"the text to search for is longer than {MAX_WORD} characters", self.text[:40])


@dataclass(frozen=True)
class Ago:
    """A time relative to now: seven days ago is ``Ago(7, "d")``. The units are w, d, h, m and s."""

    count: int
    unit: str

    def __post_init__(self) -> None:
        if self.unit not in _UNITS or not 0 <= self.count <= 10**6:
            raise QueryError(f"a relative time is such as 7d, 24h, 30m or 2w, not {self.count}{self.unit}", self.unit)

    def at(self, now: datetime) -> datetime:
        """Return the instant, never before the epoch."""
        ago = timedelta(seconds=self.count * _UNITS[self.unit])
        return now - ago if ago < now - EPOCH else EPOCH


_UNITS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

When = Ago | datetime
"""An instant (in UTC), or one relative to now."""

STATISTICS = ("mean", "min", "max", "p50", "p95", "p99")
SUMMED = ("tokens", "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "cost", "size")
PLAIN_MEASURES = ("events", "share", "errors", "error_rate", "tokens_per_second", "users", "conversations")


@dataclass(frozen=True)
class Measure:
    """What to measure of each group of events, by name.

    ``events``, ``share`` (of all events that pass the filter, 0 to 1), ``errors``, ``error_rate`` (0 to 1), ``users``,
    ``conversations``, ``tokens_per_second`` (completion tokens by latency, in all); the sums ``tokens``,
    ``prompt_tokens``, ``completion_tokens``, ``cached_tokens``, ``reasoning_tokens``, ``cost``, ``size``; ``mean_X``,
    ``min_X``, ``max_X``, ``p50_X``, ``p95_X`` and ``p99_X`` of any numeric field X. What is unknown of an event counts
    in none of them, and what is known of no event is None.
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in MEASURES:
            raise QueryError(f"unknown measure {self.label!r}{suggest(self.label, LABELS)}", self.label)

    @property
    def label(self) -> str:
        """The name with spaces, as people write it."""
        return self.name.replace("_", " ")

    @property
    def statistic(self) -> str | None:
        """``p95`` of ``p95_latency``; None for a plain measure or a sum."""
        head, _, rest = self.name.partition("_")
        return head if head in STATISTICS and rest in FIELDS else None

    @property
    def of(self) -> str:
        """The field that is measured: ``latency`` of ``p95_latency``, ``cost`` of ``cost``."""
        return self.name.partition("_")[2] if self.statistic else self.name


_NUMERIC = tuple(name for name, known in FIELDS.items() if known.kind.is_numeric)
MEASURES = (*PLAIN_MEASURES, *SUMMED, *(f"{statistic}_{name}" for statistic in STATISTICS for name in _NUMERIC))
LABELS = tuple(name.replace("_", " ") for name in MEASURES)


@dataclass(frozen=True)
class Group:
    """What to group by: a field, ``meta.KEY``, or a time bucket (minute, hour, day, week, auto)."""

    name: str

    def __post_init__(self) -> None:
        if self.is_bucket:
            return
        if self.name not in FIELDS and not self.name.startswith(META_PREFIX):
            raise QueryError(f"cannot group by {self.name!r}{suggest(self.name, GROUPS)}", self.name)
        if get_field(self.name).kind.is_numeric or self.name == "id":
            raise QueryError(f"cannot group by {self.name}; the choices are {', '.join(GROUPS)}, meta.KEY", self.name)

    @property
    def is_bucket(self) -> bool:
        """Whether it is a time bucket."""
        return self.name in BUCKETS


GROUPS = (*(name for name, known in FIELDS.items() if not known.kind.is_numeric and name != "id"), *BUCKETS)


@dataclass(frozen=True)
class Order:
    """What to order by: a measure or group of the query; for a list of events, ``time`` or a numeric field."""

    name: str
    descending: bool = True

    @property
    def reversed(self) -> Order:
        """The opposite order."""
        return Order(self.name, not self.descending)


@dataclass(frozen=True)
class Filter:
    """Which events: those that meet all conditions, contain all texts and began within the time range."""

    conditions: tuple[Condition, ...] = ()
    texts: tuple[Text, ...] = ()
    since: When | None = None
    until: When | None = None

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            when = getattr(self, name)
            if isinstance(when, datetime):
                object.__setattr__(self, name, max(EPOCH, _in_utc(when)))

    def resolved(self, now: datetime) -> Filter:
        """Return the same filter with relative times made absolute, as of ``now``."""
        since, until = (when.at(now) if isinstance(when, Ago) else when for when in (self.since, self.until))
        return replace(self, since=since, until=until)

    def with_condition(self, *conditions: Condition) -> Filter:
        """Return the filter with further conditions."""
        return replace(self, conditions=(*self.conditions, *conditions))


def _in_utc(when: datetime) -> datetime:
    try:
        return when.replace(tzinfo=timezone.utc) if when.tzinfo is None else when.astimezone(timezone.utc)
    except OverflowError:
        raise QueryError(f"the time {when.isoformat()} is out of range", when.isoformat()) from None


@dataclass(frozen=True)
class Query:
    """A list of events (no measures) or a table of measures, of the events that pass the filter.

    Raises:
        QueryError: a measure twice, more than two groups, groups without a measure, an order that is neither,
            a limit out of range.
    """

    filter: Filter = field(default_factory=Filter)
    measures: tuple[Measure, ...] = ()
    groups: tuple[Group, ...] = ()
    order: Order | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        self._check_groups()
        known = self.orders
        if self.order and self.order.name not in known:
            raise QueryError(f"cannot order by {self.order.name!r}{suggest(self.order.name, known)}", self.order.name)
        if self.limit is not None and not 1 <= self.limit <= MAX_LIMIT:
            raise QueryError(f"limit is a number from 1 to {MAX_LIMIT}, not {self.limit}", str(self.limit))

    def _check_groups(self) -> None:
        if self.groups and not self.measures:
            raise QueryError("name a measure to group, such as events", self.groups[0].name)
        if len(self.groups) > MAX_GROUPS:
            raise QueryError(f"at most {MAX_GROUPS} groups", self.groups[MAX_GROUPS].name)
        names = self._names
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise QueryError(f"{twice[0]!r} is there twice", twice[0])
        if sum(group.is_bucket for group in self.groups) > 1:
            raise QueryError("at most one time bucket", self.groups[1].name)

    @property
    def _names(self) -> tuple[str, ...]:
        return (*(measure.name for measure in self.measures), *(group.name for group in self.groups))

    def resolved(self, now: datetime) -> Query:
        """Return the same query with relative times made absolute, as of ``now``."""
        return replace(self, filter=self.filter.resolved(now))

    @property
    def orders(self) -> tuple[str, ...]:
        """What this query can be ordered by."""
        return self._names if self.measures else EVENT_ORDERS


EVENT_ORDERS = ("time", *_NUMERIC)
"""What a list of events can be ordered by."""
