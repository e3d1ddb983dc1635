"""A stored body -> :class:`Event`: what an event is known by, from the body alone. Pure.

``event`` puts together what ``messages`` (texts and conversation hashes), ``usage``, ``prices`` and ``times`` find;
``reading`` reads JSON that anyone may have sent.
"""

from __future__ import annotations

from ainsights.server.events.event import CONVERSATION_KEYS, Event, build_event

__all__ = ["CONVERSATION_KEYS", "Event", "build_event"]
