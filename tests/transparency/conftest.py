from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.relay import relay
from support.twice import World

from ainsights.mock_openai import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def model_api() -> Iterator[World]:
    with serving() as server, relay(int(server.url.rpartition(":")[2])) as between:
        yield World(server, between, is_async=False)


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def world(request: pytest.FixtureRequest, model_api: World) -> World:
    return World(model_api.server, model_api.relay, is_async=request.param)
