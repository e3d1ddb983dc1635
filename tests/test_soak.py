from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parent.parent / "benchmarks" / "soak.py"


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads and files by /proc")
def test_each_of_many_mixed_calls_arrives_once_and_nothing_is_left_over() -> None:
    args = [sys.executable, str(SOAK), "--calls", "2000"]
    ran = subprocess.run(args, capture_output=True, text=True, timeout=100, check=False)
    lines = ran.stdout.splitlines()

    assert ran.returncode == 0, ran
    assert "expected: 2000, {'ok': 1540, 'error': 400, 'abandoned': 60}" in lines
    assert any(line.startswith("arrived: 2000, 2000 distinct, ") for line in lines), ran
    assert lines[-1] == "exact, and nothing left over"
