"""Runs the programs of this directory, in processes of their own that reach nothing but loopback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent

SILENT = {
    "ANONYMIZED_TELEMETRY": "false",
    "DO_NOT_TRACK": "1",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "LOGFIRE_SEND_TO_LOGFIRE": "false",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "OTEL_METRICS_EXPORTER": "none",
    "SCARF_NO_ANALYTICS": "true",
    "TRACELOOP_TELEMETRY": "false",
}
"""What keeps frameworks from reporting home."""

FOREIGN = ("AINSIGHTS_", "REQUESTY_", "OPENAI_", "AZURE_", "OTEL_", "LANGFUSE_", "SENTRY_", "LOGFIRE_", "LANGSMITH_")
"""Prefixes of the variables that a program must not inherit."""


class ProgramResult(NamedTuple):
    """The observable behaviour of a program: the result of each form of call, and its stderr."""

    status: int
    got: dict[str, Any]
    err: str


def launch(program: str, *args: str, **environ: str) -> ProgramResult:
    """Run ``program``, which prints a JSON object in a line for each result."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    ran = subprocess.run(
        [sys.executable, str(HERE / program), *args],
        env=inherited | SILENT | {"PYTHONPATH": str(HERE), "PYTHONHASHSEED": "0"} | environ,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    got: dict[str, Any] = {}
    for line in ran.stdout.splitlines():
        if line.startswith("{"):
            got |= json.loads(line)
    return ProgramResult(ran.returncode, got, steady(ran.stderr))


def steady(text: str) -> str:
    """Return ``text`` without what differs from one run to the next: addresses, process ids and the time."""
    return re.sub(r"0x[0-9a-f]+|\b\d\d:\d\d:\d\d(?:[.,]\d+)?|==\d+==", "…", text)
