"""The scale of an axis: from 0 to a round number above the largest value, with ticks that people would choose. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ainsights.server.pages.units import Unit

TICKS = 4
"""About so many, besides 0."""

_DECIMAL_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_TIME_STEPS_MS = (
    1e3,
    2e3,
    5e3,
    1e4,
    1.5e4,
    3e4,
    6e4,
    1.2e5,
    3e5,
    6e5,
    9e5,
    1.8e6,
    3.6e6,
    7.2e6,
    2.16e7,
    4.32e7,
    8.64e7,
)


class Scale(NamedTuple):
    """An axis from 0 to ``top``."""

    top: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Return where ``value`` stands on the axis, from 0 to 1."""
        return min(max(value / self.top, 0.0), 1.0)


def scale(largest: float, unit: Unit = "count") -> Scale:
    """Return the axis for values from 0 to ``largest``."""
    if not largest > 0 or not math.isfinite(largest):
        largest = 1.0
    step = _step(largest / TICKS, unit)
    count = max(math.ceil(largest / step - 1e-9), 1)
    return Scale(step * count, tuple(step * number for number in range(count + 1)))


def _step(least: float, unit: Unit) -> float:
    if unit == "ms" and least >= _TIME_STEPS_MS[0]:
        for step in _TIME_STEPS_MS:
            if step >= least:
                return step
    base = 1024.0 ** max(math.floor(math.log(least * TICKS, 1024)), 0) if unit == "bytes" else 1.0
    least /= base
    power = 10.0 ** math.floor(math.log10(least))
    steps = [power * factor for factor in _DECIMAL_STEPS if power * factor >= least * (1 - 1e-9)]
    if unit in ("count", "tokens"):
        return next((step for step in steps if step.is_integer()), 1.0)
    return steps[0] * base


def every(labels: Sequence[str], room: int) -> int:
    """Return n so that each n-th of ``labels`` can be shown side by side in ``room`` characters."""
    widest = max((len(label) for label in labels), default=0) + 2
    fits = max(room // widest, 1)
    return max(math.ceil(len(labels) / fits), 1)
