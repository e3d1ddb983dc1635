from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.serving import bodies, event_ids

from ainsights.mock_openai import serving
from ainsights.server import Options, running

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import concurrent.futures, sys
import ainsights
ainsights.instrument()
import openai

CALLS = int(sys.argv[2])
client = openai.OpenAI(base_url=sys.argv[1], api_key="sk-test", max_retries=0)

def call(number):
    kind = number % 10
    stream = kind < 2
    answer = client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": str(number)}], stream=stream
    )
    return sum(1 for _ in answer) if stream else answer.id

with concurrent.futures.ThreadPoolExecutor(4) as pool:
    answered = sum(1 for each in pool.map(call, range(CALLS)) if each)
print(answered)
"""


@pytest.mark.parametrize("calls", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_each_of_many_calls_is_stored_once(calls: int, tmp_path: Path) -> None:
    database = tmp_path / "insights.db"
    with serving() as model_api, running(Options(database)) as endpoint:
        environment = {"AINSIGHTS_BASE_URL": endpoint.url, "AINSIGHTS_API_KEY": endpoint.api_key}
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, model_api.base_url, str(calls)],
            env=os.environ | environment | {"AINSIGHTS_EXIT_TIMEOUT": "60"},
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"{calls}\n", "")
    assert len(set(event_ids(database))) == calls
    assert len({json.loads(body)["messages"][0]["content"] for body in bodies(database)}) == calls
