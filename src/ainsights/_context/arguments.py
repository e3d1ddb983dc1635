"""The arguments of ``context()`` and ``capture()``: checked, and copied as they are at that moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from ainsights._context.scope import ContextArguments
from ainsights._context.snapshot import snapshot
from ainsights._context.template import Template
from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    PromptTemplate = Template | str | Sequence[str] | Sequence[Mapping[str, object]]


def check_arguments(
    user_id: str | int | UUID | None,
    meta: Mapping[str, Any] | None,
    template: PromptTemplate | None,
    inputs: Mapping[str, Any] | None,
) -> ContextArguments:
    """Return these arguments, as they are now.

    Raises:
        ConfigurationError: an argument is of a wrong type; it is named.
    """
    if isinstance(template, Template):
        inputs = {**template.inputs, **(_mapping("inputs", inputs) or {})}
    return ContextArguments(
        user_id=_user(user_id),
        meta=_mapping("meta", meta),
        template=_template(template),
        inputs=_mapping("inputs", inputs),
    )


def _user(user_id: object) -> str | None:
    if user_id is None or isinstance(user_id, str):
        return user_id
    if isinstance(user_id, (int, UUID)) and not isinstance(user_id, bool):
        return str(user_id)
    raise _wrong("user_id", f"a {type(user_id).__name__}", "a text, a whole number or a UUID")


def _mapping(name: str, value: object) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise _wrong(name, f"a {type(value).__name__}", "a mapping from text to JSON values")
    odd = next((key for key in value if not isinstance(key, str)), None)
    if odd is not None:
        raise _wrong(name, f"a mapping with the key {odd!r}", "a mapping from text to JSON values")
    return cast("dict[str, Any]", _snapshot(name, dict(value)))


def _template(template: object) -> Any:
    if template is None or isinstance(template, str):
        return template
    if isinstance(template, Template):
        return template.source
    if isinstance(template, (list, tuple)) and template:
        for kind in (str, Mapping):
            if all(isinstance(item, kind) for item in template):
                return _snapshot("template", [item if kind is str else dict(item) for item in template])
    raise _wrong("template", f"a {type(template).__name__}", "a Template, a text, or a list of texts or of messages")


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """Return ``value`` if it is None or one of ``choices``; raises ConfigurationError."""
    if value is None or (value in choices and isinstance(value, type(choices[0]))):  # 1 == True, but it is not a flag
        return value
    raise _wrong(name, repr(value), " or ".join(map(repr, choices)))


def _snapshot(name: str, value: object) -> Any:
    try:
        return snapshot(value)
    except ValueError as error:
        raise _wrong(name, "no JSON", f"JSON values ({error})") from None


def _wrong(name: str, found: str, takes: str) -> ConfigurationError:
    return ConfigurationError(f"{name}=... is {found}. It takes {takes}.")
