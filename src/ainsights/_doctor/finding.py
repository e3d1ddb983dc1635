"""Finding: one thing that was looked at, how it is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found at one look."""

    check: str
    """What was looked at: a stable name."""
    level: Level
    says: str
    remedy: str | None = None
    """One line: what to type or to change. None only where there is nothing to do."""
    facts: dict[str, Any] = field(default_factory=dict)
    """The same for programs: values of JSON under stable names."""


def ok(check: str, says: str, **facts: Any) -> Finding:
    """Return that all is well."""
    return Finding(check, "ok", says, None, facts)


def warning(check: str, says: str, remedy: str, **facts: Any) -> Finding:
    """Return something that need not be wrong, but deserves a look."""
    return Finding(check, "warning", says, remedy, facts)


def problem(check: str, says: str, remedy: str, **facts: Any) -> Finding:
    """Return something that keeps insights from arriving."""
    return Finding(check, "problem", says, remedy, facts)


def described(error: BaseException) -> str:
    """Return ``error`` in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()) if str(error) else type(error).__name__
