"""What the Responses API adds to a body: the response that it continues, and items that no chat completion has. Pure.

ainsights keeps these items in ``response.output``, and names the API and the previous response in meta.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from ainsights._model import MetaKey
from ainsights.server.events.reading import as_dict, as_list, as_text

RESPONSES = "responses"
"""The value of ``ainsights.api`` for the Responses API."""

_PREFIX = "resp_"
"""What the ids of that API begin with."""

_CALL = "_call"


def api_of(meta: dict[str, Any]) -> str | None:
    """Return the API that was called, if the body names it."""
    return as_text(meta.get(MetaKey.API))


def reply_of(response: dict[str, Any], meta: dict[str, Any]) -> int | None:
    """Return a hash of the id by which a later request can continue the response; None if none can."""
    identity = as_text(response.get("id"))
    if identity and (api_of(meta) == RESPONSES or identity.startswith(_PREFIX)):
        return _number(identity)
    return None


def previous_of(meta: dict[str, Any], args: dict[str, Any]) -> int | None:
    """Return the hash of the id of the response that the request continues; None if it continues none."""
    identity = as_text(meta.get(MetaKey.PREVIOUS_RESPONSE_ID)) or as_text(args.get("previous_response_id"))
    return _number(identity) if identity else None


def output_items(response: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the output items that the message has no place for."""
    return [item for item in as_list(response.get("output")) if isinstance(item, dict)]


def hosted_tools(response: dict[str, Any]) -> list[str]:
    """Return the tools that the API itself ran, or had the program run, by the types of their calls."""
    names = []
    for item in output_items(response):
        kind = as_text(item.get("type")) or ""
        if kind.endswith(_CALL):
            name = as_text(item.get("name"))
            names.append(name or kind.removesuffix(_CALL))
    return names


def conversation_of(args: dict[str, Any]) -> str | None:
    """Return the id of the conversation that the API keeps, from the request."""
    given = args.get("conversation")
    return as_text(given) or as_text(as_dict(given).get("id"))


def _number(identity: str) -> int:
    return int.from_bytes(blake2b(f"response\0{identity}".encode(errors="replace"), digest_size=8).digest(), "big")
