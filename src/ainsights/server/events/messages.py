"""The texts of a call, and hashes by which equal messages and continued conversations are found. Pure."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any, NamedTuple

from pydantic_core import to_json

from ainsights.server.events.reading import as_dict, as_list

MAX_INDEXED = 65_536
"""Characters of a question and of an answer that the text index sees."""

MAX_MESSAGES = 500
"""Messages of one call that are hashed."""

_PARTS_WITH_TEXT = ("text", "input_text", "output_text", "refusal")
_NOT_WORDS = re.compile(r"[\W_]+")
_QUESTION_LENGTH = 2000
_INPUT = re.compile(r"\{(\w{1,100})\}")


class Turns(NamedTuple):
    """How an event stands in a conversation.

    Attributes:
        prefixes: a hash of the messages up to each answer in them, shortest first: each may be the end of an earlier
            event of the same conversation.
        end: the hash of all messages and the answer; None where there is no text to compare.
        messages: a hash of each message that an earlier event of the conversation didn't have, each once: what
            follows the last answer, and what precedes everything (system and developer messages).
    """

    prefixes: list[int]
    end: int | None
    messages: list[int]


def message_list(value: Any) -> list[dict[str, Any]]:
    """Return messages (or a template) as message objects: plain texts are the user's."""
    items = value if isinstance(value, list) else [value]
    return [
        item if isinstance(item, dict) else {"role": "user", "content": item}
        for item in items
        if isinstance(item, (dict, str))
    ]


def render(template: Any, inputs: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages that a template with these inputs gives, for bodies that hold no messages."""

    def filled(match: re.Match[str]) -> str:
        value = inputs.get(match[1])
        return str(value) if isinstance(value, (str, int, float)) else match[0]

    return [
        {**message, "content": _INPUT.sub(filled, text_of(message.get("content")))}
        for message in message_list(template)
    ]


def text_of(content: Any) -> str:
    """Return the text of a message's content: a text, or the text parts of a list."""
    if isinstance(content, str):
        return content
    texts = []
    for part in as_list(content):
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and part.get("type", "text") in _PARTS_WITH_TEXT:
            text = part.get("text", part.get("refusal"))
            texts.append(text if isinstance(text, str) else "")
    return "\n".join(text for text in texts if text)


def last_user_text(messages: list[dict[str, Any]]) -> str:
    """Return the text of the last user message."""
    for message in reversed(messages):
        if message.get("role") == "user":
            return text_of(message.get("content"))[:MAX_INDEXED]
    return ""


def answer_of(response: dict[str, Any]) -> str:
    """Return the text of the answer, of all choices."""
    messages = [as_dict(as_dict(choice).get("message")) for choice in as_list(response.get("choices"))]
    texts = (text_of(message.get("content")) or text_of(message.get("refusal")) for message in messages)
    return "\n".join(text for text in texts if text)[:MAX_INDEXED]


def answer_message(response: dict[str, Any]) -> dict[str, Any] | None:
    """Return the message of the first choice, as a next call would send it back."""
    choices = as_list(response.get("choices"))
    message = as_dict(choices[0]).get("message") if choices else None
    return {"role": "assistant", **message} if isinstance(message, dict) else None


def hash_question(question: str) -> int | None:
    """Return a hash that questions share which differ in case, spaces and punctuation alone."""
    words = _NOT_WORDS.sub(" ", question[:_QUESTION_LENGTH].casefold()).strip()
    return _number(words.encode()) if words else None


def turns_of(user: str | None, messages: list[dict[str, Any]], answer: dict[str, Any] | None) -> Turns:
    """Return how a call stands in a conversation: of the same user, by the messages before."""
    running = _digest((user or "").encode())
    prefixes: list[int] = []
    instructions: dict[int, None] = {}
    recent: dict[int, None] = {}
    has_text = False
    for message in messages[:MAX_MESSAGES]:
        canonical = _canonical(message)
        if canonical is None:
            continue
        digest = _digest(canonical)
        running = _digest(running + digest)
        role = message.get("role")
        if role == "assistant":
            prefixes.append(int.from_bytes(running, "big"))
            recent.clear()
            continue
        has_text = has_text or role == "user"
        instructed = role in ("system", "developer")
        (instructions if instructed else recent)[int.from_bytes(digest, "big")] = None
    last = _canonical(answer) if answer and has_text and len(messages) <= MAX_MESSAGES else None
    end = _number(running + _digest(last)) if last else None
    return Turns(prefixes if has_text else [], end, list(instructions | recent))


def hash_message(message: dict[str, Any]) -> int | None:
    """Return the hash of one message, as in :attr:`Turns.messages`; None if it is empty."""
    canonical = _canonical(message)
    return _number(canonical) if canonical else None


def _canonical(message: dict[str, Any]) -> bytes | None:
    """Return what makes two messages the same, whichever of the optional keys a library fills in; None if empty."""
    content = message.get("content")
    role = message.get("role")
    has_more = message.get("tool_calls") or message.get("function_call") or message.get("tool_call_id")
    if isinstance(content, str) and not has_more:
        return f"{role}\0{content}".encode() if content else None
    text = text_of(content)
    others = [part for part in as_list(content) if isinstance(part, dict) and part.get("type") not in _PARTS_WITH_TEXT]
    if has_more or others:
        return to_json([role, text, others, _calls(message), message.get("tool_call_id")], inf_nan_mode="constants")
    return f"{role}\0{text}".encode() if text else None


def _calls(message: dict[str, Any]) -> list[Any]:
    """Return id, name and arguments of each tool call, without what only the response has, such as the index."""
    calls = [as_dict(call) for call in as_list(message.get("tool_calls"))]
    if message.get("function_call"):
        calls.append({"function": message["function_call"]})
    return [[call.get("id"), call.get("function"), call.get("custom")] for call in calls]


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=8).digest()


def _number(data: bytes) -> int:
    return int.from_bytes(_digest(data), "big")
