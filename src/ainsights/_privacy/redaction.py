"""Redaction of every string of an insight. Pure, but for the callables of the user's.

Strings are redacted wherever they are: values, the names of fields that the API does not have (those of inputs are
the user's), and whole numbers outside of the response, by their digits. What is JSON in a string, as the arguments of
a tool call, is redacted by its own strings, so that no escape hides a secret, and stays JSON where it can. Untouched
are only the words by which the API names kinds (``"role": "user"``) and what ainsights itself writes. Identifiers of
the API are left to the user's own rules: to built-in ones random characters may look like a card number.

``logprobs`` and ids of tokens spell the text once more. Where a text was redacted they lose their tokens; the numbers
stay.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python

from ainsights._json import LARGE, dump_json, parse_json_or_none
from ainsights._logging import is_user_interrupt
from ainsights._model import META_KEYS, Insight, MetaKey
from ainsights._privacy import patterns
from ainsights._privacy.dropped import EventDropped, place_of
from ainsights._privacy.fields import API, IDENTIFIER, IDENTIFIERS, KINDS, WORDS
from ainsights._privacy.slices import end_of_run

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

_WRITTEN = {
    MetaKey.EVENT_ID: re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    MetaKey.SDK: re.compile(r"ainsights/[\w. /]{1,80}"),
    MetaKey.TIMESTAMP: re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}Z"),
}
"""What we write by ourselves, and what it looks like then: digits that are not a telephone number."""

_ITEMS = ("original", "outline", "output")
"""Fields of a response of the Responses API in which the logprobs are that its choice has no place for."""
_TOKEN_LISTS = ("prompt_logprobs", "prompt_token_ids", "token_ids")
_LONGEST_NUMBER = 10_000
"""Bits of the largest number whose digits are looked at; Python refuses to write out much larger ones."""
_BLANKS = re.compile(r"\s*")
_ESCAPE = re.compile(r"\\u00([2-7][0-9A-Fa-f])")


class Redaction:
    """What is redacted.

    Args:
        rules: names of built-in patterns, compiled patterns, and functions from text to text; they work in this order.
    """

    def __init__(self, rules: Sequence[str | re.Pattern[str] | Callable[[str], str]]) -> None:
        self._steps = [_step(rule) for rule in rules]
        self._own_steps = [_step(rule) for rule in rules if not isinstance(rule, str)]
        self._all_built_in = all(isinstance(rule, str) for rule in rules)

    def __call__(self, insight: Insight) -> Insight:
        """Return ``insight`` redacted; what needs no redaction is in both.

        Raises:
            EventDropped: a rule failed.
        """
        messages = self.value(insight.messages)
        return Insight.model_construct(
            response=self._response(insight.response, prompt_changed=messages is not insight.messages),
            messages=messages if messages is insight.messages else _without_logprobs(messages),
            template=self.value(insight.template),
            inputs=self.value(insight.inputs),
            args=self.value(insight.args, numbers=False),
            user_id=self.value(insight.user_id),
            meta=self._meta(insight.meta),
        )

    def text(self, text: str) -> str:
        """Return ``text`` redacted, if it is JSON by the strings in it."""
        plain = self._plain(text)
        return self._json(text, plain) if text.startswith(("{", "["), end_of_run(_BLANKS, text, 0)) else plain

    def value(self, value: Any, *, numbers: bool = True) -> Any:
        """Return ``value``, which is JSON or what can be made JSON, redacted: itself if it needs none."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return self._fields(value, numbers=numbers)
        if isinstance(value, (list, tuple)):
            items = [self.value(item, numbers=numbers) for item in value]
            return value if isinstance(value, list) and _same(items, value) else items
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            return self._number(value) if numbers else value
        return self.value(_as_json(value), numbers=numbers)

    def _plain(self, text: str) -> str:
        return _applied(self._steps, text)

    def _number(self, number: float) -> int | float | str:
        whole = int(number) if isinstance(number, int) or number.is_integer() else None
        if whole is None or whole.bit_length() > _LONGEST_NUMBER:
            return number
        redacted = self._plain(str(whole))
        return number if redacted == str(whole) else redacted

    def _fields(self, fields: dict[Any, Any], *, numbers: bool) -> dict[Any, Any]:
        redacted: dict[Any, Any] = {}
        for key, item in fields.items():
            if key in KINDS and isinstance(item, str) and item in WORDS:
                redacted[key] = item
            elif key in IDENTIFIERS and isinstance(item, str) and IDENTIFIER.fullmatch(item):
                redacted[key] = _applied(self._own_steps, item)
            else:
                name = key if key in API or key in META_KEYS else _free(self.text(str(key)), redacted)
                redacted[name] = self.value(item, numbers=numbers)
        return fields if _same(redacted, fields) and _same(redacted.values(), fields.values()) else redacted

    def _meta(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        redacted: dict[str, Any] = self.value({key: item for key, item in meta.items() if not _is_written(key, item)})
        return redacted | {key: item for key, item in meta.items() if _is_written(key, item)}

    # JSON within a string

    def _json(self, text: str, plain: str) -> str:
        if self._all_built_in and plain == text and "\\" not in text:
            return text  # to built-in rules a quotation mark is the end of a text
        value = parse_json_or_none(text)
        if value is None:
            unescaped = _ESCAPE.sub(_unescaped, text)
            return plain if unescaped == text or (redacted := self._plain(unescaped)) == unescaped else redacted
        redacted = self.value(value)
        if redacted is value and plain == text:
            return text
        if plain != text and (still := parse_json_or_none(plain)) is not None and self.value(still) is still:
            return plain
        return self._plain(dump_json(redacted) if len(text) > LARGE else json.dumps(redacted, ensure_ascii=False))

    # What spells the text once more

    def _response(self, response: dict[str, Any], *, prompt_changed: bool) -> dict[str, Any]:
        redacted: dict[str, Any] = self.value(response, numbers=False)
        before, after = response.get("choices"), redacted.get("choices")
        changed = prompt_changed or any(redacted.get(key) is not response.get(key) for key in ("choices", *_ITEMS))
        if isinstance(before, list) and isinstance(after, list):
            choices = [self._choice(*pair, changed=changed) for pair in zip(before, after, strict=True)]
            redacted = {key: choices if key == "choices" else item for key, item in redacted.items()}
        if not changed:
            return redacted
        return _without_token_lists(
            {key: _without_logprobs(item) if key in _ITEMS else item for key, item in redacted.items()}
        )

    def _choice(self, before: Any, after: Any, *, changed: bool) -> Any:
        if not isinstance(before, dict):
            return after
        if self._is_spelled(before, after):
            after = after | {"logprobs": _without_tokens(after["logprobs"])}
        return _without_token_lists(after) if changed else after

    def _is_spelled(self, before: dict[str, Any], after: dict[str, Any]) -> bool:
        if not before.get("logprobs"):
            return False
        spelled = "".join(_tokens(before["logprobs"]))
        return before is not after or self._plain(spelled) != spelled


def _applied(steps: Sequence[Callable[[str], str]], text: str) -> str:
    redacted = text
    for step in steps:
        redacted = step(redacted)
    return text if redacted == text else redacted  # the same object, by which it is seen that nothing changed


def _step(rule: str | re.Pattern[str] | Callable[[str], str]) -> Callable[[str], str]:
    if isinstance(rule, str):
        return patterns.PATTERNS[rule]
    if isinstance(rule, re.Pattern):
        return lambda text: rule.sub(_named, text)
    return _Checked(rule)


def _named(found: re.Match[str]) -> str:
    return f"[{found.lastgroup or 'redacted'}]" if found.group() else ""


class _Checked:
    """A function of the user's; an event for which it fails, or returns no text, is dropped."""

    def __init__(self, function: Callable[[str], str]) -> None:
        self.function = function

    def __call__(self, text: str) -> str:
        try:
            redacted = self.function(text)
        except BaseException as error:  # whatever a user's function raises, SystemExit included
            if is_user_interrupt(error):
                raise
            raise EventDropped("redact", f"a function of the setting redact raised {place_of(error)}") from None
        if not isinstance(redacted, str):
            kind = type(redacted).__name__
            raise EventDropped("redact", f"a function of the setting redact returned {kind} instead of str")
        return redacted


def _as_json(value: Any) -> Any:
    """Return what JSON has for an object of the user's, as encoding would; a text at the worst."""
    try:
        return to_jsonable_python(value, inf_nan_mode="strings", fallback=str)
    except ValueError:
        return str(value)


def _is_written(key: str, value: Any) -> bool:
    looks = _WRITTEN.get(key)
    return looks is not None and isinstance(value, str) and looks.fullmatch(value) is not None


def _free(name: str, taken: Mapping[str, Any]) -> str:
    """Return ``name``, numbered if two names became the same."""
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{name} {number}"
    return unique


def _same(these: Collection[Any], those: Collection[Any]) -> bool:
    return len(these) == len(those) and all(this is that for this, that in zip(these, those, strict=True))


def _unescaped(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return found.group() if character in '"\\\x7f' else character


def _tokens(logprobs: Any) -> list[str]:
    """Return the tokens that were chosen, in their order."""
    if not isinstance(logprobs, dict):
        return []
    lists = [logprobs.get(name) for name in ("content", "refusal", "tokens")]
    items = [item for each in lists if isinstance(each, list) for item in each]
    tokens = [item.get("token") if isinstance(item, dict) else item for item in items]
    return [token for token in tokens if isinstance(token, str)]


def _without_logprobs(value: Any) -> Any:
    """Return ``value`` with no tokens in logprobs, at any depth."""
    if isinstance(value, dict):
        return {
            key: _without_tokens(item) if key == "logprobs" else _without_logprobs(item) for key, item in value.items()
        }
    return [_without_logprobs(item) for item in value] if isinstance(value, list) else value


def _without_tokens(logprobs: Any) -> Any:
    if isinstance(logprobs, dict):
        return {key: None if key == "bytes" else _token_free(key, item) for key, item in logprobs.items()}
    if isinstance(logprobs, list):
        return [_without_tokens(item) for item in logprobs]
    return "" if isinstance(logprobs, str) else logprobs


def _token_free(key: str, item: Any) -> Any:
    """Return what is without tokens; in legacy ``top_logprobs`` they are the names."""
    if key == "top_logprobs" and isinstance(item, list):
        return [_without_tokens(each) if isinstance(each, dict) and "token" in each else None for each in item]
    return _without_tokens(item)


def _without_token_lists(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: None if key in _TOKEN_LISTS and item else item for key, item in fields.items()}
