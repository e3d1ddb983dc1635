"""``DELETE /insights/{id}`` and ``DELETE /users/{id}``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ainsights.server.api import answers
from ainsights.server.problems import Problem
from ainsights.server.query import Condition, Filter

if TYPE_CHECKING:
    from ainsights.server.api.service import Service
    from ainsights.server.query.engine import Engine
    from ainsights.server.store import Store

INDEX_SECONDS = 20.0
"""How long an erasure waits until the index knows every event that is stored now."""

LOOK_SECONDS = 0.05
AT_ONCE = 1000
LONGEST_REASON = 500


def check_reason(reason: str) -> str:
    """Return the reason that the records get.

    Raises:
        Problem: it is too long.
    """
    if len(reason) > LONGEST_REASON:
        raise Problem(422, f"reason: at most {LONGEST_REASON} characters", parameter="reason")
    return reason or "asked through the API"


def erase_event(service: Service, event_id: str, by: str, reason: str) -> bytes:
    """Erase one event."""
    stored = service.store.find(event_id)
    erased = service.store.erase([stored.seq], by=by, reason=reason) if stored else 0
    if not erased:
        raise Problem(404, "no event has this id")
    return answers.encode({"erased": erased})


def erase_user(service: Service, user_id: str, by: str, reason: str) -> bytes:
    """Erase every event of a user that is stored now."""
    if not user_id:
        raise Problem(422, "user: give one", parameter="user_id")
    await_index(service.store, service.engine)
    wanted = Filter((Condition("user", ":", (user_id,)),))
    erased, after = 0, 0
    while seqs := service.engine.seqs(wanted, after, AT_ONCE):
        erased += service.store.erase(seqs, by=by, reason=reason)
        after = seqs[-1]
        if service.stopping.is_set():
            raise Problem(503, f"the endpoint is shutting down: {erased} events were erased so far; ask again")
    return answers.encode({"erased": erased})


def await_index(store: Store, engine: Engine) -> None:
    """Wait until the index has all that is stored now.

    Raises:
        Problem: 503, it takes too long.
    """
    last, deadline = store.last_seq(), time.monotonic() + INDEX_SECONDS
    while (status := engine.status()).state != "ready" or status.indexed_seq < last:
        if time.monotonic() >= deadline:
            raise Problem(
                503, "the index does not know all events yet, and so nothing was erased", headers={"Retry-After": "30"}
            )
        time.sleep(LOOK_SECONDS)
