"""A program with two instrumentations, ours and another, that calls, undoes both, and calls again.

python program.py BASE_URL FRAMEWORK FIRST UNDONE_FIRST

FIRST and UNDONE_FIRST are ``ours`` or ``theirs``. With FIRST ``alone``, ours never comes, and all else is the same.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

import loopback  # noqa: F401  before anything else
from forms import (
    FAILING,
    async_left_early,
    async_parsed,
    async_response,
    async_response_streamed,
    async_streamed,
    asynchronous,
    left_early,
    managed,
    older,
    older_method,
    parsed,
    plain,
    raw,
    response,
    response_left_early,
    response_managed,
    response_parsed,
    response_streamed,
    retried,
    run,
    settle,
    streamed,
    streaming_response,
)
from openai import _base_client

import ainsights

FRAMEWORK, FIRST, UNDONE_FIRST = sys.argv[2:]
OTHER = {"ours": "theirs", "theirs": "ours"}
company: Any = import_module(f"with_{FRAMEWORK}")


def instrument() -> None:
    if FIRST != "alone":
        ainsights.instrument()


START = {"ours": instrument, "theirs": company.start}
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


def report(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def records() -> list[str]:
    settle()
    return sorted(json.dumps(record, sort_keys=True) for record in company.records())


before = seams()

for who in [FIRST, OTHER[FIRST]] if FIRST != "alone" else ["theirs"]:
    if who == "ours":
        before = seams()
    START[who]()

run(
    plain=plain,
    streamed=streamed,
    asynchronous=asynchronous,
    async_streamed=async_streamed,
    with_usage=lambda text: streamed(text, stream_options={"include_usage": True}),
    tools=lambda text: plain(text, model="mock:tools"),
    tools_streamed=lambda text: streamed(text, model="mock:tools"),
    parsed=parsed,
    async_parsed=async_parsed,
    managed=managed,
    raw=raw,
    retried=retried,
    streaming_response=streaming_response,
    older_client=lambda text: older.chat.completions.create(model="m", messages=[{"role": "user", "content": text}]),
    older_method=lambda text: older_method(model="m", messages=[{"role": "user", "content": text}]),
    left_early=left_early,
    async_left_early=async_left_early,
    failed=lambda text: plain(text, model=FAILING),
    failed_streamed=lambda text: streamed(text, model=FAILING),
    async_failed=lambda text: asynchronous(text, model=FAILING),
    response=response,
    response_streamed=response_streamed,
    async_response=async_response,
    async_response_streamed=async_response_streamed,
    response_tools=lambda text: response(text, model="mock:tools,reasoning,output=web_search_call"),
    response_tools_streamed=lambda text: response_streamed(text, model="mock:tools,reasoning,output=web_search_call"),
    response_parsed=response_parsed,
    response_managed=response_managed,
    response_left_early=response_left_early,
    response_failed=lambda text: response(text, model=FAILING),
    async_response_failed=lambda text: async_response(text, model=FAILING),
)
report(records=records())

UNDO[UNDONE_FIRST]()
report(restored_at_first=seams() == before)
run(one_undone=plain, async_one_undone=asynchronous)
report(records_with_one_undone=records())

UNDO[OTHER[UNDONE_FIRST]]()
report(restored=seams() == before)
run(both_undone=plain, async_both_undone=asynchronous, both_undone_streamed=streamed, response_both_undone=response)
report(records_with_both_undone=records())

instrument()
run(again=plain, async_again=asynchronous, again_streamed=streamed, response_again=response)
report(records_in_the_end=records(), failures=dict(ainsights.stats().failures))
