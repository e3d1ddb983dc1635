from __future__ import annotations

import csv
import io
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from support.polling import wait_until
from support.serving import BEARER, KEY, Client, insight

from ainsights.server.api import export

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ainsights.server import Endpoint
    from ainsights.server.api import Service
    from ainsights.server.query.engine import EventRow
    from ainsights.server.store import StoredBody


def exported(endpoint: Endpoint, **params: str) -> httpx.Response:
    return httpx.get(f"{endpoint.url}/export", params=params, headers=BEARER, timeout=60).raise_for_status()


def rows(endpoint: Endpoint, **params: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exported(endpoint, format="csv", **params).text)))


def test_lines_are_exactly_the_filter_in_order_of_arrival(
    endpoint: Endpoint, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "AT_ONCE", 7)
    monkeypatch.setattr(export, "PART_BYTES", 1000)
    for n in range(24):
        client.put(insight(f"e{n}", user_id=("ann", "bob")[n % 2]))
    client.await_index()

    lines = [json.loads(line) for line in exported(endpoint, user="ann").text.splitlines()]
    assert [line["id"] for line in lines] == [f"e{n}" for n in range(0, 24, 2)]
    assert [row["id"] for row in rows(endpoint, q="-user:ann")] == [f"e{n}" for n in range(1, 24, 2)]


def test_line_has_the_whole_body_even_if_it_was_sent_with_line_breaks(endpoint: Endpoint, client: Client) -> None:
    body = insight("e", messages="two\nlines\u2028three")
    client.put(json.dumps(body, indent=1).replace("\n", "\r\n").encode())
    client.await_index()

    (line,) = exported(endpoint).content.strip(b"\n").split(b"\n")
    assert json.loads(line)["body"] == body


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_cell_that_a_spreadsheet_would_compute_is_text(endpoint: Endpoint, client: Client, text: str) -> None:
    client.put(insight("e", user_id=text, messages=text, response={"model": text}))
    client.await_index()

    (row,) = rows(endpoint)
    assert row["model"] == row["user"] == row["question"] == f"'{text}"


def test_cells_keep_quotes_commas_line_breaks_and_numbers(endpoint: Endpoint, client: Client) -> None:
    client.put(insight("e", messages='a "b", c\nd', meta={"latency_ms": 1.5}))
    client.await_index()

    (row,) = rows(endpoint)
    assert (row["question"], row["latency"], row["tokens"]) == ('a "b", c\nd', "1.5", "")


def test_export_of_nothing_is_only_the_header(endpoint: Endpoint) -> None:
    assert exported(endpoint).text == ""
    assert exported(endpoint, format="csv").text == ",".join(export.COLUMNS) + "\r\n"


def test_client_that_disconnects_stops_the_export(
    endpoint: Endpoint, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    bodies_of = export.bodies_of

    def counting(service: Service, rows: Sequence[EventRow]) -> Iterator[tuple[EventRow, StoredBody]]:
        read.append(len(rows))
        return bodies_of(service, rows)

    for n in range(60):
        client.put(insight(f"e{n}", inputs={"x": "x" * 1_000_000}))
    client.await_index()
    monkeypatch.setattr(export, "AT_ONCE", 5)
    monkeypatch.setattr(export, "bodies_of", counting)
    with socket.create_connection((urlsplit(endpoint.url).hostname, urlsplit(endpoint.url).port)) as leaver:
        leaver.sendall(f"GET /export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
        received = 0
        while received < 3_000_000:
            received += len(leaver.recv(100_000))
    sizes: list[int] = []

    def is_still() -> bool:
        sizes.append(sum(read))
        return len(sizes) > 30 and len(set(sizes[-30:])) == 1

    wait_until(is_still)
    assert 0 < sum(read) < 60


def test_what_is_stored_meanwhile_is_left_out(
    endpoint: Endpoint, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "AT_ONCE", 1)
    for n in range(3):
        client.put(insight(f"e{n}", inputs={"x": "x" * 2_000_000}))
    client.await_index()
    found: list[Any] = []
    with httpx.stream("GET", f"{endpoint.url}/export", headers=BEARER, timeout=60) as answer:
        lines = answer.iter_lines()
        found.append(json.loads(next(lines))["id"])
        client.put(insight("late"))
        client.await_index()
        found += [json.loads(line)["id"] for line in lines]

    assert found == ["e0", "e1", "e2"]
