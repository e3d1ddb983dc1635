from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parent.parent / "benchmarks" / "soak.py"


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads and files by /proc")
@pytest.mark.parametrize("calls", [500, pytest.param(2000, marks=pytest.mark.slow)])
def test_each_of_many_mixed_calls_arrives_once_and_nothing_is_left_over(calls: int) -> None:
    args = [sys.executable, str(SOAK), "--calls", str(calls)]
    ran = subprocess.run(args, capture_output=True, text=True, timeout=100, check=False)
    lines = ran.stdout.splitlines()

    assert ran.returncode == 0, ran
    ok, error, abandoned = calls * 77 // 100, calls // 5, calls * 3 // 100
    assert f"expected: {calls}, {{'ok': {ok}, 'error': {error}, 'abandoned': {abandoned}}}" in lines
    assert any(line.startswith(f"arrived: {calls}, {calls} distinct, ") for line in lines), ran
    assert lines[-1] == "exact, and nothing left over"
