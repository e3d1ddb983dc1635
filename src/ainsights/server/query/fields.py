"""The fields that a query can name: what an event is known by, and the kind of each.

The names are those of the filter language (``model:gpt-4o``), of the URL parameters, and of the index's columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum

from ainsights.errors import InsightsError


class QueryError(InsightsError, ValueError):
    """The query is malformed. The message names the word at fault and what would be right.

    Attributes:
        word: the part of the input at fault.
    """

    def __init__(self, message: str, word: str = "") -> None:
        super().__init__(message)
        self.word = word


class Kind(Enum):
    """What a field's values are, and so which operators it takes."""

    TEXT = "text"
    LIST = "list of texts"
    NUMBER = "number"
    DURATION = "duration"
    SIZE = "size in bytes"
    FLAG = "true or false"

    @property
    def is_numeric(self) -> bool:
        """Whether the values can be compared and averaged."""
        return self in (Kind.NUMBER, Kind.DURATION, Kind.SIZE)


@dataclass(frozen=True)
class Field:
    """A field: its name, the kind of its values, and one line for help texts."""

    name: str
    kind: Kind
    title: str


_FIELDS = (
    Field("id", Kind.TEXT, "event id"),
    Field("model", Kind.TEXT, "model that answered"),
    Field("api", Kind.TEXT, "API that was called: chat, responses or completions"),
    Field("user", Kind.TEXT, "end user"),
    Field("status", Kind.TEXT, "ok, error, closed_early, abandoned, cancelled, unread"),
    Field("error", Kind.TEXT, "error type"),
    Field("finish", Kind.TEXT, "finish reason of the first choice"),
    Field("release", Kind.TEXT, "meta.release"),
    Field("host", Kind.TEXT, "host of the model API"),
    Field("template", Kind.TEXT, "prompt template, by the hash of its content"),
    Field("conversation", Kind.TEXT, "conversation"),
    Field("tool", Kind.LIST, "tools that the model called"),
    Field("input", Kind.LIST, "names of the template's inputs"),
    Field("url", Kind.LIST, "URLs in the last user message and the answer"),
    Field("tag", Kind.LIST, "tags in meta"),
    Field("stream", Kind.FLAG, "whether the answer was streamed"),
    Field("latency", Kind.DURATION, "from request to the end of the answer"),
    Field("ttft", Kind.DURATION, "time to first token"),
    Field("tokens_per_second", Kind.NUMBER, "completion tokens per second"),
    Field("tokens", Kind.NUMBER, "prompt and completion tokens"),
    Field("prompt_tokens", Kind.NUMBER, "prompt tokens"),
    Field("completion_tokens", Kind.NUMBER, "completion tokens"),
    Field("cached_tokens", Kind.NUMBER, "prompt tokens read from the model API's cache"),
    Field("reasoning_tokens", Kind.NUMBER, "completion tokens spent on reasoning"),
    Field("cost", Kind.NUMBER, "cost in US dollars"),
    Field("size", Kind.SIZE, "size of the stored event"),
)

FIELDS: dict[str, Field] = {field.name: field for field in _FIELDS}
"""Every field but the keys of ``meta`` and the time."""

META_PREFIX = "meta."

BUCKETS = ("minute", "hour", "day", "week", "auto")
"""Time buckets to group by, in UTC; weeks begin on Monday; ``auto`` fits the time range."""


def get_field(name: str) -> Field:
    """Return the field called ``name``, which may be ``meta.KEY``.

    Raises:
        QueryError: there is none; the message suggests the nearest name.
    """
    if name.startswith(META_PREFIX) and len(name) > len(META_PREFIX):
        return Field(name, Kind.TEXT, f"{name[len(META_PREFIX) :]!r} in meta")
    try:
        return FIELDS[name]
    except KeyError:
        raise QueryError(f"unknown field {name!r}{suggest(name, FIELDS)}", name) from None


def suggest(word: str, known: object) -> str:
    """Return ``"; did you mean …?"`` with the nearest of the ``known`` names, else the list of them."""
    names = [str(name) for name in known] if isinstance(known, (dict, tuple, list)) else []
    near = get_close_matches(word, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; the choices are {', '.join(names)}"
