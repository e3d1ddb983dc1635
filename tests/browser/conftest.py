from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright
from support import backends, clickhouse
from support.explorer import KEY, put, sample
from support.serving import insight

from ainsights import server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, StorageState

    from ainsights.server import Endpoint

STORE = os.environ.get("AINSIGHTS_TEST_STORE", "sqlite")
"""What the pages are shown of: ``sqlite`` or ``clickhouse``."""

HOSTILE = (
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> javascript:alert(3) {{7*7}} "
    "<style>*{display:none}</style> \u202eevil\u2066 \u0007\u0000 " + "long" * 200
)


def chromium() -> str:
    """Return the browser, or fail with what to install."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found or not Path(found).exists():
        pytest.exit("Chromium is missing: apt-get install chromium, or set CHROMIUM to its path", returncode=1)
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def clickhouse_server() -> Iterator[str]:
    """The address of a server, without a database."""
    with clickhouse.shared_server() as url:
        yield url


@pytest.fixture(scope="session")
def endpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    directory = tmp_path_factory.mktemp("explorer")
    with (
        backends.options_of(STORE, lambda: request.getfixturevalue("clickhouse_server"), directory) as options,
        server.running(options) as running,
    ):
        put(running, [*sample(400), hostile()])
        yield running


@pytest.fixture(scope="session")
def session(browser: Browser, endpoint: Endpoint) -> StorageState:
    """What a browser keeps after signing in."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{endpoint.url}/ui/login")
    page.fill("#key", KEY)
    page.click("button")
    page.wait_for_selector("nav.side")
    state = context.storage_state()
    context.close()
    return state


def hostile() -> bytes:
    """Return a body in which every text attacks the page."""
    call = {"id": HOSTILE, "function": {"name": HOSTILE, "arguments": HOSTILE}}
    body = insight(
        "hostile",
        response={"model": HOSTILE, "choices": [{"message": {"content": HOSTILE, "tool_calls": [call]}}]},
        messages=[
            {"role": "system", "content": HOSTILE, "name": HOSTILE},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://evil.example/x.png"}}]},
            {"role": "user", "content": HOSTILE},
        ],
        template=[{"role": "system", "content": "Say {x}" + HOSTILE}],
        inputs={"x": HOSTILE},
        args={"stop": HOSTILE},
        user_id="hostile " + HOSTILE[:300],
        meta={"status": "error", "error_type": HOSTILE, "latency_ms": 5e9, "timestamp": "2099-01-01T00:00:00Z"},
    )
    body["meta"] |= {"session_id": "hostile " + HOSTILE[:300], "tags": [HOSTILE], HOSTILE: HOSTILE}
    return json.dumps(body).encode()
