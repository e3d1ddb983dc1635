"""The legacy Completions API in the terms of the contract: a prompt as messages, texts as those of choices. Pure."""

from __future__ import annotations

import json
from typing import Any


def to_messages(prompt: Any) -> list[dict[str, Any]]:
    """Return one message of the user for each prompt; tokens, which are not text, become JSON."""
    if prompt is None:
        return []
    several = prompt.__class__ is list and not (prompt and all(each.__class__ is int for each in prompt))
    return [{"role": "user", "content": _text(each)} for each in (prompt if several else [prompt])]


def _text(prompt: Any) -> str:
    return prompt if prompt.__class__ is str else json.dumps(prompt)


def to_completion(completion: dict[str, Any]) -> dict[str, Any]:
    """Return ``completion`` as a ChatCompletion: the text of each choice becomes that of its message."""
    choices = completion.get("choices")
    changed = completion | {"object": "chat.completion"}
    if choices.__class__ is list:
        changed["choices"] = [_choice(each) if each.__class__ is dict else each for each in choices]
    return changed


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": choice.get("text")}
    rest = {key: value for key, value in choice.items() if key not in {"text", "message"}}
    return rest | {"message": message}
