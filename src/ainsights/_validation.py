"""How the values of settings are read from text, and which are refused. Pure."""

from __future__ import annotations

import difflib
import inspect
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

BUILT_IN = ("email", "phone", "credit_card", "api_key", "ip")
"""The names of the patterns in ``_privacy.patterns``."""

HEADER_SAFE = re.compile(r"[\x21-\x7e]+")
"""What an API key may consist of."""


def read_meta(value: Any) -> Any:
    """Read ``k=v,k=v`` or a JSON object."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("{"):
        return json.loads(value)
    pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
    if not all(equals and key.strip() for key, equals, _ in pairs):
        raise ValueError("a pair without key or '='")
    return {key.strip(): item.strip() for key, _, item in pairs}


def read_names(value: Any) -> Any:
    """Read names separated by commas."""
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


def check_name(name: Any, kind: str, known: Sequence[str]) -> Any:
    """Check that ``name`` is one of those that are ``known``."""
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1)
        raise ValueError(f"there is no {kind} {name!r}" + (f", did you mean {near[0]!r}?" if near else ""))
    return name


def read_rules(value: Any) -> Any:
    """Read names separated by commas, or take a single rule as one of several."""
    if isinstance(value, str):
        return read_names(value)
    return (value,) if callable(value) or isinstance(value, re.Pattern) else value


def check_rule(rule: Any) -> Any:
    """Check one rule of redaction."""
    if isinstance(rule, re.Pattern) and isinstance(rule.pattern, bytes):
        raise ValueError("a pattern of bytes; it has to be one of text")  # noqa: TRY004  pydantic takes no other
    if isinstance(rule, str):
        return check_name(rule, "pattern", BUILT_IN)
    return rule if isinstance(rule, re.Pattern) else check_function(rule)


def check_function(value: Any) -> Any:
    """Check that ``value`` can be called with one argument, and answers at once."""
    if isinstance(value, str):
        raise ValueError("a function can only be set in code")  # noqa: TRY004  the same
    if not callable(value):
        raise ValueError(f"{type(value).__name__} is not callable")  # noqa: TRY004  the same
    if any(is_lazy(each) for is_lazy in _LAZY for each in (value, type(value).__call__)):
        raise ValueError("an async function or a generator, whose result would have to be waited for")
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):  # some built-in functions have none
        return value
    try:
        signature.bind(None)
    except TypeError:
        raise ValueError("it cannot be called with one argument") from None
    return value


_LAZY = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
