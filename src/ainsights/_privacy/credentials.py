"""Credentials, which are in no event whatever the settings say. Pure.

Headers are not captured; what is left are keys that a request carries in its body, errors of the model API that repeat
one, and the key of the endpoint itself.
"""

from __future__ import annotations

import json
from typing import Any

from ainsights._model import Insight, MetaKey

MASK = "[api_key]"

_SHORTEST = 12
"""Characters of the shortest key that is looked for in every text; a shorter one may well be a word."""

_CARRIERS = frozenset(
    """access_token api_key apikey api-key auth_token authorization Authorization aws_access_key_id
    aws_secret_access_key aws_session_token azure_ad_token client_secret extra_headers headers vertex_credentials
    x-api-key""".split()  # noqa: SIM905  words read better
)
"""Arguments in which gateways and remote tools take credentials."""


def strip_credentials(insight: Insight) -> Insight:
    """Return ``insight`` without credentials among its arguments and in what the model API said of an error."""
    failed, carries = "error" in insight.response, _carries(insight.args)
    if not failed and not carries:
        return insight
    args, response, meta = insight.args, insight.response, insight.meta
    if carries:
        args = {key: MASK if key in _CARRIERS else _masked(item) for key, item in args.items()}
    if failed:
        response = response | {"error": _scrubbed(response["error"])}
        meta = {key: _scrubbed(item) if key == MetaKey.ERROR_TYPE else item for key, item in meta.items()}
    return Insight.model_construct(**insight.__dict__ | {"args": args, "response": response, "meta": meta})


def _carries(args: dict[str, Any]) -> bool:
    """Tell whether ``args`` have credentials; schemas of tools, where such names are harmless, are deeper."""
    if not _CARRIERS.isdisjoint(args):
        return True
    for value in args.values():
        if isinstance(value, (dict, list)):
            inner = value if isinstance(value, list) else [value]
            if any(isinstance(item, dict) and not _CARRIERS.isdisjoint(item) for item in inner):
                return True
    return False


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(item) if isinstance(item, dict) else item for item in value]
    if isinstance(value, dict):
        return {key: MASK if key in _CARRIERS else item for key, item in value.items()}
    return value


def _scrubbed(value: Any) -> Any:
    from ainsights._privacy.patterns import api_key  # noqa: PLC0415  costs milliseconds, and errors are rare

    if isinstance(value, str):
        return api_key(value)
    if isinstance(value, dict):
        return {key: _scrubbed(item) for key, item in value.items()}
    return [_scrubbed(item) for item in value] if isinstance(value, list) else value


class SecretMask:
    """Masks one key in encoded events.

    Args:
        key: the key; None if there is none.
    """

    def __init__(self, key: str | None) -> None:
        fit = key is not None and len(key) >= _SHORTEST and any(each.isalpha() for each in key)
        self._encoded = json.dumps(key)[1:-1].encode() if fit else b""

    def __call__(self, body: bytes) -> bytes:
        """Return the encoded insight ``body`` without the key."""
        found = self._encoded and self._encoded in body
        return body.replace(self._encoded, MASK.encode()) if found else body
