"""What the programs share: they make calls of several forms and print what each got.

python use_FRAMEWORK.py BASE_URL [instrument]
"""

from __future__ import annotations

import asyncio
import json
import sys
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any

import loopback  # noqa: F401  before anything else
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable

BASE_URL = sys.argv[1]
KEY = "sk-model"
MODEL = "gpt-4o-mini"
FAILING = "mock:status=400"
SHAKY = "mock:status=500,fail=1"
"""The first call fails."""

if "instrument" in sys.argv:
    import ainsights

    ainsights.instrument()


class City(BaseModel):
    """A city of the world."""

    name: str
    people: int


def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


def run(**forms: Callable[[str], Any]) -> None:
    """Call each of ``forms`` with the text of the user; print what it returned or raised."""
    with asyncio.Runner() as runner:
        for name, form in forms.items():
            print(json.dumps({name: _result(form, f"form {name}: Grüezi", runner)}), flush=True)


def _result(form: Callable[[str], Any], text: str, runner: asyncio.Runner) -> str:
    try:
        result = form(text)
        return repr(runner.run(result) if iscoroutine(result) else result)
    except Exception as error:  # noqa: BLE001  whatever the user would see
        return f"raised {type(error).__module__}.{type(error).__qualname__}"
