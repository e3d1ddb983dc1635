"""What answers queries, whichever index is beneath, and the shapes of the answers.

Every method blocks, may be called from any thread at once, and raises `QueryError` (the query is at fault) or
`IndexUnavailableError` (the index is being rebuilt, or failed). Times are seconds since the epoch; durations are in
milliseconds. None means unknown, never zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ainsights.errors import InsightsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ainsights.server.query.model import Filter, Query


class IndexUnavailableError(InsightsError):
    """The index cannot answer now: it is being rebuilt, or its files failed."""


class EventRow(NamedTuple):
    """What a list shows of one event. ``seq`` finds its body in the store."""

    seq: int
    id: str
    time: float
    model: str | None
    api: str | None
    user: str | None
    status: str | None
    error: str | None
    finish: str | None
    release: str | None
    host: str | None
    template: str | None
    conversation: str | None
    stream: bool | None
    latency: float | None
    ttft: float | None
    tokens_per_second: float | None
    tokens: int | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    cost: float | None
    size: int
    tool: list[str]
    input: list[str]
    url: list[str]
    tag: list[str]


class EventPage(NamedTuple):
    """Some events, and the cursor that goes on after them; None at the end.

    The cursor names the last event, so that events that arrive meanwhile neither repeat nor hide one.
    """

    rows: list[EventRow]
    next_cursor: str | None


class Table(NamedTuple):
    """The answer to a query with measures: one row for each group, groups first, then measures.

    A time bucket is the time at which it begins; ``bucket`` is the one that ``auto`` became. ``truncated`` means that
    there are more groups than the limit.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    bucket: str | None
    truncated: bool


class Facet(NamedTuple):
    """A value of a field and how many events have it."""

    value: str | bool | None
    events: int


class Neighbors(NamedTuple):
    """The ids of the next newer and the next older event within a filter."""

    newer: str | None
    older: str | None


class RepeatedText(NamedTuple):
    """A question, message or URL that occurs in several events, with the newest of them as an example."""

    text: str
    role: str
    events: int
    users: int
    errors: int
    last_time: float
    last_id: str


class WordCount(NamedTuple):
    """A word and in how many events of the sample it occurs."""

    word: str
    events: int


class Words(NamedTuple):
    """Words of the last user messages and answers, counted in a sample: the newest ``sampled`` of ``total`` events."""

    words: list[WordCount]
    sampled: int
    total: int


class Conversation(NamedTuple):
    """One conversation, of the events within the filter."""

    id: str
    first_time: float
    last_time: float
    events: int
    errors: int
    tokens: int | None
    cost: float | None
    user: str | None
    last_id: str


class ConversationPage(NamedTuple):
    """Some conversations, and the cursor that goes on after them."""

    rows: list[Conversation]
    next_cursor: str | None


class UserSummary(NamedTuple):
    """What is known of one user."""

    user: str
    first_time: float
    last_time: float
    events: int
    errors: int
    conversations: int
    tokens: int | None
    cost: float | None
    models: list[Facet]


class IndexStatus(NamedTuple):
    """How far the index is.

    Attributes:
        state: ``ready``, ``rebuilding`` or ``failed``.
        indexed_seq: the last event that queries see.
        last_seq: the last event that the store has.
        lag_seconds: for how long the first event that is not indexed yet has been stored; 0 if there is none.
        progress: the done part of a rebuild, 0 to 1.
        bytes: the size of the index files.
        error: why it failed.
    """

    state: str
    indexed_seq: int
    last_seq: int
    lag_seconds: float
    progress: float
    bytes: int
    error: str | None


class Follower(Protocol):
    """Shows what arrives to one listener, each event once. One thread at a time calls it.

    Attributes:
        after: where a listener that comes back later goes on.
    """

    after: int

    @property
    def is_due(self) -> bool:
        """Whether :meth:`next` may have something to show. It never blocks."""
        ...

    def next(self, limit: int) -> list[int]:
        """Return the numbers of the next events that arrived, ``limit`` of them or somewhat more at the most."""
        ...


class Engine(Protocol):
    """Answers queries."""

    def events(self, query: Query, cursor: str | None = None) -> EventPage:
        """Return the page of events that follows ``cursor``; newest first unless the query orders otherwise."""
        ...

    def count(self, wanted: Filter) -> int:
        """Return how many events pass."""
        ...

    def seqs(self, wanted: Filter, after: int, limit: int) -> list[int]:
        """Return the next ``limit`` events that pass, by seq from ``after`` upwards: for exports and erasure."""
        ...

    def follow(self, wanted: Filter, after: int | None = None) -> Follower:
        """Return what shows the events that pass and arrive after ``after``; None: from now on."""
        ...

    def rows(self, seqs: Sequence[int]) -> list[EventRow]:
        """Return what is known of these events, by seq upwards; those that were removed are left out."""
        ...

    def aggregate(self, query: Query) -> Table:
        """Return the measures of the query, by its groups."""
        ...

    def facets(self, wanted: Filter, fields: Sequence[str] = (), limit: int = 10) -> dict[str, list[Facet]]:
        """Return the most frequent values of each field, with counts; of the usual fields if none is named."""
        ...

    def meta_keys(self, wanted: Filter, limit: int = 100) -> list[Facet]:
        """Return the keys of meta and how many events have each."""
        ...

    def neighbors(self, query: Query, event_id: str) -> Neighbors:
        """Return what stands next to the event in the list that ``query`` gives."""
        ...

    def questions(self, query: Query) -> list[RepeatedText]:
        """Return the most frequent last user messages, alike but for case, spaces and punctuation."""
        ...

    def messages(self, query: Query) -> list[RepeatedText]:
        """Return the messages (of any role) that occur in most events."""
        ...

    def urls(self, query: Query) -> list[RepeatedText]:
        """Return the URLs that most events mention."""
        ...

    def words(self, query: Query) -> Words:
        """Return the most frequent words, from a sample."""
        ...

    def conversations(self, query: Query, cursor: str | None = None) -> ConversationPage:
        """Return the conversations with an event within the filter, the last active first."""
        ...

    def conversation(self, conversation_id: str) -> list[EventRow]:
        """Return the events of one conversation, oldest first; empty if there is none."""
        ...

    def user(self, user_id: str) -> UserSummary | None:
        """Return what is known of the user, or None."""
        ...

    def status(self) -> IndexStatus:
        """Return how far the index is."""
        ...
