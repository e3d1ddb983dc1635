from __future__ import annotations

import json
import random
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
from support.indexed import PATIENCE, START, Body, Served, body, put, serving

from ainsights.server.query import parse_query

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as served:
        yield served


def response_with(text: str) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": text, "refusal": None}}]}


def chat(name: str, *texts: str, user: str | None = "Ann", **meta: Any) -> Body:
    """Return a call of which the last text is the answer, and the others are question and answer in turn."""
    roles = ("user", "assistant")
    messages = [{"role": "system", "content": "Be nice."}]
    messages += [{"role": roles[number % 2], "content": text} for number, text in enumerate(texts[:-1])]
    return body(name, START + len(texts), messages=messages, response=response_with(texts[-1]), user_id=user, meta=meta)


CHAT = [
    chat("1", "Hi", "Hello"),
    chat("2", "Hi", "Hello", "How are you?", "Fine"),
    chat("3", "Hi", "Hello", "How are you?", "Fine", "Good", "Bye"),
]


def conversations(served: Served) -> list[set[str]]:
    assert served.index.wait(PATIENCE)
    rows = served.engine.conversations(parse_query("limit 1000")).rows
    return sorted(({row.id for row in served.engine.conversation(each.id)} for each in rows), key=sorted)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("size", [1, 3])
def test_a_conversation_is_found_in_any_order_of_arrival(served: Served, order: tuple[int, ...], size: int) -> None:
    bodies = [CHAT[number] for number in order]
    for at in range(0, 3, size):
        put(served.store, bodies[at : at + size])
        assert served.index.wait(PATIENCE)
    assert conversations(served) == [{"1", "2", "3"}]


def test_the_same_messages_of_another_user_are_another_conversation(served: Served) -> None:
    put(served.store, [CHAT[0], chat("b", "Hi", "Hello", "Yes?", "No", user="Bob")])
    assert conversations(served) == [{"1"}, {"b"}]


def test_another_answer_begins_another_conversation(served: Served) -> None:
    put(served.store, [CHAT[0], chat("x", "Hi", "Good evening", "How are you?", "Fine")])
    assert conversations(served) == [{"1"}, {"x"}]


def test_examples_in_a_prompt_do_not_join_calls_into_a_conversation(served: Served) -> None:
    put(served.store, [chat(f"{number}", "1+1", "2", f"{number}+1", "?") for number in range(3)])
    assert conversations(served) == [{"0"}, {"1"}, {"2"}]


def test_a_conversation_without_its_beginning_is_found_by_the_remaining_events(served: Served) -> None:
    put(served.store, [CHAT[2], CHAT[1]])
    assert conversations(served) == [{"2", "3"}]


def test_two_conversations_that_branch_from_one_event_are_one(served: Served) -> None:
    put(served.store, [CHAT[0], CHAT[1], chat("b", "Hi", "Hello", "Bye", "See you")])
    assert conversations(served) == [{"1", "2", "b"}]


def test_meta_names_the_conversation_before_content_does(served: Served) -> None:
    put(served.store, [chat("a", "Hi", "Hello", session_id="s"), chat("b", "Yo", "Hey", session_id="s"), CHAT[1]])
    assert conversations(served) == [{"2"}, {"a", "b"}]
    assert [row.id for row in served.engine.conversation("s")] == ["a", "b"]


def test_failed_calls_are_conversations_of_their_own(served: Served) -> None:
    failed = {"choices": [], "error": {"type": "Timeout"}}
    put(served.store, [body(name, messages="Hi", response=failed) for name in "ab"])
    assert conversations(served) == [{"a"}, {"b"}]


def test_an_erased_beginning_leaves_the_rest_as_one_conversation(served: Served) -> None:
    put(served.store, CHAT)
    assert served.index.wait(PATIENCE)
    served.store.erase([1], by="test", reason="test")
    assert conversations(served) == [{"2", "3"}]


def test_any_order_and_batches_give_the_same_conversations(tmp_path: Path) -> None:
    source = random.Random(7)
    bodies = [
        chat(f"{number}-{length}", *(f"{number // 3} {turn}" for turn in range(length)), user=None)
        for number in range(12)
        for length in (2, 4, 6, 8)
        if source.random() < 0.7
    ]
    found = []
    for attempt in range(3):
        source.shuffle(bodies)
        directory = tmp_path / str(attempt)
        directory.mkdir()
        with serving(directory) as served:
            for at in range(0, len(bodies), 7):
                put(served.store, bodies[at : at + 7])
                assert served.index.wait(PATIENCE)
            rows = served.engine.events(parse_query("limit 1000")).rows
            found.append({row.id: row.conversation for row in rows})
    assert found[0] == found[1] == found[2]


def response(number: int, previous: int | None = None, user: str | None = "Ann", **meta: Any) -> Body:
    """Return a response that continues another by its id alone: its messages are only what is new."""
    meta["ainsights.api"] = "responses"
    if previous is not None:
        meta["ainsights.previous_response_id"] = f"resp_{previous}"
    answer = response_with(f"Answer {number}") | {"id": f"resp_{number}"}
    messages = [{"role": "user", "content": "And then?"}]
    return body(f"{number}", START + number, messages=messages, response=answer, user_id=user, meta=meta)


def in_batches(served: Served, bodies: list[Body], size: int) -> None:
    for at in range(0, len(bodies), size):
        put(served.store, bodies[at : at + size])
        assert served.index.wait(PATIENCE)


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (4, 3, 2, 1), (3, 1, 4, 2), (2, 4, 1, 3)], ids=str)
@pytest.mark.parametrize("size", [1, 2, 4])
def test_responses_that_continue_one_another_by_id_are_one_conversation(
    served: Served, order: tuple[int, ...], size: int
) -> None:
    chained = {number: response(number, number - 1 or None) for number in range(1, 5)}
    in_batches(served, [chained[number] for number in order], size)
    assert conversations(served) == [{"1", "2", "3", "4"}]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=str)
def test_responses_continue_what_meta_named_or_content_found(served: Served, order: tuple[int, ...]) -> None:
    named = [response(1, session_id="s"), response(2, 1), response(3, 2)]
    in_batches(served, [named[number] for number in order], 1)
    found = [chat("a", "Hi", "Hello"), chat("b", "Hi", "Hello", "How are you?", "Fine"), response(5, 4)]
    insight = json.loads(found[1].body)
    insight["response"]["id"] = "resp_4"
    found[1] = found[1]._replace(body=json.dumps(insight).encode())
    in_batches(served, [found[number] for number in order], 1)
    assert conversations(served) == [{"1", "2", "3"}, {"5", "a", "b"}]
    assert [row.id for row in served.engine.conversation("s")] == ["1", "2", "3"]


def test_responses_of_the_api_s_own_conversations_are_named_after_them(served: Served) -> None:
    put(served.store, [response(number, **{"ainsights.conversation_id": "conv_1"}) for number in (1, 2)])
    of_curl = {"conversation": {"id": "conv_1"}}
    put(served.store, [body("curl", START + 9, args=of_curl)])
    assert conversations(served) == [{"1", "2", "curl"}]
    assert served.engine.conversation("conv_1")


def test_responses_that_branch_or_lack_their_first_are_found_by_the_remaining_ones(served: Served) -> None:
    put(served.store, [response(3, 2), response(4, 2), response(5, 4), response(9, 8)])
    assert conversations(served) == [{"3", "4", "5"}, {"9"}]


def test_cyclic_ids_are_handled(served: Served) -> None:
    in_batches(served, [response(1, 3), response(2, 1), response(3, 2), response(4, 3), response(5, 5)], 1)
    assert conversations(served) == [{"1", "2", "3", "4"}, {"5"}]


def test_an_erased_response_parts_what_follows_it(served: Served) -> None:
    put(served.store, [response(number, number - 1 or None) for number in range(1, 6)])
    assert served.index.wait(PATIENCE)
    served.store.erase([3], by="test", reason="test")
    assert conversations(served) == [{"1", "2"}, {"4", "5"}]


def test_any_order_and_batches_of_chains_give_the_same_conversations(tmp_path: Path) -> None:
    source = random.Random(11)
    bodies = [response(number, source.choice([None, *range(1, number)])) for number in range(1, 60)]
    bodies = [each for each in bodies if source.random() < 0.8]
    found = []
    for attempt in range(3):
        source.shuffle(bodies)
        directory = tmp_path / str(attempt)
        directory.mkdir()
        with serving(directory) as served:
            in_batches(served, bodies, source.choice([3, 7, 60]))
            rows = served.engine.events(parse_query("limit 1000")).rows
            found.append({row.id: row.conversation for row in rows})
    assert found[0] == found[1] == found[2]
