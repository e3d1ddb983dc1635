"""What templates were formatted to lately, so that an event's template is found by the messages of its call.

Nothing may be added to what openai sends, and an event knows only those bytes. So :meth:`Template.format` notes a
digest of its messages here, and decoding looks for messages with that digest.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict, deque
from hashlib import blake2b
from typing import Any, NamedTuple

from ainsights import _lifecycle

MAX_ENTRIES = 10_000
"""As many as there may be events in the queue."""

MAX_BYTES = 16 * 1024 * 1024
"""Bytes of inputs that are held at the most, as JSON."""


class Formatted(NamedTuple):
    """A template and the inputs that it was formatted with, both as JSON."""

    template: bytes
    inputs: bytes


class Memory:
    """The runs of messages that were formatted last, and what they were formatted from.

    Bounded: the run that was formatted or found longest ago goes first. May be used on any thread.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self.lock = threading.RLock()  # re-entrant: a finaliser that runs within may format too
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[tuple[bytes, ...], Formatted] = OrderedDict()
        self._lengths: set[int] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def note(self, messages: list[Any], formatted: Formatted) -> None:
        """Remember that ``messages`` were made of ``formatted``. Of equal messages, the last note counts."""
        run = tuple(map(_digest, messages))
        with self.lock:
            before = self._entries.pop(run, None)
            self._bytes -= len(before.inputs) if before else 0
            if len(formatted.inputs) > self._max_bytes:
                return
            self._bytes += len(formatted.inputs)
            self._entries[run] = formatted
            self._lengths.add(len(run))
            while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
                _, oldest = self._entries.popitem(last=False)
                self._bytes -= len(oldest.inputs)

    def find(self, messages: Any) -> Formatted | None:
        """Return what a run of ``messages`` was formatted from, or None.

        Of several runs the one that ends last, for it is what was asked; of those that end there, the longest.
        """
        if not self._entries or not isinstance(messages, list):
            return None
        with self.lock:
            lengths = sorted(self._lengths)
        run: deque[bytes] = deque()  # the digests of the messages before ``end``, as many as a run may have
        unread = list(messages)
        for end in range(len(messages), 0, -1):
            while unread and len(run) < min(lengths[-1], end):
                run.appendleft(_digest(unread.pop()))
            found = self._longest(tuple(run), lengths)
            if found is not None:
                return found
            run.pop()
        return None

    def _longest(self, digests: tuple[bytes, ...], lengths: list[int]) -> Formatted | None:
        with self.lock:
            for length in reversed(lengths):
                run = digests[-length:]
                if len(run) == length and run in self._entries:
                    self._entries.move_to_end(run)
                    return self._entries[run]
        return None


def _digest(message: Any) -> bytes:
    canonical = json.dumps(message, sort_keys=True, separators=(",", ":"))
    return blake2b(canonical.encode(), digest_size=16).digest()


memory = Memory()
"""That of the process. A fork inherits it: what was formatted before may be sent after."""

_lifecycle.hold_over_forks(memory.lock)
