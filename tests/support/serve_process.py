"""Runs ``ainsights serve`` in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODE = """
import sys
{before}
from ainsights._cli import main
raise SystemExit(main(sys.argv[1:]))
"""


@contextmanager
def started(command: list[str], **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run an endpoint; yield the process, and what it printed when it was ready."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=os.environ | environment) as process:
        try:
            assert process.stdout
            printed = ""
            for line in process.stdout:
                printed += line
                if "Ctrl-C" in line:
                    break
            yield process, printed
        finally:
            process.kill()


@contextmanager
def serving(
    database: Path, *options: str, before: str = "", **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command on a free port, after the statement ``before``; yield the process and its URL."""
    code = CODE.format(before=before)
    command = [sys.executable, "-c", code, "serve", "--port", "0", "--db", str(database), *options]
    with started(command, **environment) as (process, printed):
        found = re.search(r"http://\S+:\d+", printed)
        assert found, process.stderr and process.stderr.read()
        yield process, found[0]
