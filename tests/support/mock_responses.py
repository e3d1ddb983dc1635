"""Requests to the mock model API's Responses API, with openai's client."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, get_args

import openai
import pytest

if TYPE_CHECKING:
    from pydantic import BaseModel

HAS_RESPONSES = find_spec("openai.resources.responses") is not None
"""openai has them since 1.66."""

IS_FOLLOWED = int(openai.__version__.partition(".")[0]) >= 3
"""The mock model API follows the types of openai 3: earlier ones know less of what the API answers today."""

needs_background = pytest.mark.skipif(
    not HAS_RESPONSES or find_spec("openai.types.responses.response_queued_event") is None,
    reason="this openai has no background mode",
)
needs_responses = pytest.mark.skipif(not HAS_RESPONSES, reason="this openai has no Responses API")

QUESTION = "Ünïcode, 好?"
ANSWER = "You said: “Ünïcode, 好?” – naïve café, 你好 🙂"


def create_params(directive: str = "", **more: Any) -> dict[str, Any]:
    """Return the arguments of ``client.responses.create``."""
    return {"model": f"mock:{directive}" if directive else "gpt-4o-mini", "input": QUESTION, **more}


def known_types(union: str) -> frozenset[str]:
    """Return the types that a union of the installed openai distinguishes, such as ``ResponseOutputItem``."""
    return frozenset(_members(union))


def check(union: str, value: dict[str, Any]) -> None:
    """Validate ``value`` by the member of the union that has its type, if openai has such a one."""
    member = _members(union).get(value["type"])
    if member is not None and IS_FOLLOWED:
        member.model_validate(value)


@lru_cache
def _members(union: str) -> dict[str, type[BaseModel]]:
    from openai.types import responses  # noqa: PLC0415  openai before 1.66 has none

    members = get_args(get_args(getattr(responses, union))[0])
    return {kind: member for member in members for kind in get_args(member.model_fields["type"].annotation)}


def check_response(body: dict[str, Any]) -> None:
    """Validate a response by openai's own types; items of types that the installed version lacks are not looked at."""
    from openai.types.responses import Response  # noqa: PLC0415  openai before 1.66 has none

    for item in body["output"] or ():
        check("ResponseOutputItem", item)
    if IS_FOLLOWED:
        Response.model_validate({**body, "output": []})


def check_event(event: dict[str, Any], union: str = "ResponseStreamEvent") -> None:
    """Validate an event of a stream by openai's own types, if the installed version has its type."""
    if "response" in event:
        check_response(event["response"])
        event = {**event, "response": {**event["response"], "output": []}}
    if event.get("item", {}).get("type", "message") in known_types("ResponseOutputItem"):
        check(union, event)
