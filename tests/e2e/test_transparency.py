from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from support.cases import CASES
from support.endpoints import Endpoint, running_endpoint
from support.programs import settings
from support.relay import relay

from ainsights.mock_openai import serving

PROGRAM = Path(__file__).parents[1] / "support" / "user_program.py"


class Seen(NamedTuple):
    """What there is to see of one run, from the program's side and from the model API's."""

    status: int
    out: str
    err: str
    sent: list[bytes]


class Runs(NamedTuple):
    bare: Seen
    ours: Seen
    endpoint: Endpoint


def run(*args: str, **environ: str) -> Seen:
    with serving() as server, relay(int(server.url.rpartition(":")[2])) as between:
        base_url = f"http://127.0.0.1:{between.port}/v1"
        environment = os.environ | environ | {"PYTHONWARNINGS": "always", "PYTHONHASHSEED": "0"}
        ran = subprocess.run(
            [sys.executable, str(PROGRAM), base_url, *args],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )
        sent = [bytes(each).replace(str(between.port).encode(), b"PORT") for each in between.sent]
        return Seen(ran.returncode, *(steady(text, between.port) for text in (ran.stdout, ran.stderr)), sent)


def steady(text: str, port: int) -> str:
    """Return ``text`` without what differs from one run to the next: the port, and addresses in memory."""
    return re.sub(r"(?<=scope )[0-9a-f]+|0x[0-9a-f]+", "ADDRESS", text.replace(str(port), "PORT"))


@pytest.fixture(scope="module")
def runs() -> Runs:
    with running_endpoint() as endpoint, ThreadPoolExecutor() as pool:
        bare = pool.submit(run)
        ours = run("instrument", **settings(endpoint.url))
        return Runs(bare.result(), ours, endpoint)


def test_program_prints_the_same(runs: Runs) -> None:
    assert runs.bare.status == 0
    assert len(runs.bare.out.splitlines()) > 4 * len(CASES)
    assert runs.ours.out.splitlines() == runs.bare.out.splitlines()


def test_program_emits_the_same_warnings_and_errors(runs: Runs) -> None:
    assert runs.ours.err == runs.bare.err


def test_model_api_receives_the_same_bytes_over_as_many_connections(runs: Runs) -> None:
    assert len(runs.bare.sent) > 1
    assert runs.ours.sent == runs.bare.sent


def test_each_case_is_one_event(runs: Runs) -> None:
    questions = Counter(body["messages"][0]["content"] for body in runs.endpoint.stored)
    assert questions == {case.arguments()["messages"][0]["content"]: 2 for case in CASES}


def test_each_case_has_the_status_of_its_call(runs: Runs) -> None:
    recorded = {(body["messages"][0]["content"], body["meta"]["ainsights.status"]) for body in runs.endpoint.stored}
    # an answer that openai's client takes for good, though it is no completion, is an error in the record
    odd = {"page", "page, streamed", "nothing, streamed"}
    failed = {case.name for case in CASES if case.fails} | odd
    expected = {
        (case.arguments()["messages"][0]["content"], "error" if case.name in failed else "ok") for case in CASES
    }
    assert recorded == expected
