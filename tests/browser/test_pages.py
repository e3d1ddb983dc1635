"""Every page in Chromium: without console errors, reports of the security policy, overflow, or barriers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import axe_playwright_python
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from playwright.sync_api import Browser, Page, StorageState

    from ainsights.server import Endpoint

AXE = Path(str(next(iter(axe_playwright_python.__path__)))) / "axe.min.js"
WIDTHS = (390, 820, 1440)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LISTS = {
    "insight": ("/ui/", "a.open"),
    "hostile": ("/ui/?id=hostile", "a.open"),
    "user": ("/ui/users", ".data tbody th a"),
    "hostile-user": ("/ui/users?q=id%3Ahostile", ".data tbody th a"),
    "conversation": ("/ui/conversations?q=status%3Aok", "a.open"),
    "template": ("/ui/templates?q=status%3Aok", ".data tbody th a"),
}
PLAIN = (
    "/ui/",
    "/ui/?q=refund%20-status%3Aerror&since=2025-01-01",
    "/ui/?q=nothinglikethis",
    "/ui/?q=modl%3Ax",
    "/ui/explore",
    "/ui/explore?show=p95+latency&by=model&by=user&compare=status%3Aerror",
    "/ui/explore?show=cost",
    "/ui/conversations",
    "/ui/users",
    "/ui/questions",
    "/ui/questions?tab=messages",
    "/ui/questions?tab=words",
    "/ui/questions?tab=urls",
    "/ui/templates",
    "/ui/performance",
    "/ui/errors",
    "/ui/cost",
    "/ui/data?verify=1",
    "/ui/erase?q=user%3Auser-00000",
    "/ui/nothing",
)
EXPECTED = ("status of 404", "status of 422")


class Watched:
    """A page, and what the browser complained about."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._on_request(request.url))

    def _on_console(self, message: object) -> None:
        if getattr(message, "type", "") in ("error", "warning") and not any(x in message.text for x in EXPECTED):  # type: ignore[attr-defined]
            self.complaints.append(message.text)  # type: ignore[attr-defined]

    def _on_request(self, url: str) -> None:
        if not url.startswith((self.url, "data:", "blob:")):
            self.complaints.append(f"request to {url}")

    def open(self, path: str) -> Page:
        """Open a page; a name of `LISTS` stands for the first item of that list."""
        if path in LISTS:
            listed, selector = LISTS[path]
            self.page.goto(self.url + listed)
            path = self.page.locator(selector).first.get_attribute("href") or ""
        self.page.goto(self.url + path)
        return self.page


@pytest.fixture
def watched(browser: Browser, endpoint: Endpoint, session: StorageState) -> Iterator[Callable[..., Watched]]:
    contexts = []

    def watched(**options: object) -> Watched:
        contexts.append(browser.new_context(storage_state=session, **options))  # type: ignore[arg-type]
        return Watched(contexts[-1].new_page(), endpoint.url)

    yield watched
    for context in contexts:
        context.close()


def looks(page: Page, widths: Sequence[int]) -> Iterator[str]:
    """Show the page in each width and colour scheme, and yield what they are."""
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            yield f"{width} {scheme}"


@pytest.mark.parametrize("path", [*PLAIN, *LISTS])
@pytest.mark.parametrize("script", [True, False])
def test_every_page_renders(watched: Callable[..., Watched], path: str, script: bool) -> None:  # noqa: FBT001
    visit = watched(java_script_enabled=script)
    page = visit.open(path)
    for look in looks(page, WIDTHS):
        assert page.locator("h1").count() == 1, look
        if script:
            too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert too_wide <= 0, (look, too_wide)
        assert visit.complaints == [], look


@pytest.mark.parametrize("path", [*PLAIN, *LISTS])
def test_axe_finds_nothing(watched: Callable[..., Watched], path: str) -> None:
    found = []
    page = watched(bypass_csp=True).open(path)
    page.evaluate(AXE.read_text())
    for look in looks(page, (WIDTHS[0], WIDTHS[-1])):
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        answer = page.evaluate(f"axe.run(document, {{runOnly: {tags}, resultTypes: ['violations']}})")
        found += [
            (look, each["id"], node["html"][:160], node["any"][:1])
            for each in answer["violations"]
            for node in each["nodes"][:2]
        ]
    assert found == [], "\n".join(map(str, found))


def test_login_page_is_clean(browser: Browser, endpoint: Endpoint) -> None:
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(f"{endpoint.url}/ui/")
    page.evaluate(AXE.read_text())
    assert page.evaluate("axe.run()")["violations"] == []
    context.close()


def test_hostile_body_runs_nothing(watched: Callable[..., Watched]) -> None:
    visit = watched()
    dialogs: list[str] = []
    visit.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for path in ("hostile", "hostile-user", "/ui/?q=id%3Ahostile", "/ui/errors", "/ui/questions?tab=messages"):
        page = visit.open(path)
        assert page.locator("main").is_visible(), path
        assert page.locator("main script, main style, main img, main [style]").count() == 0, path
    assert (dialogs, visit.complaints) == ([], [])
