"""Sentry: replaces ``Completions.create``; it can be switched off, not undone."""

from __future__ import annotations

from typing import Any

import sentry_sdk
from sentry_sdk.integrations.openai import OpenAIIntegration
from sentry_sdk.transport import Transport

VARYING = ("thread.", "gen_ai.response.time_to_first_token")
"""What differs from one run to the next."""

_sent: list[dict[str, Any]] = []


class _Keeping(Transport):
    """Keeps what would be sent."""

    def capture_envelope(self, envelope: Any) -> None:
        _sent.extend(item.payload.json for item in envelope.items if item.payload.json)


def start() -> None:
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        transport=_Keeping(),
        integrations=[OpenAIIntegration()],
        default_integrations=False,
        auto_enabling_integrations=False,
        traces_sample_rate=1.0,
        send_default_pii=True,
    )


def stop() -> None:
    sentry_sdk.init(dsn=None, default_integrations=False, auto_enabling_integrations=False)


def records() -> list[dict[str, Any]]:
    """Return what of each transaction or error is the same in every run.

    The transaction of a stream that was left early is never ended; later calls must be no part of it.
    """
    sentry_sdk.get_current_scope().span = None
    return [_steady(event) for event in _sent]


def _steady(event: dict[str, Any]) -> dict[str, Any]:
    trace = event.get("contexts", {}).get("trace", {})
    kept = {name: event.get(name) for name in ("type", "level", "transaction")}
    data = {name: value for name, value in trace.get("data", {}).items() if not name.startswith(VARYING)}
    return kept | {"op": trace.get("op"), "status": trace.get("status"), "data": data}
