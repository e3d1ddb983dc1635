"""The texts of the mock model, whatever the API. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ainsights.mock_openai.schema import instance

if TYPE_CHECKING:
    from ainsights.mock_openai.script import Script

CREATED = 1_715_600_000
"""The time at which all that is answered was created."""

TOKEN = 4
"""The characters of a token."""

REFUSAL = "Sorry – I can't help with that."
REASONING = "The user wrote something – so I say it back, naïvely. 🤔"
TRANSCRIPT = "Grüezi! That is what I would say."
VENDOR: dict[str, Any] = {
    "provider": "Mock",
    "citations": ["https://example.com/one", "https://example.com/zwei?ü=1"],
    "x_extra": {"route": {"region": "eu-central", "tries": [1, {"ms": 12.5}]}, "note": None},
}
FUNCTIONS: list[dict[str, Any]] = [
    {"name": "get_weather", "arguments": {"city": "Zürich"}},
    {"name": "get_time", "arguments": {"zone": "Asia/東京"}},
]

_LONGEST_ECHO = 1000
_TOOL_TEXTS = ("Zürich", "東京")


def tokens(text: str) -> list[str]:
    """Return ``text`` cut into what stands for tokens here."""
    return [text[start : start + TOKEN] for start in range(0, len(text), TOKEN)]


def token_count(text: str) -> int:
    """Return how many tokens ``text`` has."""
    return -(-len(text) // TOKEN)


def reply(script: Script, question: str, index: int = 0) -> str:
    """Return the text of a reply to ``question``, as ``script`` wants it."""
    echoed = question[:_LONGEST_ECHO]
    text = f"You said: “{echoed}” – naïve café, 你好 🙂" if script.text is None else script.text
    text = f"{text} ({index + 1})" if index else text
    return shortened(script, _stretched(text, script))


def structured_reply(script: Script, schema: Any, index: int = 0) -> str:
    """Return a JSON object as the text of a reply: an instance of ``schema`` where there is one."""
    value = {"answer": "naïve", "number": index} if schema is None else instance(schema)
    return shortened(script, json.dumps(value, ensure_ascii=False))


def _stretched(text: str, script: Script) -> str:
    """Return ``text`` repeated until it has the size and the number of chunks that are wanted."""
    if script.chunks and len(text) < script.chunks * TOKEN:
        text = ((text or "-") * (script.chunks * TOKEN))[: script.chunks * TOKEN]
    if script.size:
        once = (text or "-").encode(errors="replace")
        text = (once * (script.size // len(once) + 1))[: script.size].decode(errors="ignore")
    return text


def shortened(script: Script, text: str) -> str:
    """Return the first half of ``text`` if the script cuts it."""
    return text[: (len(text) + 1) // 2] if script.length or script.filter else text


def role_of(message: Any) -> Any:
    """Return the role of a message, None of what has none."""
    return message.get("role") if isinstance(message, dict) else None


def text_of(message: Any) -> str:
    """Return the text of a message, or of a text that stands for one."""
    content = message.get("content") if isinstance(message, dict) else message
    parts = content if isinstance(content, list) else [{"text": content}]
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return " ".join(text for text in texts if isinstance(text, str))


def last_user_text(messages: list[Any]) -> str:
    """Return the text of the last message of the user."""
    return next((text_of(message) for message in reversed(messages) if role_of(message) == "user"), "")


def calls(definitions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what to call: two of the tools defined, one of them twice if there is one only, else two of our own.

    Args:
        definitions: objects with ``name``, ``parameters`` and ``custom``, a boolean.
    """
    if not definitions:
        return [{**function, "custom": False} for function in FUNCTIONS]
    return [
        {
            "name": definition.get("name", "unnamed"),
            "arguments": instance(definition.get("parameters") or {"type": "object"}, text),
            "custom": definition.get("custom", False),
        }
        for definition, text in zip([*definitions, *definitions], _TOOL_TEXTS, strict=False)
    ]


def custom_input(name: str) -> str:
    """Return the input of a call of the custom tool ``name``."""
    return f"print('{name}: ü')"


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a list; none of what is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


_MOST_OTHERS = 20
"""Other tokens that the API gives for each at the most."""


def token_logprobs(text: str, top: Any) -> list[dict[str, Any]]:
    """Return the log probabilities of each token of ``text``, with the ``top`` likeliest others."""
    count = min(top, _MOST_OTHERS) if isinstance(top, int) else 0
    return [_entry(token, count) for token in tokens(text)]


def _entry(token: str, top: int) -> dict[str, Any]:
    others = [token, *(f"{token[:2]}{rank}" for rank in range(1, top))][:top]
    return _ranked(token, 0) | {"top_logprobs": [_ranked(other, rank) for rank, other in enumerate(others)]}


def _ranked(token: str, rank: int) -> dict[str, Any]:
    return {"token": token, "logprob": -0.125 - rank, "bytes": list(token.encode(errors="replace"))}
