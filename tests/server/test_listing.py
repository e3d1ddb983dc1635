from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.serving import KEY, Client, insight

from ainsights.server import Options, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with running(Options(tmp_path / "insights.db", api_key=KEY)) as endpoint, Client(endpoint) as client:
        yield client


def ids(page: Any) -> list[str]:
    return [item["event_id"] for item in page["items"]]


def at(second: int) -> dict[str, Any]:
    return {"timestamp": f"2025-01-01T00:00:{second:02}Z"}


def test_row_has_the_columns_that_people_ask_by(client: Client) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    meta = {"timestamp": "2025-01-01T01:00:00.5+01:00", "status": "ok", "latency_ms": 12.5}
    client.put(insight("e", response={"model": "gpt-x", "usage": usage}, user_id="Ann", meta=meta))

    expected = {"time": "2025-01-01T00:00:00.500000Z", "model": "gpt-x", "user_id": "Ann", "status": "ok"}
    assert client.listed()["items"][0].items() >= (expected | {"event_id": "e", "latency_ms": 12.5} | usage).items()


def test_model_comes_from_args_where_the_response_has_none(client: Client) -> None:
    client.put(insight(response={}, args={"model": "asked"}))

    assert client.listed()["items"][0]["model"] == "asked"


def test_time_is_that_of_the_receipt_where_the_body_has_none(client: Client) -> None:
    client.put(insight())

    item = client.listed()["items"][0]
    assert item["time"] == item["received_at"]


def test_listing_is_newest_first(client: Client) -> None:
    for name, second in (("b", 2), ("c", 3), ("a", 1)):
        client.put(insight(name, meta=at(second)))

    assert ids(client.listed()) == ["c", "b", "a"]


def test_item_has_the_body_as_it_came(client: Client) -> None:
    body = b'{ "response": {"x": 1.50, "s": "\\ud800"}, "messages": "\xc3\xa9" }'
    client.put(body)
    client.connection.request("GET", "/insights", headers=client.headers)

    assert body in client.connection.getresponse().read()


def test_paging_shows_each_item_once_while_new_ones_arrive(client: Client) -> None:
    first = [f"old {n}" for n in range(25)]
    for n, name in enumerate(first):
        client.put(insight(name, meta=at(n // 3)))  # several share a time

    page = client.listed(limit=4)
    seen, total = ids(page), page["total"]
    while page["next_cursor"]:
        client.put(insight(meta=at(59)))
        page = client.listed(limit=4, cursor=page["next_cursor"])
        seen += ids(page)

    assert seen == first[::-1]
    assert total == 25


def test_last_page_that_is_full_has_no_cursor(client: Client) -> None:
    client.put(insight())
    client.put(insight())

    assert client.listed(limit=2)["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"model": "m1"}, ["c", "a"]),
        ({"user_id": "Ann"}, ["b", "a"]),
        ({"status": "error"}, ["c"]),
        ({"since": "2025-01-01T00:00:02Z"}, ["c", "b"]),
        ({"until": "2025-01-01T01:00:02+01:00"}, ["a"]),
        ({"model": "m1", "user_id": "Ann"}, ["a"]),
        ({"model": "m9"}, []),
        ({"model": "' OR 1=1 --"}, []),
    ],
)
def test_filter_finds_what_it_names(client: Client, query: dict[str, str], found: list[str]) -> None:
    client.put(insight("a", response={"model": "m1"}, user_id="Ann", meta=at(1) | {"status": "ok"}))
    client.put(insight("b", response={"model": "m2"}, user_id="Ann", meta=at(2) | {"status": "ok"}))
    client.put(insight("c", response={"model": "m1"}, user_id="Bob", meta=at(3) | {"status": "error"}))

    page = client.listed(**query)
    assert ids(page) == found
    assert page["total"] == len(found)


@pytest.mark.parametrize("event_id", ["e", "a/b", "%C3%A9"])
def test_one_insight_is_found_by_its_event_id(client: Client, event_id: str) -> None:
    body = insight("é" if "%" in event_id else event_id)
    client.put(body)

    assert client.ask("GET", f"/insights/{event_id}").json["body"] == body
