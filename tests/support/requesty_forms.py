"""The forms of ``capture()`` that the vendor's SDK documents, and those that it refuses."""

from __future__ import annotations

from typing import Any

from openai.types.chat import ChatCompletion

RESPONSE = ChatCompletion.model_validate(
    {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
    }
)
MESSAGES = [{"role": "user", "content": "hi"}]
TEMPLATED = [{"role": "user", "content": "Hi {name}"}]
FORMS: dict[str, dict[str, Any]] = {
    "messages": {"messages": MESSAGES},
    "messages as a text": {"messages": "hi"},
    "messages as texts": {"messages": ["hi", "there"]},
    "everything": {
        "messages": MESSAGES,
        "template": TEMPLATED,
        "inputs": {"name": "Ann"},
        "args": {"model": "m", "temperature": 0.7},
        "meta": {"class": "Search assistant"},
        "user_id": "ann",
    },
    "template and inputs": {"template": "Hi {name}", "inputs": {"name": "Ann"}},
    "template of messages": {"template": TEMPLATED, "inputs": {"name": "Ann"}},
    "template of texts": {"template": ["Hi", "{name}"], "inputs": {"name": "Ann"}},
    "template without inputs": {"template": "Hi"},
}
WRONG: dict[str, dict[str, Any]] = {
    "neither": {},
    "inputs without a template": {"inputs": {"name": "Ann"}},
    "a template whose inputs are none": {"template": "Hi", "inputs": None},
}
