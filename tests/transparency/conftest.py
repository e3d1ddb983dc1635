from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.comparison import World
from support.relay import relay

from ainsights.mock_openai import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def model_api() -> Iterator[World]:
    with serving() as server, relay(int(server.url.rpartition(":")[2])) as between:
        yield World(server, between, is_async=False)


HAS_RESPONSES = importlib.util.find_spec("openai.types.responses") is not None


@pytest.fixture(params=["chat", "responses"])
def api(request: pytest.FixtureRequest) -> str:
    if request.param == "responses" and not HAS_RESPONSES:
        pytest.skip("this openai has no Responses API")
    return str(request.param)


@pytest.fixture
def either(world: World, api: str) -> World:
    """A world whose ``create`` calls one API or the other."""
    return replace(world, opened=[], api=api)


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def world(request: pytest.FixtureRequest, model_api: World) -> World:
    return World(model_api.server, model_api.relay, is_async=request.param)
