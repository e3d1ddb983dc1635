"""Insight: the wire contract of ``PUT /insight``."""

from __future__ import annotations

import json
import os
import uuid
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticSerializationError, to_json

from ainsights._json import encode_in_steps, is_large


class MetaKey:
    """The keys that ainsights adds to ``meta``. Each is absent when its value is not known."""

    API: Final = "ainsights.api"
    BASE_URL: Final = "ainsights.base_url"
    CHARS: Final = "ainsights.chars"
    CONVERSATION_ID: Final = "ainsights.conversation_id"
    ERROR_TYPE: Final = "ainsights.error_type"
    EVENT_ID: Final = "ainsights.event_id"
    HTTP_STATUS: Final = "ainsights.http_status"
    LATENCY_MS: Final = "ainsights.latency_ms"
    PARTIAL: Final = "ainsights.partial"
    PREVIOUS_RESPONSE_ID: Final = "ainsights.previous_response_id"
    REQUEST_ID: Final = "ainsights.request_id"
    RETRIES: Final = "ainsights.retries"
    SDK: Final = "ainsights.sdk"
    STATUS: Final = "ainsights.status"
    STREAM: Final = "ainsights.stream"
    TEST: Final = "ainsights.test"
    TIMESTAMP: Final = "ainsights.timestamp"
    TRUNCATED: Final = "ainsights.truncated"
    TTFT_MS: Final = "ainsights.ttft_ms"


META_KEYS: Final = frozenset(key for name, key in vars(MetaKey).items() if name.isupper())
"""All keys of :class:`MetaKey`."""

Messages = str | list[str] | list[dict[str, Any]]
"""What a chat completion was asked: one text, several, or message objects."""


class Insight(BaseModel):
    """One chat completion, as it is put on the wire: exactly these seven keys, all of them always.

    Raises:
        pydantic.ValidationError: a field is missing, of another type, or unknown.
    """

    model_config = ConfigDict(extra="forbid")

    response: dict[str, Any]
    messages: Messages | None = None
    template: Messages | None = None
    inputs: dict[str, Any] = Field(default_factory=dict)
    args: dict[str, Any] = Field(default_factory=dict)
    user_id: str | None = None
    meta: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _messages_unless_templated(self) -> Insight:
        if self.messages is None and (self.template is None or "inputs" not in self.model_fields_set):
            raise ValueError("messages may be null only when template and inputs are given")
        return self

    def encode(self) -> bytes:
        """Return the body of ``PUT /insight``: UTF-8 JSON with the seven keys.

        JSON has no NaN and no infinities; they become the strings ``"NaN"``, ``"Infinity"`` and
        ``"-Infinity"``, which openai's models read back as the same floats. Text that UTF-8 cannot
        carry (lone surrogates) is escaped, as it was on the wire.
        """
        body = self.__dict__
        try:
            return encode_in_steps(body) if is_large(body) else to_json(body, inf_nan_mode="strings")
        except PydanticSerializationError:
            return json.dumps(_finite(body), separators=(",", ":"), default=str).encode()


def new_event_id(at: float) -> str:
    """Return a UUIDv7 (RFC 9562): it sorts by ``at``, in seconds since the epoch.

    What follows the milliseconds is chance, so that no two processes share an id, forked ones included.
    """
    value = (int(at * 1000) & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124  NaN is what is not itself
        return {"inf": "Infinity", "-inf": "-Infinity"}.get(str(value), "NaN")
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
