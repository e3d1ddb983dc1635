"""What the user says around a call: who, what and why."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Context:
    """What holds for the calls made within one ``context(...)`` block, merged with the blocks around it."""

    user_id: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    template: Any = None
    inputs: Mapping[str, Any] | None = None
    capture: bool = True
    content: str | None = None


current: ContextVar[Context | None] = ContextVar("ainsights.context", default=None)
"""The context of the running task or thread; None outside of every block."""
