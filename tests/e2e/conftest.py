from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.endpoints import Endpoint, endpoint

from ainsights.mock_openai import Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def model_api() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def it() -> Iterator[Endpoint]:
    with endpoint() as it:
        yield it
