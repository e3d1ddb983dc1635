"""The same completion as each vendor streams it: a function for each shape, which draws how the texts are cut."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    Draw = Callable[[st.SearchStrategy[Any]], Any]

HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m-1"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WORD = st.text("abcdefgh_", min_size=1, max_size=6)
ARGUMENTS = st.dictionaries(WORD, TEXT | st.integers(0, 9), max_size=2).map(json.dumps)


@dataclass(frozen=True)
class Answer:
    """What one choice answers, whoever streams it."""

    content: str
    reasoning: str
    calls: list[tuple[str, str, str]]
    """Of each call its id, its name and its arguments."""

    def message(self, reasoning_key: str | None = None, *, ids: bool = True, **more: Any) -> dict[str, Any]:
        """Return the message that is to come out."""
        message: dict[str, Any] = {"role": "assistant", "content": self.content}
        if reasoning_key is not None and self.reasoning:
            message[reasoning_key] = self.reasoning
        if self.calls:
            message["tool_calls"] = [
                {"id": call_id if ids else "", "type": "function", "function": {"name": name, "arguments": arguments}}
                for call_id, name, arguments in self.calls
            ]
        return message | more

    @property
    def finish(self) -> str:
        return "tool_calls" if self.calls else "stop"


ANSWERS = st.builds(
    Answer,
    TEXT.filter(bool),
    TEXT,
    st.lists(st.tuples(WORD, ARGUMENTS), max_size=3).map(
        lambda calls: [(f"call_{at}", name, arguments) for at, (name, arguments) in enumerate(calls)]
    ),
)


def cut(draw: Draw, text: str) -> list[str]:
    """Return ``text`` in pieces."""
    at = [0, *sorted(draw(st.lists(st.integers(0, len(text)), max_size=3))), len(text)]
    return [text[start:end] for start, end in pairwise(at)]


def chunk(delta: Any, *, index: int = 0, finish: str | None = None, **choice: Any) -> dict[str, Any]:
    return HEAD | {"choices": [{"index": index, "delta": delta, "finish_reason": finish} | choice]}


def fragments(draw: Draw, answer: Answer, **later: Any) -> list[dict[str, Any]]:
    """Return the deltas of the calls: a head with id and name, then the arguments in pieces."""
    deltas = []
    for index, (call_id, name, arguments) in enumerate(answer.calls):
        head = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
        pieces = [
            {"index": index, **later, "function": {"arguments": piece} | dict.fromkeys(["name"] if later else [])}
            for piece in cut(draw, arguments)
        ]
        deltas += [{"tool_calls": [fragment]} for fragment in (head, *pieces)]
    return deltas


def whole_calls(answer: Answer, *, index: bool = True) -> list[dict[str, Any]]:
    return [
        ({"index": at} if index else {})
        | {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for at, (call_id, name, arguments) in enumerate(answer.calls)
    ]


def contents(draw: Draw, answer: Answer, **more: Any) -> list[dict[str, Any]]:
    return [{"content": piece, **more} for piece in cut(draw, answer.content)]


def openai(draw: Draw, answer: Answer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    token = {"token": "t", "logprob": -1.0, "bytes": None, "top_logprobs": []}
    deltas = [{"role": "assistant", "content": ""}, *contents(draw, answer), *fragments(draw, answer)]
    chunks = [chunk(delta, logprobs={"content": [token]} if "role" not in delta else None) for delta in deltas]
    chunks = [each | {"usage": None, "obfuscation": "xY", "service_tier": "default"} for each in chunks]
    last = [chunk({}, finish=answer.finish, logprobs=None), HEAD | {"choices": [], "usage": USAGE}]
    return [*chunks, *last], answer.message()


def azure(draw: Draw, answer: Answer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    first = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [{"i": 0}]}
    safe = {"hate": {"filtered": False, "severity": "safe"}}
    chunks = [chunk({"role": "assistant", "content": ""}, content_filter_results={})]
    chunks += [chunk(delta, content_filter_results=safe) for delta in contents(draw, answer)]
    chunks += [chunk(delta, content_filter_results={}) for delta in fragments(draw, answer)]
    return [first, *chunks, chunk({}, finish=answer.finish, content_filter_results={})], answer.message()


def groq(draw: Draw, answer: Answer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    chunks = [chunk({"role": "assistant", "content": ""}) | {"x_groq": {"id": "req_1"}}]
    chunks += [chunk({"reasoning": piece}) for piece in cut(draw, answer.reasoning) if piece]
    chunks += [chunk(delta) for delta in contents(draw, answer)]
    chunks += [chunk({"tool_calls": [call]}) for call in whole_calls(answer)]
    last = chunk({}, finish=answer.finish) | {"x_groq": {"id": "req_1", "usage": USAGE}}
    return [*chunks, last], answer.message("reasoning")


def deepseek(draw: Draw, answer: Answer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None, "reasoning_content": ""}]
    deltas += [{"content": None, "reasoning_content": piece} for piece in cut(draw, answer.reasoning)]
    deltas += contents(draw, answer, reasoning_content=None)
    chunks = [chunk(delta) | {"usage": None} for delta in [*deltas, *fragments(draw, answer)]]
    message = answer.message(reasoning_content=answer.reasoning)
    return [*chunks, chunk({"content": ""}, finish=answer.finish) | {"usage": USAGE}], message


def openrouter(draw: Draw, answer: Answer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    deltas: list[dict[str, Any]] = []
    for piece in cut(draw, answer.reasoning):
        detail = {"type": "reasoning.text", "text": piece, "index": 0}
        deltas.append({"role": "assistant", "content": "", "reasoning": piece, "reasoning_details": [detail]})
    deltas += contents(draw, answer, role="assistant") + fragments(draw, answer)
    chunks = [chunk(delta, native_finish_reason=None) | {"provider": "P"} for delta in deltas]
    chunks.append(chunk({"role": "assistant", "content": ""}, finish=answer.finish, native_finish_reason="end_turn"))
    chunks.append(HEAD | {"choices": [], "usage": USAGE | {"cost": 0.5}, "provider": "P"})
    details = [{"type": "reasoning.text", "index": 0, "text": answer.reasoning}]
    return chunks, answer.message(reasoning=answer.reasoning, reasoning_details=details)


def xai(draw: Draw, answer: Answer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    deltas = [{"role": "assistant", "reasoning_content": piece} for piece in cut(draw, answer.reasoning) if piece]
    deltas += contents(draw, answer, role="assistant")
    deltas += [{"tool_calls": [call]} for call in whole_calls(answer)]
    chunks = [chunk(delta) | {"usage": USAGE | {"completion_tokens": at}} for at, delta in enumerate(deltas)]
    last = chunk({}, finish=answer.finish) | {"usage": USAGE, "citations": ["https://a"]}
    return [*chunks, last], answer.message("reasoning_content")


def mistral(draw: Draw, answer: Answer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    chunks = [chunk({"role": "assistant", "content": ""}), *map(chunk, contents(draw, answer))]
    if not answer.calls:
        return [*chunks, chunk({"content": ""}, finish="stop") | {"usage": USAGE}], answer.message()
    calls = {"content": "", "tool_calls": whole_calls(answer)}
    return [*chunks, chunk(calls, finish="tool_calls") | {"usage": USAGE}], answer.message()


def perplexity(draw: Draw, answer: Answer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return chunks in which what is new stands in a delta, in the message so far, or in both."""
    chunks, so_far = [], Answer("", "", [])
    deltas = [("reasoning_content", piece) for piece in cut(draw, answer.reasoning) if piece]
    deltas += [("content", piece) for piece in cut(draw, answer.content)]
    for key, piece in deltas:
        before = so_far
        if key == "content":
            so_far = Answer(so_far.content + piece, so_far.reasoning, [])
        else:
            so_far = Answer(so_far.content, so_far.reasoning + piece, [])
        form = draw(st.sampled_from(["both", "delta", "message", "late"]))
        delta = {"role": "assistant", "content": ""} | ({} if form == "message" else {key: piece})
        accumulated = before if form == "late" else so_far
        beside = {} if form == "delta" else {"message": accumulated.message("reasoning_content")}
        chunks.append(chunk(delta, **beside) | {"usage": USAGE, "citations": ["https://a"]})
    for form_at, call in enumerate(whole_calls(answer)):
        message = Answer(answer.content, answer.reasoning, answer.calls[: form_at + 1]).message("reasoning_content")
        form = draw(st.sampled_from(["both", "delta", "message"]))
        delta = {} if form == "message" else {"tool_calls": [call]}
        chunks.append(chunk(delta, **({} if form == "delta" else {"message": message})))
    whole = {"message": answer.message("reasoning_content")} if draw(st.booleans()) else {}
    chunks.append(chunk({"content": ""}, finish=answer.finish, **whole) | {"search_results": [{"url": "https://a"}]})
    return chunks, answer.message("reasoning_content")


def gemini(draw: Draw, answer: Answer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return chunks in which each call comes whole, with the number 0 and without an id."""
    deltas = contents(draw, answer, role="assistant")
    for call in whole_calls(answer):
        deltas.append({"role": "assistant", "tool_calls": [call | {"index": 0, "id": ""}]})
    chunks = [chunk(delta) | {"usage": USAGE} for delta in deltas]
    chunks[-1]["choices"][0]["finish_reason"] = answer.finish
    return chunks, answer.message(ids=False)


def vllm(draw: Draw, answer: Answer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in cut(draw, answer.reasoning) if piece]
    deltas += [*contents(draw, answer), *fragments(draw, answer, id=None, type=None)]
    chunks = [chunk(delta, token_ids=[7], logprobs=None) for delta in deltas]
    chunks[0]["prompt_token_ids"] = [1, 2]
    return [*chunks, chunk({}, finish=answer.finish, stop_reason=17)], answer.message("reasoning_content")


def legacy_functions(draw: Draw, answer: Answer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    arguments = draw(ARGUMENTS)
    deltas = [{"role": "assistant", "content": None}, *contents(draw, answer)]
    deltas.append({"function_call": {"name": "f", "arguments": ""}})
    deltas += [{"function_call": {"arguments": piece}} for piece in cut(draw, arguments)]
    message = Answer(answer.content, "", []).message(function_call={"name": "f", "arguments": arguments})
    return [*map(chunk, deltas), chunk({}, finish="function_call")], message


def audio(draw: Draw, answer: Answer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    data, transcript = draw(TEXT), draw(TEXT)
    deltas: list[dict[str, Any]] = [{"role": "assistant", "audio": {"id": "a1", "transcript": ""}}]
    deltas += [{"audio": {"transcript": piece}} for piece in cut(draw, transcript)]
    deltas += [{"audio": {"data": piece}} for piece in cut(draw, data)]
    deltas += [*contents(draw, answer), {"audio": {"expires_at": 1700000060}}]
    audio = {"id": "a1", "data": data, "transcript": transcript, "expires_at": 1700000060}
    return [*map(chunk, deltas), chunk({}, finish="stop")], Answer(answer.content, "", []).message(audio=audio)


SHAPES = (openai, azure, groq, deepseek, openrouter, xai, mistral, perplexity, gemini, vllm, legacy_functions, audio)
