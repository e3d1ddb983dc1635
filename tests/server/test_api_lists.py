from __future__ import annotations

from typing import Any

import pytest
from support.serving import Client, insight


def ids(page: Any) -> list[str]:
    return [item["id"] for item in page["items"]]


def at(second: int) -> dict[str, Any]:
    return {"timestamp": f"2025-01-01T00:00:{second:02}Z"}


def test_list_is_newest_first(client: Client) -> None:
    for name, second in (("b", 2), ("c", 3), ("a", 1)):
        client.put(insight(name, meta=at(second)))

    assert ids(client.listed()) == ["c", "b", "a"]


def test_list_can_be_ordered_by_a_number(client: Client) -> None:
    for name, latency in (("b", 20), ("c", 30), ("a", 10)):
        client.put(insight(name, meta={"latency_ms": latency}))

    assert ids(client.listed(order="latency asc")) == ["a", "b", "c"]


def test_paging_shows_each_event_once_while_new_ones_arrive(client: Client) -> None:
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
        ({"user": "Ann"}, ["b", "a"]),
        ({"status": "error"}, ["c"]),
        ({"since": "2025-01-01T00:00:02Z"}, ["c", "b"]),
        ({"until": "2025-01-01T01:00:02+01:00"}, ["a"]),
        ({"model": "m1", "user": "Ann"}, ["a"]),
        ({"q": "model:m1 -user:Ann"}, ["c"]),
        ({"q": '"red fox"'}, ["b"]),
        ({"meta.ainsights.team": "x"}, ["b"]),
        ({"model": "m9"}, []),
        ({"model": "' OR 1=1 --"}, []),
    ],
)
def test_filter_finds_what_it_names(client: Client, query: dict[str, str], found: list[str]) -> None:
    client.put(insight("a", response={"model": "m1"}, user_id="Ann", meta=at(1) | {"status": "ok"}))
    meta = at(2) | {"status": "ok", "team": "x"}
    client.put(insight("b", response={"model": "m2"}, user_id="Ann", meta=meta, messages="A red fox."))
    client.put(insight("c", response={"model": "m1"}, user_id="Bob", meta=at(3) | {"status": "error"}))

    page = client.listed(**query)
    assert ids(page) == found
    assert page["total"] == len(found)


@pytest.mark.parametrize("event_id", ["e", "a/b", "%C3%A9"])
def test_one_event_is_found_by_its_id_as_soon_as_it_is_stored(client: Client, event_id: str) -> None:
    body = insight("é" if "%" in event_id else event_id)
    client.put(body)

    assert client.ask("GET", f"/insights/{event_id}").json["body"] == body


def test_event_has_the_body_as_received(client: Client) -> None:
    body = b'{ "response": {"x": 1.50, "s": "\\ud800"}, "messages": "\xc3\xa9", "meta": {"ainsights.event_id": "e"} }'
    client.put(body)
    client.connection.request("GET", "/insights/e", headers=client.headers)

    assert body in client.connection.getresponse().read()


def test_event_has_its_neighbors_within_the_filter(client: Client) -> None:
    for n in range(5):
        client.put(insight(str(n), user_id=("Ann", "Bob")[n % 2], meta=at(n)))
    client.await_index()

    assert client.ask("GET", "/insights/2").json["neighbors"] == {"newer": "3", "older": "1"}
    assert client.ask("GET", "/insights/2?user=Ann").json["neighbors"] == {"newer": "4", "older": "0"}
    assert client.ask("GET", "/insights/4?q=user:Ann").json["neighbors"] == {"newer": None, "older": "2"}


@pytest.mark.parametrize(
    ("path", "parameter", "reason"),
    [
        ("/insights?modle=gpt", "modle", "did you mean 'model'?"),
        ("/insights?q=latency%3Eslow", "q", "write one such as 2s"),
        ("/insights?since=yesterday", "since", "write one such as 7d"),
        ("/insights?limit=0", "limit", "from 1 to"),
        ("/insights?limit=1001", "limit", "from 1 to 1000"),
        ("/insights?order=colour", "order", "cannot order by 'colour'"),
        ("/insights?cursor=x", "cursor", "not one that a page gave"),
        ("/insights?by=model", "by", "is not a parameter here"),
        ("/query?show=evnts", "show", "did you mean 'events'?"),
        ("/query?by=model", "by", "name a measure"),
        ("/query", "show", "name a measure"),
        ("/query?show=events&by=latency", "by", "cannot group by latency"),
        ("/facets?field=latency", "field", "no values to count"),
        ("/facets?field=colour", "field", "unknown field"),
        ("/export?format=xml", "format", "one of jsonl, csv"),
        ("/export?limit=5", "limit", "is not a parameter here"),
        ("/users/Ann?model=x", "model", "is not a parameter here"),
        ("/verify?head=abc", "entries", "give the number"),
        ("/verify?entries=1&head=abc", "head", "64 hexadecimal digits"),
        ("/accesses?before=x", "before", "a number above 0"),
    ],
)
def test_problem_names_the_parameter_and_what_would_be_right(
    shared_client: Client, path: str, parameter: str, reason: str
) -> None:
    answer = shared_client.ask("GET", path)

    assert (answer.status, answer.json["parameter"]) == (422, parameter)
    assert reason in answer.json["detail"]
    assert answer.headers["Content-Type"] == "application/problem+json"
