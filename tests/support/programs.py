"""Runs user programs in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from typing import NamedTuple

MODEL = """
import openai
try:
    import httpx2 as http
    http.Client and openai._base_client.httpx2
except (ImportError, AttributeError):
    import httpx as http

COMPLETION = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
}
MESSAGES = [{"role": "user", "content": "hi"}]

def answer(request):
    return http.Response(200, json=COMPLETION, headers={"x-request-id": "r1"})

def client():
    return openai.OpenAI(api_key="sk-model", http_client=http.Client(transport=http.MockTransport(answer)))

def call(**kwargs):
    return client().chat.completions.create(model="m", messages=MESSAGES, **kwargs)
"""
"""A model API in memory, for programs that are about delivery: on openai 3.x over httpx2, before over httpx."""


class ProgramResult(NamedTuple):
    status: int
    out: str
    err: str
    seconds: float


def run(program: str, *args: str, timeout: float = 60, **environ: str) -> ProgramResult:
    """Run ``program`` after :data:`MODEL`, with ``environ`` on top of the environment."""
    began = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-c", MODEL + textwrap.dedent(program), *args],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return ProgramResult(ran.returncode, ran.stdout, ran.stderr, time.monotonic() - began)


def settings(url: str, **more: str) -> dict[str, str]:
    """Return the environment that sends insights to ``url``."""
    return {"AINSIGHTS_BASE_URL": url, "AINSIGHTS_API_KEY": "key"} | {
        f"AINSIGHTS_{k.upper()}": v for k, v in more.items()
    }
