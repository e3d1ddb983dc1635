from __future__ import annotations

import json
from typing import Any

import pytest

from ainsights.server.events import Event, build_event

USAGE = {"prompt_tokens": 1_000_000, "completion_tokens": 100_000}


def event(
    model: str | None = "gpt-4o", base_url: str | None = None, timestamp: str = "2025-06-01T00:00:00Z", **usage: Any
) -> Event:
    body = {
        "response": {"model": model, "usage": USAGE | usage},
        "meta": {"ainsights.timestamp": timestamp} | ({"ainsights.base_url": base_url} if base_url else {}),
    }
    return build_event(1, "x", 0, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        ({"cost": 0.25}, 0.25),
        ({"cost": 0}, 0.0),
        ({"cost": {"total_cost": 0.5, "input_tokens_cost": 0.1}}, 0.5),
    ],
)
def test_the_cost_is_what_the_response_states(usage: dict[str, Any], dollars: float) -> None:
    found = event(**usage)
    assert (found.cost, found.cost_source) == (dollars, "response")


def test_the_cost_is_calculated_from_the_price_list() -> None:
    assert event().cost == pytest.approx(2.5 + 1.0)


def test_cached_tokens_are_charged_at_their_price() -> None:
    assert event(prompt_tokens_details={"cached_tokens": 400_000}).cost == pytest.approx(1.5 + 0.5 + 1.0)


def test_the_source_of_a_calculated_cost_names_the_list_and_the_date_of_the_price() -> None:
    source = event(timestamp="2025-06-01T23:00:00Z").cost_source
    assert source is not None
    assert source.startswith("genai-prices ")
    assert source.endswith(", 2025-06-01")


def test_the_price_is_the_one_in_force_when_the_call_began() -> None:
    before, after = (
        event("o3", timestamp="2025-06-09T00:00:00Z").cost,
        event("o3", timestamp="2025-06-11T00:00:00Z").cost,
    )
    assert before == pytest.approx(10 + 4)
    assert after == pytest.approx(2 + 0.8)


def test_a_router_names_the_vendor_in_the_model() -> None:
    assert event("openai/gpt-4o", base_url="https://router.example/v1").cost == pytest.approx(3.5)


def test_a_price_in_tiers_depends_on_the_size_of_the_prompt() -> None:
    small, large = (
        event("gemini-2.5-pro", prompt_tokens=tokens, completion_tokens=0).cost for tokens in (100_000, 400_000)
    )
    assert small is not None
    assert large == pytest.approx(small * 8)


@pytest.mark.parametrize(
    ("model", "base_url"),
    [
        ("no-such-model", None),
        (None, None),
        ("gpt-4o", "http://localhost:8000/v1"),
        ("gpt-4o/", None),
        ("/gpt-4o", None),
    ],
)
def test_an_unknown_cost_stays_unknown(model: str | None, base_url: str | None) -> None:
    assert event(model, base_url).cost is None


def test_a_cost_without_tokens_is_unknown() -> None:
    assert event(completion_tokens=None).cost is None
