from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.endpoints import Endpoint, running_endpoint

from ainsights.mock_openai import Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def model_api() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running_endpoint() as endpoint:
        yield endpoint
