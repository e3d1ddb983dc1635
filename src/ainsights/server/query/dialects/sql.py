"""A piece of SQL with its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class SQL(NamedTuple):
    """A piece of a statement, and the values for its placeholders, in their order."""

    text: str
    values: tuple[Any, ...] = ()


def join(separator: str, parts: Iterable[SQL]) -> SQL:
    """Return the parts with ``separator`` between them."""
    listed = list(parts)
    return SQL(separator.join(part.text for part in listed), tuple(value for part in listed for value in part.values))


def concat(*parts: SQL | str) -> SQL:
    """Return the parts one after the other."""
    return join("", (SQL(part) if isinstance(part, str) else part for part in parts))
