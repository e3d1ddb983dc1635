"""Values as people write them: durations, sizes, money, times. What is printed reads back as the same value."""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone

from ainsights.server.query.fields import Kind, QueryError
from ainsights.server.query.model import EPOCH, Ago, When

_AMOUNT = re.compile(r"\$?([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-z]*)", re.IGNORECASE)
_AGO = re.compile(r"(\d{1,7})([wdhms])")
_SCALES = {
    Kind.NUMBER: {"": 1.0, "k": 1e3},
    Kind.DURATION: {"": 1.0, "ms": 1.0, "s": 1e3, "m": 6e4, "min": 6e4, "h": 3.6e6},
    Kind.SIZE: {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6},
}
_EXAMPLES = {Kind.NUMBER: "1000", Kind.DURATION: "2s or 500ms", Kind.SIZE: "4096 or 100kb"}


def parse_number(text: str, kind: Kind) -> float:
    """Return the number that ``text`` is, in the unit of the kind: a duration in milliseconds, a size in bytes.

    Raises:
        QueryError: it is none.
    """
    scales = _SCALES.get(kind, {"": 1.0})
    match = _AMOUNT.fullmatch(text)
    number = float(match[1]) * scales.get(match[2].lower(), math.nan) if match else math.nan
    if not math.isfinite(number):
        raise QueryError(f"{text!r} is not a {kind.value}; write one such as {_EXAMPLES.get(kind, '1000')}", text)
    return number


def print_number(number: float, kind: Kind) -> str:
    """Return ``number`` as :func:`parse_number` reads it."""
    if kind is Kind.DURATION:
        seconds = number / 1000
        return f"{_plain(seconds)}s" if number >= 1000 and seconds * 1e3 == number else f"{_plain(number)}ms"  # noqa: PLR2004
    return _plain(number)


def _plain(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)  # noqa: PLR2004  all digits


def parse_flag(text: str) -> bool:
    """Return the flag that ``text`` is.

    Raises:
        QueryError: it is neither true nor false.
    """
    try:
        return {"true": True, "yes": True, "false": False, "no": False}[text.lower()]
    except KeyError:
        raise QueryError(f"{text!r} is neither true nor false", text) from None


def parse_when(text: str) -> When:
    """Return the time that ``text`` is: ``7d`` (ago), a date, or RFC 3339; UTC where no zone is given.

    Raises:
        QueryError: it is none of them.
    """
    if match := _AGO.fullmatch(text):
        return Ago(int(match[1]), match[2])
    try:
        at = datetime.fromisoformat(_for_python_3_10(text))
        at = at.replace(tzinfo=timezone.utc) if at.tzinfo is None else at.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise QueryError(
            f"{text!r} is not a time; write one such as 7d, 24h, 2025-01-31 or 2025-01-31T12:00:00Z", text
        ) from None
    if at < EPOCH:
        raise QueryError(f"the time {text!r} is before 1970", text)
    return at


def _for_python_3_10(text: str) -> str:
    """Write ``Z`` as an offset and fractions with six digits, which ``fromisoformat`` of Python 3.10 needs."""
    text = re.sub(r"(?<=\d)[zZ]$", "+00:00", text)
    return re.sub(r"\.(\d{1,9})(?=[+-]|$)", lambda match: "." + match[1][:6].ljust(6, "0"), text)


def print_when(when: When) -> str:
    """Return ``when`` as :func:`parse_when` reads it."""
    if isinstance(when, Ago):
        return f"{when.count}{when.unit}"
    if (when.hour, when.minute, when.second, when.microsecond) == (0, 0, 0, 0):
        return when.date().isoformat()
    return when.replace(tzinfo=None).isoformat() + "Z"
