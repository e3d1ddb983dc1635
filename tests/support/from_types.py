"""Values by the types that openai's models declare: whatever the API may send, as JSON."""

from __future__ import annotations

import types
from datetime import datetime
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.none() | st.booleans() | st.integers(-9, 9) | TEXT
EXTRAS = st.dictionaries(st.sampled_from(["x_new", "vendor"]), JSON | st.lists(JSON, max_size=2), max_size=1)
"""Fields that no type knows."""
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(0, 2**40),
    float: st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 2**40),
    bool: st.booleans(),
    object: JSON,
    Any: JSON,
    type(None): st.none(),
    datetime: st.just("2026-01-01T00:00:00Z"),
}


@cache
def values(kind: Any) -> st.SearchStrategy[Any]:  # noqa: PLR0911  a table of forms
    """Return what draws values of the type ``kind``."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in {Union, types.UnionType}:
        return st.one_of([st.deferred(lambda each=each: values(each)) for each in arguments])  # type: ignore[misc]
    if origin is list:
        return st.lists(st.deferred(lambda: values(arguments[0])), max_size=2)
    if origin is dict:
        return st.dictionaries(TEXT, st.deferred(lambda: values(arguments[1])), max_size=2)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return model(kind)
    if arguments:  # Annotated
        return values(arguments[0])
    raise TypeError(kind)


@cache
def model(kind: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    """Return what draws the fields of a model, with those that may be missing or not, and with unknown ones."""
    required, optional = {}, {}
    for name, field in kind.model_fields.items():
        drawn = st.deferred(lambda annotation=field.annotation: values(annotation))  # type: ignore[misc]
        (required if field.is_required() else optional)[field.alias or name] = drawn
    return st.builds(lambda fields, extras: extras | fields, st.fixed_dictionaries(required, optional=optional), EXTRAS)


def members(union: Any) -> tuple[type[BaseModel], ...]:
    """Return the models of a union."""
    if isinstance(union, type) and issubclass(union, BaseModel):
        return (union,)
    return tuple(each for argument in get_args(union) if not isinstance(argument, str) for each in members(argument))
