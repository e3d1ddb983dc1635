"""Makes the screenshots of the README from the sample of ``ainsights demo``: ``make screenshots``."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from ainsights import server
from ainsights._cli import demo_explorer

ASSETS = Path(__file__).with_name("assets")
PAGES = {
    "explorer-live": "/ui/?q=warranty",
    "explorer-cost": "/ui/cost",
}
SIZE = {"width": 1280, "height": 800}


def main() -> None:
    """Write one picture for each of `PAGES`."""
    ASSETS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        database = Path(directory) / "insights.db"
        demo_explorer.fill(database, until=1_764_072_000.0)
        with server.running(server.Options(database, is_sample=True)) as endpoint, sync_playwright() as playwright:
            chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport=SIZE, timezone_id="UTC", device_scale_factor=1)
            page.goto(endpoint.explorer)
            page.wait_for_selector("nav.side")
            for name, path in PAGES.items():
                page.goto(endpoint.url + path)
                page.wait_for_load_state()
                page.screenshot(path=ASSETS / f"{name}.png")
            browser.close()


if __name__ == "__main__":
    main()
