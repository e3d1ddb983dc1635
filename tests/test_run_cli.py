"""``ainsights run``: what it puts into the environment of a command, and what it prints where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ainsights._cli.run import AUTOLOAD, instrumented

if TYPE_CHECKING:
    from pathlib import Path

HOOK, SEP = str(AUTOLOAD), os.pathsep


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", [HOOK]),
        ("theirs", [HOOK, "theirs"]),
        (SEP.join(["a", "b"]), [HOOK, "a", "b"]),
        (HOOK, [HOOK]),
        (SEP.join(["a", HOOK, "b"]), [HOOK, "a", "b"]),
    ],
)
def test_hook_is_once_and_first_on_the_path(before: str, after: list[str]) -> None:
    assert instrumented({"PYTHONPATH": before})["PYTHONPATH"].split(SEP) == after


@pytest.mark.parametrize("theirs", [SEP + "a", "a" + SEP, "a" + SEP * 2 + "b", SEP])
def test_empty_entry_is_kept_since_it_is_the_current_directory(theirs: str) -> None:
    assert instrumented({"PYTHONPATH": theirs})["PYTHONPATH"] == HOOK + SEP + theirs


def test_rest_of_the_environment_is_kept() -> None:
    assert instrumented({"A": "1"}) == {"A": "1", "PYTHONPATH": HOOK}


def test_hook_is_the_only_file_in_its_directory() -> None:
    assert [path.name for path in AUTOLOAD.iterdir() if path.name != "__pycache__"] == ["sitecustomize.py"]


# Wrong usage


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        (["no-such-command"], 127, "no-such-command: command not found"),
        (["app.py/more"], 127, "app.py/more: command not found"),
        (["./no-interpreter"], 127, "./no-interpreter: its interpreter is not found"),
        (["no-interpreter"], 127, "no-interpreter: its interpreter is not found"),
        (["./app.py"], 126, "./app.py: cannot be executed: Permission denied"),
        (["app.py"], 126, "Did you mean: ainsights run python app.py"),
        ([], 2, "choose a command, for example: ainsights run python app.py"),
        (["--"], 2, "choose a command"),
        ([""], 2, "choose a command"),
        (["-m", "package", "--its-own", "a b"], 2, "Did you mean: ainsights run python -m package --its-own 'a b'"),
        (["-c", "print()"], 2, "Did you mean: ainsights run python -c 'print()'"),
        (["-u", "app.py"], 2, "Did you mean: ainsights run python -u app.py"),
        (["--no-such-option", "app.py"], 2, "unrecognized arguments: --no-such-option"),
    ],
)
def test_wrong_usage_is_reported(tmp_path: Path, command: list[str], status: int, message: str) -> None:
    (tmp_path / "app.py").write_text("")
    (tmp_path / "no-interpreter").write_text("#!/no/such/interpreter\n")
    (tmp_path / "no-interpreter").chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "ainsights", "run", *command],
        cwd=tmp_path,
        env=os.environ | {"AINSIGHTS_ENABLED": "0", "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr
