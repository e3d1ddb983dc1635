"""Credentials, which are in no event whatever the settings are. Pure.

Headers are not captured. What is left are credentials that a request carries in its body or its metadata, errors of the
model API that repeat one, and the key of the endpoint itself.

A credential is known by the name of its field, at any depth and in any spelling (``api_key``, ``apiKey``, ``Api-Key``).
Only texts are masked: in a JSON schema, where such a name is that of a parameter, an object stands there, of which the
default and the examples are masked. In fields that hold nothing but credentials, as ``headers`` or ``authentication``,
each text is masked but their ``type``. Of a pair of ``name`` and ``value`` the value is masked, of a URL the account
and the parameters with such names. A text that is a JSON object or list is read as one.
"""

from __future__ import annotations

import functools
import json
import re
from enum import Enum, auto
from typing import Any

from ainsights._json import dump_json, parse_json_or_none
from ainsights._logging import LONGEST_SPELLING, MASK, spellings
from ainsights._model import META_KEYS, Insight, MetaKey

_SHORTEST = 12
"""Characters of the shortest key that is looked for in every text; a shorter one may well be a word."""

_RUN = re.compile(r"[A-Za-z0-9]+")
_SHORTEST_RUN = 6
"""Letters and digits without which a key is only looked for as it is: they would be in every text by chance."""

_NAMES = frozenset({"bearer", "dsn", "jwt", "pat", "pwd", "sas"})
_ENDINGS = tuple(
    """accesskey accesskeyid accountkey adminkey apikey authkey connectionstring connstr connstring cookie credential
    encryptionkey functionkey licensekey masterkey passphrase passwd password privatekey projectkey secret secretkey
    servicekey sharedkey signingkey subscriptionkey token userkey""".split()  # noqa: SIM905  words read better
)
"""How the name of a credential ends, in small letters and digits alone."""
_APPENDED = re.compile(r"(?:base64|header|primary|secondary|value|[0-9])+$")
_OTHER_TOKENS = frozenset(
    f"{which}token"
    for which in """bos cls continuation end eos image mask next nextpage pad page sep special start stop
    unk""".split()  # noqa: SIM905  the same
)
"""Tokens that a model reads, or that name a page."""
_CONTAINERS = ("auth", "authentication", "authorization", "headers")
_SCHEMAS = frozenset(
    {"$defs", "definitions", "dependentRequired", "dependentSchemas", "patternProperties", "properties"}
)
"""Keywords of JSON Schema under which the names are those of the user's parameters."""
_SCHEMA_VALUES = frozenset({"const", "default", "example", "examples"})
"""Keywords of JSON Schema under which a value of the parameter is."""
_PAIR_NAMES = ("name", "key")
_PAIR_VALUE = "value"
"""Fields of an object that is one field in the form of a pair, as environment variables and headers often are."""

_OUTLINE = "outline"
_ANSWERED = frozenset({"choices", "error", "instructions", "output", _OUTLINE})
"""Fields of a response that repeat no settings of its request."""

_ACCOUNT = re.compile(r"(?<=://)[^/?#\s@]+@")
_PARAMETER = re.compile(r"(?<=[?&])([^=&#\s]+)=([^&#\s]+)")
_URL_SECRETS = frozenset({"code", "key", "sig", "signature"})
"""Parameters of URLs that are credentials there."""


class _Kind(Enum):
    """What a field holds, by its name."""

    CREDENTIAL = auto()
    CREDENTIALS = auto()
    SCHEMAS = auto()
    OTHER = auto()


def strip_credentials(insight: Insight) -> Insight:
    """Return ``insight`` without credentials in its arguments, metadata and tools, and in an error of the model API."""
    args, meta, response = _masked(insight.args), _masked_meta(insight.meta), _masked_response(insight.response)
    messages = _masked_items(insight.messages)
    if "error" in response:
        response = response | {"error": _scrubbed(_masked(response["error"]))}
        if MetaKey.ERROR_TYPE in meta:
            meta = meta | {MetaKey.ERROR_TYPE: _scrubbed(meta[MetaKey.ERROR_TYPE])}
    changed = {"args": args, "meta": meta, "messages": messages, "response": response}
    if all(item is insight.__dict__[key] for key, item in changed.items()):
        return insight
    return Insight.model_construct(**insight.__dict__ | changed)


def _masked_response(response: dict[str, Any]) -> dict[str, Any]:
    """Return a response without credentials in what a response of the Responses API repeats of its request."""
    if _OUTLINE not in response:
        return response
    masked = {key: item if key in _ANSWERED else _masked_field(key, item, named=True) for key, item in response.items()}
    masked |= {key: _masked_items(response[key]) for key in ("instructions", "output") if key in response}
    return response if all(masked[key] is response[key] for key in response) else masked


def _masked_items(value: Any) -> Any:
    """Return messages, or output items, without credentials in the tools that some of them bring, at any depth."""
    if isinstance(value, dict):
        fields = {key: _masked(item) if key == "tools" else _masked_items(item) for key, item in value.items()}
        return value if all(fields[key] is value[key] for key in value) else fields
    if isinstance(value, list):
        items = [_masked_items(item) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    return value


def _masked_meta(meta: dict[str, Any]) -> dict[str, Any]:
    masked = {key: item if key in META_KEYS else _masked_field(key, item, named=True) for key, item in meta.items()}
    return meta if all(masked[key] is meta[key] for key in meta) else masked


def _masked(value: Any, *, named: bool = True) -> Any:
    """Return ``value`` with its credentials masked: itself if it has none.

    Args:
        value: JSON.
        named: False where the names of an object are those of a user's parameters.
    """
    if isinstance(value, dict):
        fields = {key: _masked_field(key, item, named=named) for key, item in value.items()}
        if named and _is_credential_pair(value):
            fields[_PAIR_VALUE] = _without_texts(value[_PAIR_VALUE])
        return value if all(fields[key] is value[key] for key in value) else fields
    if isinstance(value, list):
        items = [_masked_text(item) if isinstance(item, str) else _masked(item) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    return value


def _masked_field(key: Any, item: Any, *, named: bool) -> Any:
    if not isinstance(item, (str, dict, list)):
        return item
    kind = _kind(key) if isinstance(key, str) else _Kind.OTHER
    if kind is _Kind.CREDENTIALS and named and not _is_schema(item):
        return _without_texts(item)
    if isinstance(item, str):
        return MASK if item and kind in {_Kind.CREDENTIAL, _Kind.CREDENTIALS} else _masked_text(item)
    if isinstance(item, list) and kind is _Kind.CREDENTIAL and named:
        return _without_texts(item)
    if isinstance(item, dict) and kind in {_Kind.CREDENTIAL, _Kind.CREDENTIALS}:
        item = _without_schema_values(item)
    return _masked(item, named=kind is not _Kind.SCHEMAS)


def _is_credential_pair(fields: dict[str, Any]) -> bool:
    names = [fields[key] for key in _PAIR_NAMES if isinstance(fields.get(key), str)]
    return _PAIR_VALUE in fields and any(_kind(name) in {_Kind.CREDENTIAL, _Kind.CREDENTIALS} for name in names)


def _without_schema_values(schema: dict[str, Any]) -> dict[str, Any]:
    """Return ``schema``, of a parameter that is a credential, without values of it; itself if it has none."""
    values = {key: _without_texts(item) for key, item in schema.items() if key in _SCHEMA_VALUES}
    return schema | values if values else schema


def _masked_text(text: str) -> str:
    """Return ``text`` with what it holds masked, if it is JSON, or has URLs in it; itself if there is nothing."""
    if text[:1] in {"{", "["} and text[-1:] in {"}", "]"}:
        value = parse_json_or_none(text)
        masked = _masked(value)
        return text if masked is value else dump_json(masked)
    return _without_url_credentials(text)


def _without_url_credentials(text: str) -> str:
    """Return ``text`` with the account and the secret parameters of the URLs in it masked; itself if it has none."""
    if "://" not in text:
        return text
    return _PARAMETER.sub(_masked_parameter, _ACCOUNT.sub(f"{MASK}@", text))


def _masked_parameter(match: re.Match[str]) -> str:
    secret = match[1].lower() in _URL_SECRETS or _kind(match[1]) in {_Kind.CREDENTIAL, _Kind.CREDENTIALS}
    return f"{match[1]}={MASK}" if secret else match[0]


def _is_schema(value: Any) -> bool:
    return isinstance(value, dict) and ("properties" in value or "$ref" in value)


def _without_texts(value: Any) -> Any:
    if isinstance(value, str):
        return MASK if value else value
    if isinstance(value, dict):
        return {key: item if key == "type" else _without_texts(item) for key, item in value.items()}
    return [_without_texts(item) for item in value] if isinstance(value, list) else value


@functools.lru_cache(4096)
def _kind(name: str) -> _Kind:
    if name in _SCHEMAS:
        return _Kind.SCHEMAS
    plain = _APPENDED.sub("", re.sub(r"[^a-z0-9]+", "", name.lower()))
    if plain in _OTHER_TOKENS or plain.endswith("tokens"):
        return _Kind.OTHER
    if plain.endswith(_CONTAINERS) or (plain.endswith("s") and plain[:-1].endswith(_ENDINGS)):
        return _Kind.CREDENTIALS
    return _Kind.CREDENTIAL if plain in _NAMES or plain.endswith(_ENDINGS) else _Kind.OTHER


def _scrubbed(value: Any) -> Any:
    from ainsights._privacy.key_patterns import api_key  # noqa: PLC0415  costs milliseconds, and errors are rare

    if isinstance(value, str):
        return api_key(value)
    if isinstance(value, dict):
        return {key: _scrubbed(item) for key, item in value.items()}
    return [_scrubbed(item) for item in value] if isinstance(value, list) else value


class SecretMask:
    """Masks one key in encoded events, also as JSON, URL or HTML encoders wrote it within a text.

    Encoders leave letters and digits as they are: the longest run of them is searched for, which is fast, and the whole
    key around it, in all its forms.

    Args:
        key: the key; None if there is none.
    """

    def __init__(self, key: str | None) -> None:
        fit = key is not None and len(key) >= _SHORTEST and any(each.isalpha() for each in key)
        self._key = key if key is not None and fit else ""
        self._encoded = json.dumps(self._key)[1:-1].encode()
        self._run = max(_RUN.findall(self._key), key=len, default="")
        self._run_at = self._key.find(self._run)

    def __call__(self, body: bytes) -> bytes:
        """Return the encoded insight ``body`` without the key."""
        if not self._key:
            return body
        if self._encoded in body:
            body = body.replace(self._encoded, MASK.encode())
        if len(self._run) >= _SHORTEST_RUN and self._run != self._key and self._run.encode() in body:
            return self._without_spellings(body)
        return body

    def _without_spellings(self, body: bytes) -> bytes:
        run, pieces, end = self._run.encode(), [], 0
        before = LONGEST_SPELLING * self._run_at
        after = LONGEST_SPELLING * (len(self._key) - self._run_at)
        at = body.find(run)
        while at >= 0:
            start = max(end, at - before)
            found = spellings(self._key).search(body[start : at + after].decode("latin-1"))
            next_at = at + len(run)
            if found is not None:
                pieces += [_without_half_escape(body[end : start + found.start()]), MASK.encode()]
                end = next_at = start + found.end()
            at = body.find(run, next_at)
        return b"".join([*pieces, body[end:]])


def _without_half_escape(text: bytes) -> bytes:
    """Return ``text``, of JSON, without a backslash at its end that is the beginning of an escape."""
    return text[:-1] if (len(text) - len(text.rstrip(b"\\"))) % 2 else text
