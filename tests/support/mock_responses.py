"""Asking the mock model API's Responses API, with openai's client."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, get_args

import openai
import pytest
from pydantic import TypeAdapter

HAS_RESPONSES = hasattr(openai.OpenAI, "responses")
"""openai has them since 1.66."""

needs_responses = pytest.mark.skipif(not HAS_RESPONSES, reason="this openai has no Responses API")

QUESTION = "Ünïcode, 好?"
ANSWER = "You said: “Ünïcode, 好?” – naïve café, 你好 🙂"


def asked(directive: str = "", **more: Any) -> dict[str, Any]:
    """Return the arguments of ``client.responses.create``."""
    return {"model": f"mock:{directive}" if directive else "gpt-4o-mini", "input": QUESTION, **more}


@lru_cache
def known_types(union: str) -> frozenset[str]:
    """Return the types that a union of the installed openai tells apart, such as ``ResponseOutputItem``."""
    members = get_args(get_args(_union(union))[0])
    return frozenset(kind for member in members for kind in get_args(member.model_fields["type"].annotation))


@lru_cache
def adapter(union: str) -> TypeAdapter[Any]:
    return TypeAdapter(_union(union))


def _union(name: str) -> Any:
    from openai.types import responses  # noqa: PLC0415  openai before 1.66 has none

    return getattr(responses, name)


def check_response(body: dict[str, Any]) -> Any:
    """Validate a response by openai's own types; items of types that the installed version lacks are left out."""
    from openai.types.responses import Response  # noqa: PLC0415  openai before 1.66 has none

    items = [item for item in body["output"] or () if item["type"] in known_types("ResponseOutputItem")]
    return Response.model_validate({**body, "output": items})


def check_event(event: dict[str, Any]) -> None:
    """Validate an event of a stream by openai's own types, if the installed version has its type."""
    if "response" in event:
        check_response(event["response"])
    elif event.get("item", {}).get("type", "message") not in known_types("ResponseOutputItem"):
        return
    elif event["type"] in known_types("ResponseStreamEvent"):
        adapter("ResponseStreamEvent").validate_python(event)
