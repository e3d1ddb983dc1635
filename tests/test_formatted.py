from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.programs import run

from ainsights._context.template_cache import Formatted, Memory


def messages(*texts: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text} for text in texts]


def of(name: str, size: int = 0) -> Formatted:
    return Formatted(name.encode(), b"x" * size)


def found(memory: Memory, *texts: str) -> str | None:
    match = memory.find(messages(*texts))
    return match.template.decode() if match else None


def test_messages_are_found_by_their_text() -> None:
    memory = Memory()
    memory.note([{"role": "user", "content": "é", "n": 1.0}], of("t"))
    assert memory.find(json.loads('[{"n": 1.0, "content": "\\u00e9", "role": "user"}]')) == of("t")
    assert memory.find([{"role": "system", "content": "é", "n": 1.0}]) is None


@pytest.mark.parametrize("value", [None, "text", [], ["a", "b"], [None], [{"role": "user"}], {"role": "user"}])
def test_nothing_is_found_in_what_was_not_formatted(value: Any) -> None:
    memory = Memory()
    assert memory.find(value) is None
    memory.note(messages("a"), of("t"))
    assert memory.find(value) is None


@pytest.mark.parametrize(
    ("sent", "which"),
    [
        ("a", "a"), ("ab", "ab"), ("xab", "ab"), ("abx", "ab"), ("xabx", "ab"), ("b", None), ("ba", "a"), ("aab", "ab"),
        ("cde", "cde"), ("cd", None), ("abcde", "cde"), ("cdeab", "ab"), ("cdea", "a"), ("axxxx", "a"), ("xxxxa", "a"),
        ("de", "de"), ("xde", "de"),
    ],
)  # fmt: skip
def test_run_that_ends_last_is_found_and_of_those_the_longest(sent: str, which: str | None) -> None:
    memory = Memory()
    for run_ in ("a", "ab", "cde", "de"):
        memory.note(messages(*run_), of(run_))
    assert found(memory, *sent) == which


def test_last_entry_for_the_same_messages_wins_and_uses_no_more_space() -> None:
    memory = Memory(max_bytes=10)
    memory.note(messages("a"), of("first", 5))
    for _ in range(5):
        memory.note(messages("b"), of("second", 5))
    assert (found(memory, "a"), found(memory, "b")) == ("first", "second")


def test_oldest_goes_first_when_there_are_too_many() -> None:
    memory = Memory(max_entries=2)
    for name in "abc":
        memory.note(messages(name), of(name))
    assert [found(memory, name) for name in "abc"] == [None, "b", "c"]


def test_oldest_goes_first_when_the_inputs_are_too_large() -> None:
    memory = Memory(max_bytes=10)
    for name in "abc":
        memory.note(messages(name), of(name, 5))
    assert [found(memory, name) for name in "abc"] == [None, "b", "c"]


def test_entry_that_was_found_is_evicted_later() -> None:
    memory = Memory(max_entries=2)
    memory.note(messages("a"), of("a"))
    memory.note(messages("b"), of("b"))
    assert found(memory, "a") == "a"
    memory.note(messages("c"), of("c"))
    assert [found(memory, name) for name in "abc"] == ["a", None, "c"]


def test_inputs_that_alone_are_too_large_displace_nothing() -> None:
    memory = Memory(max_bytes=10)
    memory.note(messages("a"), of("a", 5))
    memory.note(messages("b"), of("b", 11))
    assert [found(memory, name) for name in "ab"] == ["a", None]


def test_many_threads_find_what_each_noted() -> None:
    memory, barrier = Memory(max_entries=1200), threading.Barrier(4)  # room for all: what went is rightly not found

    def work(worker: int) -> list[str]:
        barrier.wait(20)
        lost = []
        for number in range(300):
            run_ = [f"{worker}-{number}"] * (1 + number % 3)
            memory.note(messages(*run_), of(run_[0]))
            if found(memory, *run_) != run_[0]:
                lost.append(run_[0])
        return lost

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [[]] * 4
    assert len(memory) == 1200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_knows_what_was_formatted_before_it_while_other_threads_format() -> None:
    ran = run("""
        import os, threading
        from ainsights import Template
        from ainsights._context.template_cache import memory

        stop = threading.Event()
        def work():
            while not stop.is_set():
                Template("{a}").format(a=1)

        threads = [threading.Thread(target=work) for _ in range(3)]
        before = Template("before {x}").format(x=1)
        for thread in threads:
            thread.start()
        for _ in range(20):
            child = os.fork()
            if not child:
                Template("{b}").format(b=2)
                os._exit(0 if memory.find(before).inputs == b'{"x":1}' else 1)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        for thread in threads:
            thread.join()
        print("done")
    """)
    assert (ran.status, ran.out) == (0, "done\n"), ran.err
