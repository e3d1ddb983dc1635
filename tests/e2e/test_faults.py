"""The fault benchmark (``make faults``) at its small size, and, among the slow proofs, at its full one."""

from __future__ import annotations

import pytest
from faultbench.__main__ import scenarios
from faultbench.row import FULL, SMALL

PROOFS = {f"{name}-small": run for name, run in scenarios(SMALL, 0.0)}
FULL_PROOFS = {f"{name}-full": run for name, run in scenarios(FULL, 0.0)}


@pytest.mark.parametrize("name", [*PROOFS, *(pytest.param(name, marks=pytest.mark.slow) for name in FULL_PROOFS)])
@pytest.mark.timeout(400)
def test_promise_holds(name: str) -> None:
    row = (PROOFS | FULL_PROOFS)[name]()
    assert row.made > 0
    assert row.broken == []
