"""The output items of a response -> a message of the assistant, and an outline to build them again from. Pure.

What a message has a place for goes there: texts, refusals, reasoning, calls of functions and of custom tools, citations
of URLs, logprobs. All other items stay as they are, in ``output``. The ``outline`` has an entry for each item, in their
order, with the places of its parts:

- ``{"output": 0}``: the item is ``output[0]``.
- a message: the item, in which the number of its characters stands for each text, which is the next part of ``content``
  or of ``refusal``; positions in ``annotations`` for citations of URLs; the number of ``logprobs`` for those.
- reasoning: the item, in which the number of its characters stands for each text, the next part of
  ``reasoning_content``; two line breaks stand between two of them.
- a call: the item without what ``tool_calls`` has at the position ``tool_call``.

Content that is encrypted for the model API's own use is replaced by its size. Positions in cited texts are those in
``content``, which differ where several texts are joined.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

Fields: TypeAlias = "dict[str, Any]"

BETWEEN_REASONING = "\n\n"
CALLS = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}
"""Of each type of call: the type that a tool call has, and the name of its text."""

_CITATION = {"title": str, "url": str, "start_index": int, "end_index": int}


@dataclass(slots=True)
class Output:
    """What the output items of a response make together."""

    content: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tool_calls: list[Fields] = field(default_factory=list)
    annotations: list[Fields] = field(default_factory=list)
    logprobs: list[Fields] = field(default_factory=list)
    output: list[Any] = field(default_factory=list)
    """The items that a message has no place for."""
    outline: list[Fields] = field(default_factory=list)
    _length: int = 0
    """Characters of the content so far."""

    def add(self, item: Any) -> None:
        """Add the next item."""
        entry = None
        if item.__class__ is dict:
            item = without_encrypted(item)
            if _is_message(item):
                entry = item | {"content": [self._part(part) for part in item["content"]]}
            elif _is_reasoning(item):
                entry = item | {key: self._thoughts(item[key]) for key in ("summary", "content") if item.get(key)}
            elif str(item.get("type")) in CALLS:
                entry = self._call(item)
        if entry is None:
            entry = {"output": len(self.output)}
            self.output.append(item)
        self.outline.append(entry)

    def message(self) -> Fields:
        """Return the message; a key is there if there is something for it, and ``content`` always."""
        message: Fields = {"role": "assistant", "content": "".join(self.content) if self.content else None}
        if self.refusal:
            message["refusal"] = "".join(self.refusal)
        if self.reasoning:
            message["reasoning_content"] = BETWEEN_REASONING.join(self.reasoning)
        if self.tool_calls:
            message["tool_calls"] = self.tool_calls
        if self.annotations:
            message["annotations"] = self.annotations
        return message

    def _part(self, part: Fields) -> Fields:
        if part.get("type") == "refusal":
            self.refusal.append(part["refusal"])
            return part | {"refusal": len(part["refusal"])}
        if part.get("type") != "output_text":
            return part
        outline = part | {"text": len(part["text"])}
        if part.get("annotations").__class__ is list:
            outline["annotations"] = [self._annotation(each) for each in part["annotations"]]
        if _are_logprobs(part.get("logprobs")):
            self.logprobs.extend(part["logprobs"])
            outline["logprobs"] = len(part["logprobs"])
        self.content.append(part["text"])
        self._length += len(part["text"])
        return outline

    def _annotation(self, annotation: Any) -> Any:
        if not _is_citation(annotation):
            return annotation
        citation = {key: value for key, value in annotation.items() if key != "type"}
        for key in ("start_index", "end_index"):
            citation[key] += self._length
        self.annotations.append({"type": "url_citation", "url_citation": citation})
        return len(self.annotations) - 1

    def _thoughts(self, parts: list[Fields]) -> list[Fields]:
        self.reasoning.extend(part["text"] for part in parts)
        return [part | {"text": len(part["text"])} for part in parts]

    def _call(self, item: Fields) -> Fields | None:
        _, text = CALLS[item["type"]]
        used = ("call_id", "name", text)
        if "tool_call" in item or not all(item.get(key).__class__ is str for key in used):
            return None
        self.tool_calls.append(tool_call(item))
        rest = {key: value for key, value in item.items() if key not in used}
        return rest | {"tool_call": len(self.tool_calls) - 1}


def tool_call(item: Fields) -> Fields:
    """Return the call that ``item`` is, as a message has it."""
    kind, text = CALLS[item["type"]]
    return {"id": item.get("call_id"), "type": kind, kind: {"name": item.get("name"), text: item.get(text)}}


def without_encrypted(item: Fields) -> Fields:
    """Return an item in which encrypted content is replaced by its size."""
    encrypted = item.get("encrypted_content")
    if encrypted.__class__ is not str or encrypted.startswith(_ENCRYPTED):
        return item
    return item | {"encrypted_content": f"{_ENCRYPTED}{len(encrypted)} characters]"}


_ENCRYPTED = "[encrypted, "


def _is_message(item: Fields) -> bool:
    if item.get("type") != "message" or item.get("role", "assistant") != "assistant":
        return False
    parts = item.get("content")
    return parts.__class__ is list and all(part.__class__ is dict and _is_part(part) for part in parts)


def _is_part(part: Fields) -> bool:
    text = {"output_text": "text", "refusal": "refusal"}.get(str(part.get("type")))
    return text is None or part.get(text).__class__ is str


def _is_reasoning(item: Fields) -> bool:
    return item.get("type") == "reasoning" and all(
        item.get(key) is None or (item[key].__class__ is list and all(map(_is_thought, item[key])))
        for key in ("summary", "content")
    )


def _is_thought(part: Any) -> bool:
    return part.__class__ is dict and part.get("text").__class__ is str


def _is_citation(annotation: Any) -> bool:
    return (
        annotation.__class__ is dict
        and annotation.get("type") == "url_citation"
        and all(annotation.get(key).__class__ is kind for key, kind in _CITATION.items())
    )


def _are_logprobs(logprobs: Any) -> bool:
    """Return whether these are logprobs as a ChatCompletion has them; those of a stream lack parts at times."""
    return logprobs.__class__ is list and all(
        _is_logprob(each) and each.get("top_logprobs").__class__ is list and all(map(_is_logprob, each["top_logprobs"]))
        for each in logprobs
    )


def _is_logprob(value: Any) -> bool:
    return (
        value.__class__ is dict
        and value.get("token").__class__ is str
        and value.get("logprob").__class__ in (int, float)
        and (value.get("bytes") is None or _are_bytes(value["bytes"]))
    )


def _are_bytes(values: Any) -> bool:
    return values.__class__ is list and all(each.__class__ is int for each in values)
