"""What a call cost: by the response, else by the price list of genai-prices. Unknown stays unknown."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timezone
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

from ainsights.server.events.reading import as_dict, as_number
from ainsights.server.events.times import MICROSECOND

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

    from ainsights.server.events.usage import Usage

_ALWAYS, _DAY, _QUARTER_HOUR = 2**62, 86_400, 900
_MILLION = 1e6


class Cost(NamedTuple):
    """US dollars, and where they come from: ``response``, or the price list and the date of the price."""

    dollars: float
    source: str


class _Rates(NamedTuple):
    """Dollars per million tokens. Without them (a price in tiers) the price list calculates each call."""

    prompt: float | None
    cached: float
    completion: float


def cost_of(response: dict[str, Any], usage: Usage, model: str | None, base_url: str | None, time: int) -> Cost | None:
    """Return the cost of a call that began at ``time``, in microseconds since the epoch; None if it is unknown.

    Args:
        response: the chat completion.
        usage: its tokens.
        model: the model that answered.
        base_url: of the model API. A host that the price list doesn't know may charge anything, unless the model's name
            names it (``openai/gpt-4o``, as routers write it); without a URL, the model's name decides.
        time: prices change; the one in force then counts.
    """
    stated = _stated(response)
    if stated is not None:
        return Cost(stated, "response")
    if not model or usage.prompt is None or usage.completion is None:
        return None
    period = _period(model, base_url)
    if not period:
        return None
    second = time // MICROSECOND
    rates = _rates(model, base_url, second // period * period)
    if not rates:
        return None
    source = f"genai-prices {_version()}, {_day(second // _DAY)}"
    cached = min(usage.cached or 0, usage.prompt)
    if rates.prompt is None:
        tiered = _look_up(model, base_url, second, (usage.prompt, cached, usage.completion))
        return Cost(float(tiered.total_price), source) if tiered else None
    uncached = usage.prompt - cached
    dollars = (uncached * rates.prompt + cached * rates.cached + usage.completion * rates.completion) / _MILLION
    return Cost(dollars, source)


def _stated(response: dict[str, Any]) -> float | None:
    """Return the cost that a router or vendor states: OpenRouter, Requesty, Perplexity and LiteLLM do."""
    usage = as_dict(response.get("usage"))
    for cost in (usage.get("cost"), response.get("cost")):
        number = as_number(cost.get("total_cost") if isinstance(cost, dict) else cost)
        if number is not None:
            return number
    return None


@lru_cache(4096)
def _period(model: str, base_url: str | None) -> int | None:
    """Return for how many seconds a price of the model holds at least; None if the price list doesn't know the model.

    A lookup takes some 50 microseconds, and a millisecond for an unknown model.
    """
    calculated = _look_up(model, base_url, 0, (1000, 0, 1000))
    if not calculated:
        return None
    prices = calculated.model.prices
    if not isinstance(prices, list):
        return _ALWAYS
    return _QUARTER_HOUR if any(hasattr(price.constraint, "start_time") for price in prices) else _DAY


@lru_cache(16384)
def _rates(model: str, base_url: str | None, second: int) -> _Rates | None:
    calculated = _look_up(model, base_url, second, (1000, 0, 1000))
    if not calculated:
        return None
    prices = calculated.model_price
    prompt, cached, completion = (
        getattr(prices, name, None) for name in ("input_mtok", "cache_read_mtok", "output_mtok")
    )
    if any(hasattr(price, "tiers") for price in (prompt, cached, completion)):
        return _Rates(None, 0, 0)
    if prompt is None or completion is None:
        return None
    return _Rates(float(prompt), float(prompt if cached is None else cached), float(completion))


def _look_up(model: str, base_url: str | None, second: int, tokens: tuple[int, int, int]) -> PriceCalculation | None:
    """Return the price of these prompt, cached and completion tokens."""
    from genai_prices import Usage, calc_price  # noqa: PLC0415  110 ms, and only where no response states its cost

    usage = Usage(input_tokens=tokens[0], cache_read_tokens=tokens[1], output_tokens=tokens[2])
    at = datetime.fromtimestamp(second, timezone.utc)
    with suppress(LookupError, ValueError):  # it doesn't know the model, or has no price for this kind of use
        return calc_price(usage, model_ref=model, provider_api_url=base_url, genai_request_timestamp=at)
    vendor, _, name = model.partition("/")
    with suppress(LookupError, ValueError):
        return calc_price(usage, model_ref=name, provider_id=vendor, genai_request_timestamp=at) if name else None
    return None


@lru_cache(1024)
def _day(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY, timezone.utc).date().isoformat()


@lru_cache(1)
def _version() -> str:
    return version("genai-prices")
