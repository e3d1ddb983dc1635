from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.engines import ENGINES, Answering, answering
from support.indexed import body

from ainsights.server.query import parse_filter

if TYPE_CHECKING:
    from collections.abc import Iterator

QUESTIONS = [
    "The café in Zürich is closed",
    "CAFE CREME please",
    "我想取消我的订阅。",
    "サブスクリプションを解約したい",
    "ฉันจะยกเลิกการสมัครสมาชิก",
    "구독을 취소하고 싶어요",
    "order 14-1 and don't forget",
    "don forget",
    'say "hello world" (twice)',
    "hello, World",
    "hello big world",
    "tab\tand\0null",
]
LONG = [" ".join(f"w{n}" for n in range(180)), "".join(chr(0x4E00 + n) for n in range(900))]


@pytest.fixture(scope="module", params=ENGINES)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answering]:
    bodies = [body(f"q{number}", messages=text, response={}) for number, text in enumerate(QUESTIONS)]
    answer = {"choices": [{"message": {"role": "assistant", "content": "An answer about ferrets"}}]}
    bodies.append(body("a", messages="stoat", response=answer))
    bodies += [body(f"long {n}", messages=text, response={}) for n, text in enumerate(LONG)]
    with answering(request.param, request, tmp_path_factory.mktemp("text"), bodies) as served:
        yield served


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("café", ["q0", "q1"]),
        ("CAFE", ["q0", "q1"]),
        ("zurich", ["q0"]),
        ('"cafe creme"', ["q1"]),
        ('"creme cafe"', []),
        ("creme cafe", ["q1"]),
        ("订阅", ["q2"]),
        ("阅订", []),
        ("取消", ["q2"]),
        ("解約", ["q3"]),
        ("サブスク", ["q3"]),
        ("ยกเลิก", ["q4"]),
        ("취소", ["q5"]),
        ("14-1", ["q6"]),
        ("don't", ["q6"]),
        ('"hello world"', ["q8", "q9"]),
        ("hello world", ["q8", "q9", "q10"]),
        ("hello -big", ["q8", "q9"]),
        ("hello -big -say", ["q9"]),
        ("null", ["q11"]),
        ("ferrets", ["a"]),
        ("stoat ferrets", ["a"]),
        ('"stoat an"', []),
        ("caf", []),
        ('"NEAR(hello world)"', []),
        ('"question: hello"', []),
        ('"hello* OR"', []),
    ],
)
def test_a_search_finds(served: Answering, text: str, ids: list[str]) -> None:
    wanted = parse_filter(text)
    seqs = served.engine.seqs(wanted, 0, 100)
    assert [stored.event_id for stored in served.store.bodies(seqs)] == ids
    assert served.engine.count(wanted) == len(ids)


def test_a_phrase_may_be_as_long_as_a_filter_takes(served: Answering) -> None:
    for text in (*LONG, LONG[0][3:]):
        assert served.engine.count(parse_filter(f'"{text}"')) == 1
        assert served.engine.count(parse_filter(f'"{text} more"')) == 0
        assert served.engine.count(parse_filter(f'-"{text}"')) == len(QUESTIONS) + 3 - 1


def test_an_excluded_word_alone_leaves_all_other_events(served: Answering) -> None:
    assert served.engine.count(parse_filter("-hello")) == len(QUESTIONS) + 3 - 3
