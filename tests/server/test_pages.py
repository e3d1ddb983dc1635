from __future__ import annotations

import csv
import io
import json
import re
from html import unescape
from typing import TYPE_CHECKING

import httpx
import pytest
from support.backends import keys_of
from support.explorer import Visitor, put, sample, visiting
from support.polling import wait_until
from support.serving import insight

from ainsights.server.keys import Role
from ainsights.server.pages.routes import PAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ainsights.server import Options

PLAIN = [path for path in PAGES if path != "/ui/erase" and not (path.endswith("/") and path != "/ui/")]
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> javascript:alert(3) \u202eevil\u0007\u0000"


@pytest.fixture(scope="module")
def visitor(shared_options: Options) -> Iterator[Visitor]:
    with visiting(shared_options, sample(300)) as visitor:
        yield visitor


def events(text: str) -> list[str]:
    return re.findall(r'data-id="([^"]+)"', text)


@pytest.mark.parametrize("path", PLAIN)
def test_page_answers(visitor: Visitor, path: str) -> None:
    assert visitor.get(path)


@pytest.mark.parametrize("path", PLAIN)
def test_page_keeps_the_filter_in_its_links(visitor: Visitor, path: str) -> None:
    if path in ("/ui/export", "/ui/download"):
        return
    text = visitor.get(f"{path}?q=status%3Aok&since=2025-01-01")
    navigation = text[text.index('<nav class="side"') : text.index("</nav>")]
    assert navigation.count("q=status%3Aok&amp;since=2025-01-01") == 10


@pytest.mark.parametrize("path", [*PLAIN, "/ui/insights/x", "/ui/users/x", "/ui/stream"])
def test_page_without_a_session_asks_to_sign_in(visitor: Visitor, path: str) -> None:
    answer = httpx.get(visitor.endpoint.url + path)
    assert answer.status_code == 401
    assert "Sign in" in answer.text
    assert "user-0" not in answer.text


def test_pages_of_one_item_answer(visitor: Visitor) -> None:
    for path, pattern in (
        ("/ui/", '/ui/insights/[^"]+'),
        ("/ui/users", '/ui/users/[^"]+'),
        ("/ui/conversations", '/ui/conversations/[^"]+'),
        ("/ui/templates", '/ui/templates/[^"]+'),
    ):
        assert "<h1>" in visitor.get(visitor.link(path, pattern))


@pytest.mark.parametrize(
    "path", ["/ui/insights/none", "/ui/users/none", "/ui/conversations/none", "/ui/templates/none"]
)
def test_unknown_item_is_404(visitor: Visitor, path: str) -> None:
    visitor.get(path, 404)


def test_wrong_filter_names_the_word_and_keeps_it(visitor: Visitor) -> None:
    text = visitor.get("/ui/?q=modl%3Agpt-4o", 422)
    assert "did you mean &#39;model&#39;" in text
    assert 'value="modl:gpt-4o"' in text


def test_export_equals_the_screen(visitor: Visitor) -> None:
    query = "q=status%3Aok&columns=id&columns=model&columns=question"
    shown, path = [], f"/ui/?{query}"
    while path:
        text = visitor.get(path)
        shown += [unescape(each) for each in events(text)]
        found = re.search(r'rel="next" href="([^"]+)"', text)
        path = unescape(found[1]) if found else ""
    rows = list(csv.reader(io.StringIO(visitor.get(f"/ui/export?format=csv&{query}"))))
    assert rows[0] == ["model", "question", "id"]
    assert [row[2] for row in rows[1:]] == shown
    lines = visitor.get(f"/ui/export?format=jsonl&{query}").splitlines()
    assert [json.loads(line)["meta"]["ainsights.event_id"] for line in lines] == shown


def test_table_download_equals_the_screen(visitor: Visitor) -> None:
    query = "show=events&by=model"
    text = visitor.get(f"/ui/explore?{query}")
    table = text[text.index('id="table"') :]
    names = re.findall(r'<th scope="row">.*?<bdi>([^<]+)</bdi>', table)
    numbers = re.findall(r'<td class="n"><span title="([^"]+)"', table)
    items = json.loads(visitor.get(f"/ui/download?format=json&{query}"))
    assert [(each["model"], each["events"]) for each in items] == list(zip(names, map(int, numbers), strict=True))
    rows = list(csv.reader(io.StringIO(visitor.get(f"/ui/download?format=csv&{query}"))))
    assert rows == [["model", "events"], *([name, number] for name, number in zip(names, numbers, strict=True))]


def test_chart_download_stands_alone(visitor: Visitor) -> None:
    text = visitor.get("/ui/download?format=svg&show=events&by=day")
    assert text.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "<style>" in text
    assert "<a " not in text


def test_bar_of_a_chart_leads_to_its_insights(visitor: Visitor) -> None:
    items = json.loads(visitor.get("/ui/download?format=json&show=events&by=model"))
    link = visitor.link("/ui/explore?show=events&by=model", r"/ui/\?q=model[^\"]+")
    count = re.search(r'<strong title="(\d+)">', visitor.get(link))
    assert count
    assert int(count[1]) == items[0]["events"]


def test_neighbours_stay_within_the_filter(visitor: Visitor) -> None:
    path = visitor.link("/ui/?q=status%3Aerror", '/ui/insights/[^"]+')
    seen = 0
    while path and seen < 4:
        text = visitor.get(path)
        assert 'class="status error"' in text[text.index("<h1>") : text.index('<nav class="pager"')]
        found = re.search(r'rel="next" href="([^"]+)"', text)
        path, seen = (unescape(found[1]) if found else ""), seen + 1
    assert seen > 1


@pytest.mark.parametrize("path", ["/ui/users", "/ui/templates"])
def test_ranking_sorted_by_another_measure_keeps_the_filter(visitor: Visitor, path: str) -> None:
    sort = visitor.link(f"{path}?q=status%3Aerror", rf"{path}\?[^\"]*sort=cost[^\"]*")
    assert "q=status%3Aerror" in sort
    assert visitor.get(sort)


def test_search_marks_the_hits(visitor: Visitor) -> None:
    assert "<mark>warranty</mark>" in visitor.get("/ui/?q=Warranty")


def test_comparison_shows_both_totals(visitor: Visitor) -> None:
    text = visitor.get("/ui/explore?show=events&by=day&compare=status%3Aerror")
    assert text.count("<figure") == 2
    assert "compared: status:error" in text


def test_comparison_with_the_previous_period_needs_a_time_range(visitor: Visitor) -> None:
    assert "choose a time range" in visitor.get("/ui/explore?show=events&compare=previous", 422)
    text = visitor.get("/ui/explore?show=events&by=day&since=2025-11-21&until=2025-11-23&compare=previous")
    totals = re.findall(r"<h2>Events: <span title=\"(\d+)\">", text)
    since = json.loads(visitor.get("/ui/download?format=json&show=events&since=2025-11-19&until=2025-11-21"))
    assert totals[1] == str(since[0]["events"])


def test_shares_of_a_chart_add_up(visitor: Visitor) -> None:
    text = visitor.get("/ui/explore?show=events&by=model&percent=1")
    shares = [float(each) for each in re.findall(r"<td>([\d.]+) %</td>", text)]
    assert sum(shares) == pytest.approx(100, abs=1)


def test_cost_that_no_price_is_known_for_is_unknown(visitor: Visitor) -> None:
    text = visitor.get("/ui/cost")
    assert "Unknown cost" in text
    assert "-has%3Acost" in text


def test_saved_view_is_listed_until_it_is_removed(visitor: Visitor) -> None:
    assert visitor.post("/ui/views", name="Failures", url="/ui/?q=status%3Aerror").status_code == 303
    assert '<a href="/ui/?q=status%3Aerror">Failures</a>' in visitor.get("/ui/")
    visitor.post("/ui/unsave", name="Failures")
    assert "Failures" not in visitor.get("/ui/")


def test_saved_view_leads_nowhere_else(visitor: Visitor) -> None:
    visitor.post("/ui/views", name="Bad", url="https://evil.example/")
    assert "evil.example" not in visitor.get("/ui/")


def test_empty_store_shows_what_to_do(options: Options) -> None:
    with visiting(options) as visitor:
        for path in PLAIN:
            text = visitor.get(path)
            if path not in ("/ui/explore", "/ui/export", "/ui/download"):
                assert "No insights yet" in text, path
                assert f"AINSIGHTS_BASE_URL={visitor.endpoint.url}" in text


def test_hostile_body_is_text_on_every_page(options: Options) -> None:
    message = {
        "role": "assistant",
        "content": HOSTILE,
        "tool_calls": [{"id": HOSTILE, "function": {"name": HOSTILE, "arguments": HOSTILE}}],
    }
    body = insight(
        "hostile/<b>",
        response={"model": HOSTILE, "choices": [{"message": message}], "error": {"type": HOSTILE, "message": HOSTILE}},
        messages=[{"role": HOSTILE, "content": HOSTILE, "name": HOSTILE}, {"role": "user", "content": HOSTILE}],
        template=[{"role": "user", "content": "Say {x}" + HOSTILE}],
        inputs={"x": HOSTILE},
        args={"temperature": HOSTILE},
        user_id=HOSTILE,
        meta={"base_url": HOSTILE, "error_type": HOSTILE, "status": "error", "latency_ms": 5},
    )
    body["meta"] |= {"session_id": HOSTILE, "tags": [HOSTILE], "release": HOSTILE}
    with visiting(options, [json.dumps(body).encode()]) as visitor:
        paths = [*PLAIN, "/ui/insights/hostile%2F%3Cb%3E", "/ui/questions?tab=messages", "/ui/questions?tab=words"]
        paths += [visitor.link(f"/ui/{name}", f'/ui/{name}/[^"]+') for name in ("users", "conversations", "templates")]
        for path in paths:
            if path in ("/ui/export", "/ui/download"):
                continue
            text = visitor.get(path)
            assert "<script>alert" not in text, path
            assert "<img" not in text, path
            assert "\x07" not in text, path
            assert not re.search(r'(href|src|action)="\s*javascript:', text), path
            assert not re.search(r"\son\w+\s*=\s*\"", text), path
            assert " style=" not in text, path


def test_chart_is_not_stretched_by_a_wrong_clock(options: Options) -> None:
    times = ("2025-01-01T12:00:00Z", "2025-01-03T12:00:00Z", "2099-01-01T00:00:00Z")
    bodies = [json.dumps(insight(f"e{n}", meta={"timestamp": time})).encode() for n, time in enumerate(times)]
    with visiting(options, bodies) as visitor:
        text = visitor.get("/ui/explore?show=events&by=day")
        assert re.findall(r'data-key="([^"]+)"', text) == [f"2025-01-0{day}T00:00:00Z" for day in (1, 2, 3)]


def test_cell_that_a_spreadsheet_would_run_is_neutralised(options: Options) -> None:
    bodies = [json.dumps(insight(f"e{n}", messages=text)).encode() for n, text in enumerate(("=1+1", "+1", "-1", "@x"))]
    with visiting(options, bodies) as visitor:
        rows = list(csv.reader(io.StringIO(visitor.get("/ui/export?format=csv&columns=question"))))
        assert sorted(row[0] for row in rows[1:]) == ["'+1", "'-1", "'=1+1", "'@x"]


def test_erasure_shows_what_it_will_remove_and_removes_it(options: Options) -> None:
    bodies = [json.dumps(insight(f"e{n}", user_id="ann" if n % 2 else "bob")).encode() for n in range(7)]
    with visiting(options, bodies) as visitor:
        text = visitor.get("/ui/erase?q=user%3Aann")
        assert "Erase 3 insights" in text
        assert visitor.post("/ui/erase?q=user%3Aann").status_code == 422
        answer = visitor.post("/ui/erase?q=user%3Aann", confirm="yes", reason="asked for it")
        assert answer.headers["location"] == "/ui/users?erased=3"
        visitor.get("/ui/users/ann", 404)
        assert "asked for it" in visitor.get("/ui/data")
        assert len(events(visitor.get("/ui/"))) == 4


def test_erasure_without_a_filter_is_refused(visitor: Visitor) -> None:
    visitor.get("/ui/erase", 422)
    assert visitor.post("/ui/erase", confirm="yes").status_code == 422


def test_read_key_sees_but_does_not_erase(options: Options) -> None:
    with keys_of(options) as keys:
        key = keys.add("dashboards", [Role.READ])
    with visiting(options, [json.dumps(insight("e1", user_id="ann")).encode()]) as admin:
        with Visitor(admin.endpoint, key) as reader:
            assert events(reader.get("/ui/")) == ["e1"]
            reader.get("/ui/erase?q=user%3Aann", 403)
            assert reader.post("/ui/erase?q=user%3Aann", confirm="yes").status_code == 403
            assert "Access log, latest first" not in reader.get("/ui/data")
        assert events(admin.get("/ui/")) == ["e1"]


def test_write_key_does_not_sign_in(options: Options) -> None:
    with keys_of(options) as keys:
        key = keys.add("app", [Role.WRITE])
    with visiting(options) as visitor, Visitor(visitor.endpoint, key) as writer:
        assert writer.signed_in.status_code == 403


def test_revoked_key_ends_its_sessions(options: Options) -> None:
    with keys_of(options) as keys:
        key = keys.add("dashboards", [Role.READ])
        with visiting(options) as visitor, Visitor(visitor.endpoint, key) as reader:
            reader.get("/ui/")
            keys.revoke("dashboards")
            wait_until(lambda: reader.client.get("/ui/").status_code == 401)


def test_printed_link_signs_in_once(options: Options) -> None:
    with visiting(options) as visitor:
        with httpx.Client() as client:
            answer = client.get(visitor.endpoint.explorer)
            assert "HttpOnly" in answer.headers["set-cookie"]
            assert "SameSite=strict" in answer.headers["set-cookie"]
            assert client.get(f"{visitor.endpoint.url}/ui/").status_code == 200
        assert httpx.get(visitor.endpoint.explorer).status_code == 401


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}])
def test_form_of_another_site_is_refused(visitor: Visitor, headers: dict[str, str]) -> None:
    answer = visitor.client.post("/ui/views", data={"name": "x", "url": "/ui/"}, headers=headers)
    assert answer.status_code == 403


def test_unknown_host_is_refused(visitor: Visitor) -> None:
    visitor.get("/ui/", 421, Host="evil.example")


def test_every_answer_has_the_security_policy(visitor: Visitor) -> None:
    for path in ("/ui/", "/ui/login", "/ui/insights/none", "/"):
        policy = visitor.client.get(path).headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy


def test_static_files_are_kept_for_ever_and_pages_are_not(visitor: Visitor) -> None:
    text = visitor.get("/ui/")
    for path in re.findall(r'(?:href|src)="(/ui/static/[^"]+)"', text):
        assert "immutable" in visitor.client.get(path).headers["cache-control"]
    assert visitor.client.get("/ui/").headers["cache-control"] == "no-store"
    visitor.get("/ui/static/000000000000/explorer.css", 404)


def test_stream_counts_new_insights_of_the_filter(options: Options) -> None:
    bodies = [json.dumps(insight(f"e{n}", user_id="ann" if n < 2 else "bob")).encode() for n in range(5)]
    with (
        visiting(options) as visitor,
        visitor.client.stream("GET", "/ui/stream?q=user%3Aann") as answer,
    ):
        lines = answer.iter_lines()
        assert next(lines).startswith("retry")
        put(visitor.endpoint, bodies)
        new = 0
        while new < 2:
            line = next(lines)
            new += json.loads(line[6:])["new"] if line.startswith("data: ") else 0
        assert new == 2


def test_page_is_small(visitor: Visitor) -> None:
    for path in PLAIN:
        if path not in ("/ui/export", "/ui/download"):
            assert len(visitor.get(path)) < 300_000, path
