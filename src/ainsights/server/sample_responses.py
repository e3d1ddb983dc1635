"""Sample events of the Responses API: what a captured response has beside what a chat completion has."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from ainsights._model import MetaKey

SHARE = 4
"""One in so many users asks by the Responses API."""

_CHAINED = 2
"""One in so many of these continues responses by their ids, and sends only what is new."""

_SEARCH: dict[str, Any] = {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": ""}}
_FILES: dict[str, Any] = {"type": "file_search_call", "status": "completed", "queries": [], "results": None}
_CODE: dict[str, Any] = {
    "type": "code_interpreter_call",
    "status": "completed",
    "code": "print(12 * 19)",
    "outputs": [],
}
_REASONING = "The customer asks for one thing only. The handbook has the answer, so I quote it."


class Chained(NamedTuple):
    """An event as it is captured, and what continues it."""

    response: dict[str, Any]
    messages: list[dict[str, Any]]
    meta: dict[str, Any]


def asks_for_responses(user_number: int, base_url: str) -> bool:
    """Return whether a user's program calls the Responses API; other vendors have none."""
    return user_number % SHARE == 0 and base_url == "https://api.openai.com/v1"


def as_response(
    response: dict[str, Any], messages: list[dict[str, Any]], previous: str | None, user_number: int
) -> Chained:
    """Return the event of a response that is equivalent to a chat completion.

    Args:
        response: the chat completion.
        messages: all messages of the conversation.
        previous: the id of the response before, if there is one.
        user_number: the same number makes the same choice.
    """
    identity = response["id"].replace("chatcmpl-", "resp_")
    draw = random.Random(identity)  # noqa: S311  no secret
    chained = previous is not None and user_number // SHARE % _CHAINED == 0
    meta: dict[str, Any] = {MetaKey.API: "responses"}
    if chained:
        meta[MetaKey.PREVIOUS_RESPONSE_ID] = previous
    made = {name: value for name, value in response.items() if name != "system_fingerprint"}
    made |= {"id": identity, "previous_response_id": previous if chained else None}
    sent = [messages[0], messages[-1]] if chained else messages
    if "error" in response:
        return Chained(made | {"status": "failed"}, sent, meta)
    choice = response["choices"][0]
    is_cut = choice["finish_reason"] == "length"
    made |= {"status": "incomplete" if is_cut else "completed"}
    made |= {"incomplete_details": {"reason": "max_output_tokens"} if is_cut else None}
    items = _items(draw, str(messages[-1]["content"]))
    if draw.random() < 0.3:  # noqa: PLR2004
        made["choices"] = [choice | {"message": choice["message"] | {"reasoning_content": _REASONING}}]
    outline: list[dict[str, Any]] = [{"output": number} for number in range(len(items))]
    return Chained(made | {"output": items, "outline": outline}, sent, meta)


def _items(draw: random.Random, question: str) -> list[dict[str, Any]]:
    """Return what the API did before it answered."""
    kind = draw.random()
    number = f"{draw.getrandbits(64):016x}"
    if kind < 0.2:  # noqa: PLR2004
        return [{"id": f"ws_{number}", **_SEARCH, "action": {"type": "search", "query": question[:80]}}]
    if kind < 0.3:  # noqa: PLR2004
        return [{"id": f"fs_{number}", **_FILES, "queries": [question[:80]]}]
    if kind < 0.35:  # noqa: PLR2004
        return [{"id": f"ci_{number}", **_CODE, "container_id": "cntr_sample"}]
    return []
