"""The body of an answer of the Responses API -> the ChatCompletion that it makes. Pure.

The last event of a stream has the whole response, and is the truth: of a stream that came to its end nothing else is
read. One that was cut, or whose last event has no output or an empty one, is put together from its other events, in the
order of their output indexes, whatever the order in which they came:

- ``output_item.added`` begins an item and ``output_item.done`` replaces it; ``content_part`` likewise, and the texts.
- Deltas are joined by output index, and by the index of a part, of a summary or of a command.
- The same event twice, by its sequence number, as where a stream was resumed, counts once; gaps do not matter.
- What no item has in the end goes: ``obfuscation``, images that are not final, of which size and hash stay.
- Nothing is invented: an item of which only deltas came has its type and what they brought.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from ainsights._json import LARGE, parse_json_or_none
from ainsights._processing.accumulator import Accumulation
from ainsights._processing.responses.assembly import Assembly
from ainsights._processing.responses.converter import to_completion
from ainsights._processing.sse import event_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ainsights._processing.responses.items import Fields

_STATUS = {"cancelled": "cancelled", "failed": "error", "in_progress": "abandoned", "queued": "abandoned"}
"""Of the status of a response: that of an event. Any other one is that of a response which is complete."""
_TERMINAL = frozenset(["response.completed", "response.incomplete", "response.failed", "response.cancelled"])
_SNAPSHOTS = frozenset(["response.created", "response.in_progress", "response.queued"])


def of_response(response: Fields, status: Any = None) -> Accumulation:
    """Return what a whole response makes.

    Args:
        response: as it was sent.
        status: what the event that brought it is named after; it counts where the response names none.
    """
    status = response.get("status") or status
    if status.__class__ is not str:
        status = "failed" if response.get("error") else "completed"  # some routers answer with an error so
    event_status = _STATUS.get(status, "ok")
    error = (response.get("error") or {}) if event_status == "error" else None
    return Accumulation(to_completion(response), done=True, error=error, chunks=1, status=event_status)


def accumulate(body: bytes) -> Accumulation:
    """Return what the server-sent events of ``body`` make together; its end may be missing, wherever it was cut.

    Never raises: what is not a JSON object is left out.
    """
    body = body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    last = _last_event(body)
    if str(last.get("type")) in _TERMINAL and _is_whole(last.get("response")):
        return of_response(last["response"], _named(last))
    stream = _Stream()
    for event in _events(body):
        stream.add(event)
    return stream.result()


def _is_whole(response: Any) -> bool:
    return response.__class__ is dict and response.get("output").__class__ is list and bool(response["output"])


def _named(event: Fields) -> str:
    return str(event["type"]).rpartition(".")[2]


def _last_event(body: bytes) -> Fields:
    """Return the last event; some servers send a ``[DONE]`` after it."""
    for block in reversed(body.rstrip(b"\n").rsplit(b"\n\n", 2)[-2:]):
        value = _value(block)
        if value.__class__ is dict:
            return value
    return {}


def _events(body: bytes) -> Iterator[Fields]:
    for block in body.split(b"\n\n"):
        value = _value(block)
        if value.__class__ is dict:
            yield value


def _value(block: bytes) -> Any:
    """Return the JSON value of an event; the usual form, a name and one line of data, without a look at its lines."""
    _, name, data = block.partition(b"data:")
    if name and b"\ndata:" not in data:
        try:
            value = from_json(data) if len(data) < LARGE else parse_json_or_none(data)
        except ValueError:
            value = None
        if value.__class__ is dict:
            return value
    return event_value(block)


@dataclass(slots=True)
class _Stream:
    """The events of a stream so far."""

    response: Fields = field(default_factory=dict)
    assembly: Assembly = field(default_factory=Assembly)
    error: Any | None = None
    ended: str | None = None
    """What the terminal event is named after."""
    count: int = 0
    _seen: set[tuple[Any, ...]] = field(default_factory=set)
    _numbers: set[int] = field(default_factory=set)

    def add(self, event: Fields) -> None:
        kind = event.get("type")
        if kind.__class__ is not str or kind == "error":
            self._fail(event)
        elif not self._is_repeated(event):
            self.count += 1
            response = event.get("response")
            if response.__class__ is not dict:
                self.assembly.add(kind, event)
            elif kind in _TERMINAL:
                self.response, self.ended = response, _named(event)
            elif kind in _SNAPSHOTS and self.ended is None:
                self.response = response

    def _fail(self, event: Fields) -> None:
        error = event.get("error")
        if event.get("type") == "error" and not error:
            error = {key: value for key, value in event.items() if key not in {"type", "sequence_number"}}
        if error:
            self.error = self.error or error

    def _is_repeated(self, event: Fields) -> bool:
        """Return whether the event came before; servers that do not number their events give all the same number."""
        number = event.get("sequence_number")
        if number.__class__ is not int:
            return False
        names = ("type", "output_index", "item_id", "content_index", "summary_index", "command_index")
        delta = event.get("delta") if event.get("delta").__class__ is str else None
        key = (number, delta, *(str(event.get(name)) for name in names))
        repeated = key in self._seen and len(self._numbers) > 1
        self._seen.add(key)
        self._numbers.add(number)
        return repeated

    def result(self) -> Accumulation:
        output = self.response.get("output")
        assembled = self.assembly.output()
        if assembled and (self.ended is None or not output):
            output = assembled
        fields = self.response | self.assembly.beside()
        if output.__class__ is list:
            fields["output"] = output
        if self.ended is not None:
            return of_response(fields, self.ended)._replace(chunks=self.count)
        return Accumulation(to_completion(fields, is_whole=False), done=False, error=self.error, chunks=self.count)
