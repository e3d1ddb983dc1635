"""A program with two instrumentations, ours and another, that calls, undoes both, and calls again.

python program.py BASE_URL FRAMEWORK FIRST UNDONE_FIRST

FIRST and UNDONE_FIRST are ``ours`` or ``theirs``; with FIRST ``alone``, ours never comes.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

import loopback  # noqa: F401  before anything else
import openai
from forms import (
    FAILING,
    async_left_early,
    async_parsed,
    async_streamed,
    asynchronous,
    client,
    left_early,
    managed,
    parsed,
    plain,
    raw,
    run,
    streamed,
    streaming_response,
)
from openai import _base_client

import ainsights

FRAMEWORK, FIRST, UNDONE_FIRST = sys.argv[2:]
OTHER = {"ours": "theirs", "theirs": "ours"}
company: Any = import_module(f"with_{FRAMEWORK}")

START = {"ours": ainsights.instrument, "theirs": company.start}
UNDO = {"ours": ainsights.uninstrument, "theirs": company.stop}


def seams() -> list[Any]:
    base = _base_client
    return [
        base.SyncAPIClient.request,
        base.AsyncAPIClient.request,
        base.BaseClient._build_request,
        base.SyncAPIClient._process_response,
        base.AsyncAPIClient._process_response,
    ]


def tell(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


older = client()
older_method = older.chat.completions.create
before = seams()

for who in ["theirs"] if FIRST == "alone" else [FIRST, OTHER[FIRST]]:
    if who == "ours":
        before = seams()
    START[who]()

run(
    plain=plain,
    streamed=streamed,
    asynchronous=asynchronous,
    async_streamed=async_streamed,
    with_usage=lambda text: streamed(text, stream_options={"include_usage": True}),
    tools=lambda text: plain(text, model="scripted:tools"),
    tools_streamed=lambda text: streamed(text, model="scripted:tools"),
    parsed=parsed,
    async_parsed=async_parsed,
    managed=managed,
    raw=raw,
    streaming_response=streaming_response,
    older_client=lambda text: older.chat.completions.create(model="m", messages=[{"role": "user", "content": text}]),
    older_method=lambda text: older_method(model="m", messages=[{"role": "user", "content": text}]),
    left_early=left_early,
    async_left_early=async_left_early,
    failed=lambda text: plain(text, model=FAILING),
    failed_streamed=lambda text: streamed(text, model=FAILING),
    async_failed=lambda text: asynchronous(text, model=FAILING),
)
tell(records=company.records())

if FIRST != "alone":
    UNDO[UNDONE_FIRST]()
    tell(restored_at_first=seams() == before)
    run(**{"one_undone": plain, "async_one_undone": asynchronous})
    tell(records_with_one_undone=len(company.records()))

    UNDO[OTHER[UNDONE_FIRST]]()
    tell(restored=seams() == before)
    run(**{"both_undone": plain, "async_both_undone": asynchronous, "both_undone_streamed": streamed})
    tell(records_with_both_undone=len(company.records()))

    ainsights.instrument()
    run(**{"again": plain, "async_again": asynchronous, "again_streamed": streamed})
    tell(records_in_the_end=len(company.records()), failures=dict(ainsights.stats().failures))
