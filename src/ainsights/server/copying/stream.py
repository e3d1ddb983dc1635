"""A copy as JSON lines: a header, a line for each event, and a trailer with count and hash. Pure.

The hash does not depend on the order, so that two stores that hold the same events have the same one: it is the sum,
modulo 2^256, of the SHA-256 of each event's id, time of receipt and body.
"""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from ainsights.errors import InsightsError
from ainsights.server.store import StoredBody

FORMAT = 1
_MODULUS = 1 << 256
_LENGTHS = struct.Struct(">dQ")


class CopyError(InsightsError):
    """The lines are not those of a copy, or not all of them arrived."""


class Tally:
    """Count and hash of events.

    Attributes:
        events: how many.
    """

    def __init__(self) -> None:
        self.events = 0
        self._sum = 0

    def add(self, event_id: str, received_at: float, body: bytes) -> None:
        """Count one event."""
        name = event_id.encode(errors="replace")
        digest = hashlib.sha256(_LENGTHS.pack(received_at, len(name)) + name + body).digest()
        self._sum = (self._sum + int.from_bytes(digest, "big")) % _MODULUS
        self.events += 1

    @property
    def hash(self) -> str:
        """The hash, 64 hexadecimal digits."""
        return f"{self._sum:064x}"


class Copied(NamedTuple):
    """One event of a copy, and the place in its store after which a copy can go on."""

    place: str
    stored: StoredBody


class Header(NamedTuple):
    """How many events the store has, and after which place of it the copy begins; empty: at the beginning."""

    events: int
    after: str


class Trailer(NamedTuple):
    """What the copy holds."""

    events: int
    hash: str


def encode_header(header: Header) -> bytes:
    """Return the first line."""
    return to_json({"ainsights_copy": FORMAT, **header._asdict()}) + b"\n"


def encode_event(copied: Copied) -> bytes:
    """Return the line of one event."""
    _, event_id, received_at, body = copied.stored
    line = {"place": copied.place, "id": event_id, "received_at": received_at, "body": body.decode(errors="replace")}
    return to_json(line) + b"\n"


def encode_trailer(tally: Tally) -> bytes:
    """Return the last line."""
    return to_json({"events": tally.events, "hash": tally.hash}) + b"\n"


def decode_header(line: bytes) -> Header:
    """Return the first line.

    Raises:
        CopyError: it is none.
    """
    try:
        content = json.loads(line)
        if content["ainsights_copy"] != FORMAT:
            raise CopyError(f"the copy has the format {content['ainsights_copy']}; this ainsights knows {FORMAT}")
        return Header(int(content["events"]), str(content["after"]))
    except (ValueError, KeyError, TypeError):
        raise CopyError("this is not a copy: give what 'ainsights export --db FILE' or '--store URL' writes") from None


def decode(line: bytes) -> Copied | Trailer:
    """Return a line after the first.

    Raises:
        CopyError: it is damaged.
    """
    try:
        content: dict[str, Any] = from_json(line)
        if "hash" in content:
            return Trailer(int(content["events"]), str(content["hash"]))
        body = content["body"].encode()
        return Copied(str(content["place"]), StoredBody(0, str(content["id"]), float(content["received_at"]), body))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CopyError(f"a line of the copy is damaged: {line[:80]!r}") from None
