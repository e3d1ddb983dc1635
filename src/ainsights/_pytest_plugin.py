"""The pytest plugin: the fixture ``insights``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ainsights.testing import Captured


@pytest.fixture
def insights() -> Iterator[Captured]:
    """The insights of the chat completions that the test makes; nothing is sent anywhere."""
    from ainsights.testing import capture  # noqa: PLC0415  a test run that does not use it does not pay for it

    with capture() as captured:
        yield captured
