from __future__ import annotations

from typing import TYPE_CHECKING

import openai
import pytest

from ainsights import mock_openai

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[mock_openai.Server]:
    with mock_openai.serving() as server:
        yield server


@pytest.fixture
def client(server: mock_openai.Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="key", max_retries=0, timeout=10) as client:
        yield client
