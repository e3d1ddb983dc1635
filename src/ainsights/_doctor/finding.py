"""Finding: one thing that was checked, how it is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    check: str
    """What was checked: a stable name."""
    level: Level
    message: str
    remedy: str | None = None
    """One line: what to type or to change. None only where there is nothing to do."""
    details: dict[str, Any] = field(default_factory=dict)
    """The same for programs: values of JSON under stable names."""


def ok(check: str, message: str, **details: Any) -> Finding:
    """Return that all is well."""
    return Finding(check, "ok", message, None, details)


def warning(check: str, message: str, remedy: str, **details: Any) -> Finding:
    """Return something that need not be wrong, but deserves attention."""
    return Finding(check, "warning", message, remedy, details)


def problem(check: str, message: str, remedy: str, **details: Any) -> Finding:
    """Return something that keeps insights from arriving."""
    return Finding(check, "problem", message, remedy, details)


def described(error: BaseException) -> str:
    """Return ``error`` in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()) if str(error) else type(error).__name__
