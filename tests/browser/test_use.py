"""The pages as people use them: with the mouse, by keyboard, and with scripts switched off."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect
from support.explorer import KEY, put
from support.serving import insight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page, StorageState

    from ainsights.server import Endpoint


@pytest.fixture
def opened(browser: Browser, endpoint: Endpoint, session: StorageState) -> Iterator[Callable[..., Page]]:
    contexts = []
    shared = {"base_url": endpoint.url, "viewport": {"width": 1280, "height": 900}, "storage_state": session}

    def open_page(path: str, *, is_live: bool = False, **options: object) -> Page:
        """Open a page; if it is a live one, return once new insights reach it."""
        context = browser.new_context(**shared, **options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        if not is_live:
            page.goto(path)
            return page
        with page.expect_response(lambda answer: "/ui/stream" in answer.url):
            page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()


def store(endpoint: Endpoint, event_id: str, **fields: object) -> None:
    body = json.dumps(insight(event_id, **fields)).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    assert httpx.put(f"{endpoint.url}/insight", content=body, headers=headers).status_code == 200


def test_new_insights_appear_by_themselves(opened: Callable[..., Page], endpoint: Endpoint) -> None:
    page = opened("/ui/?user=live-one", is_live=True)
    store(endpoint, "live-1", user_id="live-one")
    page.wait_for_selector("tr[data-id=live-1]")


def test_paused_list_counts_what_is_new_and_shows_it_later(opened: Callable[..., Page], endpoint: Endpoint) -> None:
    page = opened("/ui/?user=live-two", is_live=True)
    page.keyboard.press("p")
    expect(page.locator("#live .pause")).to_have_text("Resume")
    for number in range(3):
        store(endpoint, f"paused-{number}", user_id="live-two")
    expect(page.locator("#live .new")).to_have_text("3 new")
    assert page.locator("tr[data-id]").count() == 0
    page.locator("#live .new").click()
    expect(page.locator("tr[data-id]")).to_have_count(3)


def test_list_that_is_being_read_does_not_change(opened: Callable[..., Page], endpoint: Endpoint) -> None:
    page = opened("/ui/", is_live=True)
    page.locator(".list > .scroll").evaluate("each => each.scrollTop = 300")
    store(endpoint, "while-reading")
    expect(page.locator("#live .new")).to_have_text("1 new")
    assert page.locator("tr[data-id=while-reading]").count() == 0


@pytest.mark.parametrize("script", [True, False])
def test_filter_survives_chart_insight_next_and_back(opened: Callable[..., Page], script: bool) -> None:  # noqa: FBT001
    page = opened("/ui/explore?show=events&by=model&q=status%3Aok", java_script_enabled=script)
    page.locator(".chart-figure summary").click()
    page.locator(".chart-figure table a").first.click()
    page.wait_for_url(re.compile(r"/ui/\?q=status%3Aok\+model%3A"))
    page.locator("a.open").first.click()
    page.wait_for_url(re.compile(r"/ui/insights/.*q=status%3Aok\+model%3A"))
    page.locator("a[rel=next]").click()
    expect(page.locator("a[rel=prev]")).to_be_visible()
    assert "q=status%3Aok+model%3A" in page.url
    page.get_by_role("link", name="↑ List").click()
    page.wait_for_url(re.compile(r"/ui/\?q=status%3Aok\+model%3A"))
    chips = page.locator(".chip bdi").all_inner_texts()
    assert chips[0] == "status:ok"
    assert chips[1].startswith("model:")


def test_bar_of_the_chart_leads_to_its_insights(opened: Callable[..., Page]) -> None:
    page = opened("/ui/explore?show=events&by=model")
    page.locator(".chart a .hit").first.click()
    page.wait_for_url(re.compile(r"/ui/\?q=model%3A"))
    assert page.locator("tr[data-id]").count() > 0


def test_dragging_over_a_chart_zooms(opened: Callable[..., Page]) -> None:
    page = opened("/ui/explore?show=events&by=day")
    hits = page.locator(".chart .hit[data-key]")
    first, last = hits.nth(1).bounding_box(), hits.nth(3).bounding_box()
    assert first
    assert last
    page.mouse.move(first["x"] + 5, first["y"] + 40)
    page.mouse.down()
    page.mouse.move(last["x"] + 5, last["y"] + 40, steps=4)
    page.mouse.up()
    page.wait_for_url(re.compile("since=.*until="))
    expect(page.locator(".chip")).to_contain_text([" to "])


def test_search_as_you_type_marks_hits(opened: Callable[..., Page]) -> None:
    page = opened("/ui/")
    page.keyboard.press("/")
    page.keyboard.type("warranty", delay=5)
    page.wait_for_url(re.compile("q=warranty"))
    expect(page.locator("mark").first).to_have_text(re.compile("warranty", re.IGNORECASE))
    expect(page.locator("#search")).to_be_focused()


def test_chinese_is_found(opened: Callable[..., Page]) -> None:
    page = opened("/ui/?q=%E5%8F%91%E7%A5%A8")
    assert page.locator("mark").first.inner_text() == "发票"


def test_alt_click_excludes(opened: Callable[..., Page]) -> None:
    page = opened("/ui/")
    page.locator(".facet li a[data-exclude]", has_text="gpt-4o-mini").first.click(modifiers=["Alt"])
    page.wait_for_url(re.compile("q=-model%3A"))
    expect(page.locator(".chip bdi")).to_have_text("-model:gpt-4o-mini")


def test_keyboard_alone_opens_an_insight_and_the_next_one(opened: Callable[..., Page]) -> None:
    page = opened("/ui/?q=status%3Aok")
    for key in ("j", "j", "k", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url(re.compile("/ui/insights/"))
    first = page.url
    page.wait_for_selector("a[rel=next]")
    page.keyboard.press("j")
    page.wait_for_url(lambda url: "/ui/insights/" in url and url != first)
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()


def test_tab_reaches_content_first_by_the_skip_link(opened: Callable[..., Page]) -> None:
    page = opened("/ui/")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    expect(page.locator(".skip")).to_be_in_viewport()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"


def test_columns_stay_chosen_through_an_insight_and_back(opened: Callable[..., Page]) -> None:
    page = opened("/ui/?q=status%3Aok", java_script_enabled=False)
    page.locator("summary", has_text="Columns").click()
    page.locator("input[name=columns][value=release]").check()
    page.locator("input[name=columns][value=answer]").uncheck()
    page.get_by_role("button", name="Show").click()
    headings = page.locator("#events thead th").all_inner_texts()
    assert "Release" in headings
    assert "Answer" not in headings
    page.locator("a.open").first.click()
    page.get_by_role("link", name="↑ List").click()
    assert page.locator("#events thead th").all_inner_texts() == headings


def test_times_are_in_the_zone_of_the_reader(opened: Callable[..., Page], endpoint: Endpoint) -> None:
    put(endpoint, [json.dumps(insight("zoned", meta={"timestamp": "2025-03-01T12:00:00Z"})).encode()])
    page = opened("/ui/insights/zoned", timezone_id="Asia/Tokyo")
    expect(page.locator(".heading time")).to_have_text("2025-03-01 21:00:00")
    page = opened("/ui/insights/zoned", timezone_id="Asia/Tokyo", java_script_enabled=False)
    expect(page.locator(".heading time")).to_have_text("2025-03-01 12:00:00")


def test_erasure_in_the_browser(opened: Callable[..., Page], endpoint: Endpoint) -> None:
    put(endpoint, [json.dumps(insight(f"erase-{n}", user_id="to erase")).encode() for n in range(3)])
    page = opened("/ui/users/to%20erase")
    page.get_by_role("link", name=re.compile("Erase everything")).click()
    page.wait_for_url(re.compile("/ui/erase"))
    page.get_by_label("Erase 3 insights").check()
    page.get_by_role("button", name="Erase").click()
    expect(page.locator(".done")).to_contain_text("3 insights were erased")
