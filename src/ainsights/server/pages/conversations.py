"""Conversations, and one of them as a thread with what changed between its turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ainsights.server.events.reading import as_dict, parse_body
from ainsights.server.pages import output_items, panels, transcript
from ainsights.server.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from ainsights.server.pages.output_items import Item
    from ainsights.server.pages.site import Visit
    from ainsights.server.pages.transcript import Message
    from ainsights.server.query.engine import EventRow
    from ainsights.server.store import StoredBody

MAX_TURNS = 100
_OWN = ("model", "user", "previous_response_id", "conversation")
"""Arguments that differ in each turn, or are shown apart."""

MAX_MESSAGES = 20
"""New messages of one turn that are shown."""


class Turn(NamedTuple):
    """One call of a conversation: what it added, and what differs from the call before."""

    row: EventRow
    messages: list[Message]
    items: list[Item]
    answers: list[Message]
    changes: list[tuple[str, str, str]]
    link: str


def show(visit: Visit) -> Response:
    """Return the list of conversations, the last active first."""
    page = visit.engine.conversations(visit.query, visit.own.get("after") or None)
    return visit.page(
        "conversations.html",
        rows=page.rows,
        next_url=visit.links.with_own(after=page.next_cursor) if page.next_cursor else "",
        is_empty=panels.is_empty(visit.engine),
        opening={row.last_id: text for row, text in zip(page.rows, _questions(visit, page.rows), strict=True)},
    )


def show_one(visit: Visit) -> Response:
    """Return one conversation as a thread."""
    rows = visit.engine.conversation(visit.item)
    if not rows:
        raise Problem(404, "No conversation has this id.")
    shown = rows[-MAX_TURNS:]
    bodies = {body.seq: body for body in visit.site.store.bodies([row.seq for row in shown])}
    return visit.page(
        "conversation.html",
        id=visit.item,
        rows=rows,
        turns=turns_of(visit, shown, bodies),
        hidden=len(rows) - len(shown),
        cost=sum(row.cost for row in rows if row.cost is not None)
        if any(row.cost is not None for row in rows)
        else None,
        tokens=sum(row.tokens or 0 for row in rows),
        errors=sum(row.status == "error" for row in rows),
        user=next((row.user for row in reversed(rows) if row.user), None),
    )


def turns_of(visit: Visit, rows: Sequence[EventRow], bodies: dict[int, StoredBody]) -> list[Turn]:
    """Return each call with the messages that the call before did not have."""
    found: list[Turn] = []
    known: list[Message] = []
    before: dict[str, Any] = {}
    for row in rows:
        if row.seq not in bodies:
            continue
        insight = parse_body(bodies[row.seq].body)
        messages, answers = transcript.request_messages(insight), transcript.answers(insight)
        settings = _settings(row, insight)
        fresh = _fresh(known, messages)
        items, changes, link = output_items.items(insight), _changes(before, settings), visit.links.insight(row.id)
        found.append(Turn(row, fresh[-MAX_MESSAGES:], items, answers, changes, link))
        known, before = [*messages, *(_as_sent(answer) for answer in answers[:1])], settings
    return found


def _fresh(known: Sequence[Message], messages: list[Message]) -> list[Message]:
    """Return the messages that follow those that both have at their beginning."""
    same = 0
    for one, other in zip(known, messages, strict=False):
        if (one.role, one.parts) != (other.role, other.parts):
            break
        same += 1
    return messages[same:]


def _as_sent(answer: Message) -> Message:
    return answer._replace(is_answer=False, note="")


def _settings(row: EventRow, insight: dict[str, Any]) -> dict[str, str]:
    settings = {"model": row.model or "", "template": row.template or "", "release": row.release or ""}
    args = as_dict(insight.get("args"))
    settings |= {name: transcript.scalar(value) for name, value in args.items() if name not in _OWN}
    return settings


def _changes(before: dict[str, str], now: dict[str, str]) -> list[tuple[str, str, str]]:
    if not before:
        return []
    names = [name for name in (*now, *before) if before.get(name, "") != now.get(name, "")]
    return [(name, before.get(name, "")[:80], now.get(name, "")[:80]) for name in dict.fromkeys(names)]


def _questions(visit: Visit, rows: Sequence[Any]) -> list[str]:
    """Return the last question of each conversation."""
    found = []
    for row in rows:
        stored = visit.site.store.find(row.last_id)
        messages = transcript.request_messages(parse_body(stored.body)) if stored else []
        texts = [part.text for message in messages if message.role == "user" for part in message.parts]
        found.append(" ".join(texts[-1][:500].split())[:160] if texts else "")
    return found
