"""Bodies that are not ours: every column of the body comes back through the API."""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from support.requesty_forms import MESSAGES, RESPONSE
from support.serving import KEY, Client

if TYPE_CHECKING:
    from ainsights.server import Endpoint

CURL_BODY = """{
  "template": "Summarise {text} for {reader}.",
  "inputs": {"text": "the report", "reader": "a child"},
  "messages": [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Summarise the report, see https://example.com/report."}
  ],
  "args": {"model": "gpt-4o", "stream": true, "temperature": 0.2},
  "response": {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1750000000, "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": "Gladly.",
      "tool_calls": [{"id": "c", "type": "function", "function": {"name": "read_report", "arguments": "{}"}}]}}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "cost": 0.25,
      "prompt_tokens_details": {"cached_tokens": 400}, "completion_tokens_details": {"reasoning_tokens": 60}}
  },
  "meta": {"release": "1.4", "team": "search", "tags": ["beta"], "session_id": "s-1", "nested": {"depth": 2}},
  "user_id": "ann"
}"""
CURL_COLUMNS = {
    "model": "gpt-4o-2024-08-06",
    "user": "ann",
    "status": "ok",
    "finish": "tool_calls",
    "release": "1.4",
    "conversation": "s-1",
    "stream": True,
    "tokens": 1100,
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "cached_tokens": 400,
    "reasoning_tokens": 60,
    "cost": 0.25,
    "tool": ["read_report"],
    "input": ["reader", "text"],
    "url": ["https://example.com/report"],
    "tag": ["beta"],
    "question": "Summarise the report, see https://example.com/report.",
    "answer": "Gladly.",
    "latency": None,
    "error": None,
}


def only_item(endpoint: Endpoint, **filters: Any) -> dict[str, Any]:
    with Client(endpoint) as client:
        (item,) = client.listed(**filters)["items"]
        return dict(item)


def test_body_from_curl_fills_every_column_that_it_has(endpoint: Endpoint) -> None:
    command = ["curl", "--silent", "--noproxy", "*", "-X", "PUT", f"{endpoint.url}/insight", "-d", CURL_BODY]
    headers = ["-H", f"Authorization: Bearer {KEY}", "-H", "Content-Type: application/json"]
    answer = subprocess.run([*command, *headers], capture_output=True, check=True, timeout=60).stdout
    assert answer == b'{"success":true}'

    item = only_item(endpoint)
    assert {name: item[name] for name in CURL_COLUMNS} == CURL_COLUMNS
    assert item["template"]
    with Client(endpoint) as client:
        event = client.ask("GET", f"/insights/{item['id']}").json
    assert event["meta"].items() >= {"team": "search", "nested.depth": "2", "session_id": "s-1"}.items()


def test_every_column_that_a_body_has_can_be_queried(endpoint: Endpoint) -> None:
    with Client(endpoint) as client:
        client.put(CURL_BODY.encode())

    words = "user:ann tool:read_report tag:beta url:https* meta.nested.depth:2 tokens>1000 cost:0.25 stream:true report"
    assert only_item(endpoint, q=words)["user"] == "ann"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its own
@pytest.mark.skipif(find_spec("requestyai") is None, reason="nox -s requesty installs it")
def test_body_of_the_vendor_sdk_fills_every_column_that_it_has(endpoint: Endpoint) -> None:
    from requestyai import AInsights  # noqa: PLC0415  not installed everywhere

    client = AInsights.new_client(api_key=KEY, base_url=endpoint.url)
    sent = client.capture(
        response=RESPONSE,
        messages=MESSAGES,
        template="Hi {name}",
        inputs={"name": "Ann"},
        args={"model": "m"},
        meta={"class": "Search assistant"},
        user_id="ann",
    )
    assert sent.result(20).status_code == 200
    client.close()

    item = only_item(endpoint, **{"meta.class": "Search assistant"})
    expected = {"model": "m", "user": "ann", "status": "ok", "finish": "stop", "question": "hi", "answer": "hello"}
    assert item.items() >= (expected | {"input": ["name"]}).items()
    assert item["template"]
