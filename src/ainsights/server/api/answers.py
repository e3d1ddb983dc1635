"""Rows of the engine and bodies of the store -> JSON, and the models that document it. Pure."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from pydantic import BaseModel, Field, create_model
from pydantic_core import to_json

from ainsights._model import Insight  # noqa: TC001  pydantic reads the annotation
from ainsights.server.events import build_event
from ainsights.server.query.engine import (
    Conversation,
    EventRow,
    Facet,
    IndexStatus,
    RepeatedText,
    UserSummary,
    WordCount,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ainsights.server.events import Event
    from ainsights.server.store import StoredBody

EXCERPT = 500
"""Characters of a question or an answer in a list."""

_TIMES = ("time", "first_time", "last_time")


def _model(shape: type[NamedTuple], **more: Any) -> type[BaseModel]:
    """Return a model with the fields of a named tuple; times are texts."""
    hints = get_type_hints(shape) | dict.fromkeys((name for name in _TIMES if name in shape._fields), str)
    fields: dict[str, Any] = {name: (hint, ...) for name, hint in hints.items()} | more
    return create_model(shape.__name__, **fields)


FacetModel = _model(Facet)
ItemModel: Any = _model(EventRow, question=(str, ...), answer=(str, ...))
ConversationModel: Any = _model(Conversation)
RepeatedModel: Any = _model(RepeatedText)
UserModel: Any = _model(UserSummary, models=(list[FacetModel], ...))  # type: ignore[valid-type]
WordModel: Any = _model(WordCount)
IndexModel: Any = _model(IndexStatus)


class EventList(BaseModel):
    """Some of the events that were asked for; question and answer are cut to 500 characters."""

    items: list[ItemModel]
    next_cursor: str | None = Field(description="Give it as cursor to go on; null at the end.")
    total: int | None = Field(description="How many there are on all pages; null on all but the first.")


class Neighbors(BaseModel):
    """The ids of the next newer and the next older event within the filter."""

    newer: str | None
    older: str | None


class OneEvent(ItemModel):  # type: ignore[misc]
    """One event: its columns, its meta, and the body as it was received."""

    received_at: str
    cost_source: str | None
    meta: dict[str, str]
    neighbors: Neighbors
    body: Insight


class TableAnswer(BaseModel):
    """One row for each group: groups first, then measures. Unknown is null, never 0."""

    columns: list[str]
    rows: list[list[Any]]
    bucket: str | None = Field(description="The time bucket that auto became.")
    truncated: bool = Field(description="Whether there are more groups than the limit.")


class ConversationList(BaseModel):
    """Conversations, the last active first."""

    items: list[ConversationModel]
    next_cursor: str | None


class Texts(BaseModel):
    """Texts that occur in several events, the most frequent first."""

    items: list[RepeatedModel]


class WordsAnswer(BaseModel):
    """Words of a sample: the newest ``sampled`` of ``total`` events."""

    words: list[WordModel]
    sampled: int
    total: int


class TemplateSummary(BaseModel):
    """A prompt template, by the hash of its content."""

    template: str
    text: str | None
    events: int
    users: int
    errors: int
    p50_latency: float | None
    cost: float | None


class Templates(BaseModel):
    """Prompt templates, the most frequent first."""

    items: list[TemplateSummary]


def timestamp(seconds: float) -> str:
    """Return the instant as RFC 3339, in UTC; what lies beyond the years 1 to 9999 as the nearest of them."""
    try:
        at = datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        at = datetime.max if seconds > 0 else datetime(1, 1, 1)  # noqa: DTZ001, DTZ901  written without a zone
    return at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def plain(row: Any) -> dict[str, Any]:
    """Return a named tuple as a dictionary, with times as texts."""
    shown = row._asdict()
    shown.update((name, timestamp(shown[name])) for name in _TIMES if name in shown)
    if "models" in shown:
        shown["models"] = [facet._asdict() for facet in shown["models"]]
    return dict(shown)


def event_of(body: StoredBody) -> Event:
    """Return the event that the body describes."""
    return build_event(*body)


def row_of(event: Event) -> EventRow:
    """Return the row of an event that the index does not have yet."""
    shown = event._asdict() | {"time": event.time / 1e6}
    return EventRow._make(shown[name] for name in EventRow._fields)


def item(row: EventRow, event: Event, excerpt: int | None = EXCERPT) -> dict[str, Any]:
    """Return an event as lists show it."""
    return plain(row) | {"question": event.question[:excerpt], "answer": event.answer[:excerpt]}


def with_body(shown: dict[str, Any], body: bytes) -> bytes:
    """Return ``shown`` as JSON with the body spliced in: what came is what is shown, to the byte."""
    return b'%b,"body":%b}' % (encode(shown)[:-1], body)


def encode(shown: Any) -> bytes:
    """Return JSON."""
    return to_json(shown, inf_nan_mode="null")


def table(columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]], bucket: str | None, groups: Any) -> list[Any]:
    """Return rows whose time buckets are texts."""
    at = next((number for number, group in enumerate(groups) if group.is_bucket), None)
    if at is None or bucket is None:
        return [list(row) for row in rows]
    return [[*row[:at], timestamp(row[at]), *row[at + 1 : len(columns)]] for row in rows]
