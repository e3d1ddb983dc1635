"""Filling templates, sending what they make, and reading what the event has of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.models import client

if TYPE_CHECKING:
    from ainsights import Template


def send(messages: Any) -> Any:
    return client().chat.completions.create(model="m", messages=messages)


def content(template: Template, **inputs: Any) -> Any:
    """Return the content of the last message that ``template`` makes."""
    messages: list[Any] = list(template.format(**inputs))
    return messages[-1]["content"]


def recorded(body: dict[str, Any]) -> tuple[Any, Any]:
    """Return the template and the inputs of an event."""
    return body["template"], body["inputs"]
