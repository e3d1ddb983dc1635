"""Numbers as people read them: with a unit, and as many digits as matter. Pure."""

from __future__ import annotations

import math
from typing import Literal

Unit = Literal["count", "ms", "USD", "share", "tokens", "tokens/s", "bytes"]

UNKNOWN = "–"
"""Shown for a value that is not known, which is never the same as 0."""

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BYTES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_SECOND, _MINUTE, _HOUR = 1e3, 6e4, 3.6e6
_EXACT_BELOW = 10_000


def show(value: float | None, unit: Unit = "count") -> str:
    """Return ``value`` with its unit, three significant digits."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if unit == "ms":
        return _duration(value)
    if unit == "USD":
        return _money(value)
    if unit == "share":
        return f"{_digits(value * 100)} %"
    if unit == "bytes":
        return _scaled(value, _BYTES, "B")
    text = _count(value)
    return f"{text} tok/s" if unit == "tokens/s" else text


def exact(value: float | None, unit: Unit = "count") -> str:
    """Return ``value`` with all its digits, for tooltips and tables."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    digits = f"{value:,.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"
    suffix = {"ms": " ms", "USD": " USD", "bytes": " bytes", "tokens": " tokens", "tokens/s": " tokens/s"}
    return f"{_digits(value * 100)} %" if unit == "share" else digits + suffix.get(unit, "")


def _count(value: float) -> str:
    if abs(value) < _EXACT_BELOW and float(value).is_integer():
        return f"{int(value):,}"
    return _scaled(value, _PREFIXES, "")


def _scaled(value: float, prefixes: tuple[tuple[float, str], ...], base: str) -> str:
    for factor, prefix in prefixes:
        if abs(value) >= factor:
            return f"{_digits(value / factor)} {prefix}"
    return f"{_digits(value)} {base}".rstrip()


def _duration(ms: float) -> str:
    if abs(ms) < _SECOND:
        return f"{_digits(ms)} ms"
    if abs(ms) < _MINUTE:
        return f"{_digits(ms / _SECOND)} s"
    return f"{_digits(ms / _MINUTE)} min" if abs(ms) < _HOUR else f"{_digits(ms / _HOUR)} h"


def _money(usd: float) -> str:
    if usd and abs(usd) < 0.01:  # noqa: PLR2004  a cent
        return f"${usd:.{1 - math.floor(math.log10(abs(usd)))}f}" if abs(usd) > 1e-9 else "$0.00"  # noqa: PLR2004  dust
    return f"${usd:,.2f}"


def _digits(value: float) -> str:
    if not value:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
