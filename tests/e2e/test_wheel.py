"""What a user installs, which is not laid out as a checkout is."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_demo_of_the_wheel_runs_the_packaged_quickstart(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)

    environ = os.environ | {"PYTHONPATH": str(installed), "COLUMNS": "140"}
    demo = subprocess.run(
        [sys.executable, "-m", "ainsights", "demo"],
        check=False,
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
    )

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stderr == ""
    assert "Running quickstart.py" in demo.stdout
