"""The pytest plugin of ainsights: the fixture ``insights``.

It stands beside the package, not in it: pytest loads it in every run, also in a project whose own ``ainsights.py``
hides the package. There the fixture fails, with advice, and nothing else does.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ainsights.testing import Captured


@pytest.fixture
def insights() -> Iterator[Captured]:
    """The insights of the calls of models that the test makes; nothing is sent anywhere."""
    try:
        from ainsights.testing import capture  # noqa: PLC0415  a test run that does not use it does not pay for it
    except ImportError as error:
        spec = find_spec("ainsights")
        if spec is None or error.name not in {"ainsights", "ainsights.testing"}:
            raise
        pytest.fail(
            f"the fixture 'insights' comes from the package ainsights, which {spec.origin} hides. Rename that file.",
            pytrace=False,
        )
    with capture() as captured:
        yield captured
