"""The scenarios of the fault benchmark as parameters of tests: small ones, and, marked slow, those at full size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from faultbench.row import FULL, SMALL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faultbench.row import Row, Size


def proofs(
    rows: Callable[[Size, float], Iterator[tuple[str, Callable[[], Row]]]], unsized: frozenset[str] = frozenset()
) -> list[Any]:
    """Return the scenarios of one kind, each of which returns what it saw; those without a size once."""
    small = [pytest.param(run, id=f"{name}-small") for name, run in rows(SMALL, 0.0)]
    full = [pytest.param(run, id=f"{name}-full", marks=pytest.mark.slow) for name, run in rows(FULL, 0.0)]
    return small + [each for each in full if each.id.removesuffix("-full") not in unsized]
