"""The directives of a request, in the model's name or in a header -> Script. Pure.

A directive is a name, ``tools``, or a name and a value, ``n=2``; commas separate them. A value is percent-decoded, so
that a text can have commas and any character: ``text=Oui%2C ça va``.
"""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "mock:"
"""A model's name that begins so is followed by directives."""

AT_ONCE = -1
"""``hang`` without a number: before a response."""


class ScriptError(ValueError):
    """A directive that the server does not have, or a value that the directive does not take."""


class _Kind(NamedTuple):
    """What a directive takes as its value."""

    placeholder: str
    accepted: str
    read: Callable[[str], Any]


def _between(placeholder: str, kind: Callable[[str], float], low: float, high: float) -> _Kind:
    def read(text: str) -> float:
        number = kind(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return _Kind(placeholder, f"{'a whole number' if kind is int else 'seconds'} from {low} to {high}", read)


_TEXT = _Kind("TEXT", "a text, percent-encoded", unquote)
_SECONDS = _between("SECONDS", float, 0, 3600)
_STATUS = _between("CODE", int, 400, 599)
_BYTES = _between("BYTES", int, 1, 64 * 2**20)
_COUNT = _between("N", int, 1, 100_000)
_CHOICES = _between("N", int, 1, 128)
_CHUNKS = _between("K", int, 0, 100_000)
_ITEMS = _Kind("TYPES", "types of items, joined by +", lambda text: tuple(unquote(text).split("+")))


def _switch(meaning: str, *, fault: bool = False) -> Any:
    return field(default=False, metadata={"meaning": meaning, "fault": fault})


def _value(default: Any, kind: _Kind, meaning: str, *, fault: bool = False, bare: Any = None) -> Any:
    return field(default=default, metadata={"meaning": meaning, "fault": fault, "kind": kind, "bare": bare})


@dataclass(frozen=True, slots=True)
class Script:
    """The response that a request asks for.

    A field is a directive; an underscore in its name is a hyphen in the directive's.
    """

    text: str | None = _value(None, _TEXT, "the content; percent-encode commas")
    n: int | None = _value(None, _CHOICES, "so many choices, whatever the request's n")
    size: int = _value(0, _BYTES, "content of about that size")
    chunks: int | None = _value(None, _COUNT, "about so many chunks of content")
    tools: bool = _switch("two tool calls, of the request's tools if it has any; text once a tool has answered")
    function: bool = _switch("a legacy function call")
    refusal: bool = _switch("a refusal instead of content")
    logprobs: bool = _switch("logprobs, asked for or not")
    audio: bool = _switch("audio instead of content")
    reasoning: bool = _switch("reasoning_content before the content")
    vendor: bool = _switch("fields that OpenAI does not have: citations, provider, x_extra, usage.cost")
    json: bool = _switch("a JSON object, or an instance of the request's schema")
    length: bool = _switch("finish_reason length, the content cut")
    filter: bool = _switch("finish_reason content_filter, the content cut")
    output: tuple[str, ...] = _value((), _ITEMS, "items that precede a response's message: web_search_call+…, or all")
    failed: bool = _switch("a response that ends with the status failed")
    polls: int = _value(2, _COUNT, "a response in the background is finished when retrieved for the Nth time")

    status: int | None = _value(None, _STATUS, "an error: 400, 401, 403, 404, 429, 500 …", fault=True)
    retry_after: float | None = _value(None, _SECONDS, "errors carry the headers retry-after and -ms")
    fail: int = _value(0, _COUNT, "only the first N of equal requests meet the fault; status=500 if none")
    html: bool = _switch("200, and a web page", fault=True)
    badjson: bool = _switch("200, and JSON that is cut; in a stream, one chunk that is", fault=True)
    empty: bool = _switch("200, and no body", fault=True)
    abort: int | None = _value(None, _CHUNKS, "the connection ends after K chunks, or half of the body", fault=True)
    reset: bool = _switch("the connection is reset before an answer", fault=True)
    hang: int | None = _value(None, _CHUNKS, "no answer; with K, none after K chunks", fault=True, bare=AT_ONCE)

    delay: float = _value(0.0, _SECONDS, "wait before the answer")
    pace: float = _value(0.0, _SECONDS, "wait between chunks")
    gzip: bool = _switch("compressed, a stream too")
    deflate: bool = _switch("compressed, a stream too")
    badgzip: bool = _switch("compressed, and cut, in a whole response", fault=True)

    crlf: bool = _switch("a stream whose lines end in CR LF")
    comments: bool = _switch("a stream with comments")
    nodone: bool = _switch("a stream without [DONE]; one of a response without its last event")
    sse_error: bool = _switch("an error event in the middle of the stream", fault=True)
    nulldelta: bool = _switch("the last chunk of a choice has delta null")
    nodelta: bool = _switch("the last chunk of a choice has no delta")
    emptychoices: bool = _switch("a chunk with no choices in the middle of the stream")
    emptyfirst: bool = _switch("a first chunk with no choices and prompt_filter_results, as of Azure")
    nulloutput: bool = _switch("the last event of a response's stream has output null")
    noindex: bool = _switch("tool calls without index, distinguished by their id")
    event_names: bool = _switch("a stream with event: lines")
    split: bool = _switch("sent in pieces of a few bytes, which cut characters and lines")
    merge: bool = _switch("the whole stream in one piece")

    def for_attempt(self, attempt: int) -> Script:
        """Return what holds for the nth of equal requests, counted from 1: with or without the fault."""
        if not self.fail:
            return self
        if attempt > self.fail:
            return self.without_faults()
        faulty = any(getattr(self, name) != default for name, default in _NO_FAULTS.items())
        return self if faulty else replace(self, status=500)

    def without_faults(self) -> Script:
        """Return what holds where nothing goes wrong."""
        return replace(self, **_NO_FAULTS)


def _directive(known: Field[Any]) -> str:
    return known.name.replace("_", "-")


_FIELDS = {_directive(known): known for known in fields(Script)}
_NO_FAULTS: dict[str, Any] = {known.name: known.default for known in fields(Script) if known.metadata["fault"]}


def _shown(name: str, known: Field[Any]) -> str:
    kind: _Kind | None = known.metadata.get("kind")
    if kind is None:
        return name
    return f"{name}={kind.placeholder}" if known.metadata["bare"] is None else f"{name}[={kind.placeholder}]"


DIRECTIVES: dict[str, str] = {_shown(name, known): known.metadata["meaning"] for name, known in _FIELDS.items()}
"""What each directive means, by how it is written."""


def directives_of(model: str, header: str | None = None) -> str:
    """Return the directives of a request: those of its header if it has one, else those of its model's name."""
    if header is not None:
        return header
    return model.removeprefix(PREFIX) if model.startswith(PREFIX) else ""


@lru_cache(maxsize=1024)
def parse_directives(directives: str) -> Script:
    """Read directives such as ``tools,n=2``.

    Raises:
        ScriptError: one is not known or has a wrong value. The message lists what there is.
    """
    values: dict[str, Any] = {}
    for directive in filter(None, (part.strip() for part in directives.split(","))):
        name, equals, text = directive.partition("=")
        known = _FIELDS.get(name)
        if known is None:
            raise ScriptError(f"Unknown directive {directive!r}. There are: {', '.join(DIRECTIVES)}")
        values[known.name] = _read(name, known, text if equals else None)
    return Script(**values)


def _read(name: str, known: Field[Any], text: str | None) -> Any:
    kind: _Kind | None = known.metadata.get("kind")
    if kind is None:
        if text is not None:
            raise ScriptError(f"Directive {name} takes no value, not {text!r}")
        return True
    if text is None and known.metadata["bare"] is not None:
        return known.metadata["bare"]
    try:
        return kind.read(text or "")
    except ValueError:
        raise ScriptError(f"Directive {name} takes {kind.accepted}, not {text!r}") from None
