"""Conversations found by content on ClickHouse: the same as in the embedded index, in whatever order events arrive."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest
from support import indexed
from support.clickhouse import KEY, address, needs_engine, opened
from support.indexed import START, Body, body

from ainsights.server.clickhouse.engine import ClickHouseEngine
from ainsights.server.clickhouse.store import ClickHouseStore
from ainsights.server.query import Filter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = needs_engine
CONVERSATIONS = "SELECT id, conversation FROM event"


def calls(user: str, count: int) -> list[Body]:
    """Return the calls of one conversation, each of which repeats all that was before."""
    made: list[Body] = []
    messages: list[dict[str, str]] = []
    for number in range(count):
        messages = [*messages, {"role": "user", "content": f"question {number}"}]
        answer = {"role": "assistant", "content": f"answer {number}"}
        response = {"model": "m", "choices": [{"index": 0, "message": answer}]}
        made.append(body(f"{user} {number}", START + number, messages=messages, user_id=user, response=response))
        messages = [*messages, answer]
    return made


async def put_all(stores: Sequence[ClickHouseStore], bodies: Sequence[Body], source: random.Random) -> None:
    """Put the events in batches of one to three, to any of the replicas."""
    waiting = [*bodies]
    while waiting:
        batch = [waiting.pop(0) for _ in range(min(source.randint(1, 3), len(waiting)))]
        await asyncio.gather(*(source.choice(stores).put(*each) for each in batch))


def responses(source: random.Random, count: int) -> list[Body]:
    """Return responses that continue others of them by their ids, with some of them missing."""
    made = []
    for number in range(1, count):
        previous = source.choice([None, *range(1, number)])
        meta = {"ainsights.api": "responses"}
        meta |= {"ainsights.previous_response_id": f"resp_{previous}"} if previous else {}
        meta |= {"session_id": f"s{number}"} if number % 9 == 0 else {}
        answer = {"role": "assistant", "content": f"answer {number}"}
        response = {"id": f"resp_{number}", "model": "m", "choices": [{"index": 0, "message": answer}]}
        made.append(body(f"response {number}", START + number, messages="and then?", response=response, meta=meta))
    return [each for each in made if source.random() < 0.8]


@pytest.mark.parametrize("seed", range(4))
def test_events_that_arrive_in_any_order_at_two_replicas_are_linked_as_in_the_index(
    clickhouse_url: str, tmp_path: Path, seed: int
) -> None:
    source = random.Random(seed)
    bodies = calls("ann", 5) + calls("bob", 4)[1:] + [body("alone"), body("named", meta={"session_id": "s"})]
    bodies += responses(source, 25)
    source.shuffle(bodies)
    with opened(clickhouse_url) as store, ClickHouseStore(address(clickhouse_url), KEY) as other:
        asyncio.run(put_all([store, other], bodies, source))
        found = dict(store.connection.rows(f"{CONVERSATIONS} FINAL"))
        assert store.verify().problem is None
    with indexed.serving(tmp_path, bodies) as served, served.index.columns.cursor() as cursor:
        assert found == dict(cursor.execute(CONVERSATIONS).fetchall())


def test_a_list_of_numbers_is_full_though_rows_of_a_conversation_that_moved_are_not_merged(clickhouse_url: str) -> None:
    with opened(clickhouse_url) as store:
        store.connection.command("SYSTEM STOP MERGES event")
        for each in reversed(calls("ann", 6)):
            indexed.put(store, [each])
        numbers = [seq for (seq,) in store.connection.rows("SELECT seq FROM event FINAL ORDER BY seq")]
        engine = ClickHouseEngine(store.connection, store)
        assert [engine.seqs(Filter(), after, 4) for after in (0, numbers[0])] == [numbers[:4], numbers[1:5]]
