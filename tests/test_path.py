"""The path of insights: AINSIGHTS_PATH of a client, --path of the local endpoint."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.endpoints import Handler, running_endpoint
from support.proxies import Proxy, serving

import ainsights
from ainsights import mock_openai
from ainsights._base_url import normalize_path
from ainsights._config import load
from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

HELLO = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}

UNUSABLE = {
    "insight": "does not begin with /",
    "https://host/insight": "does not begin with /",
    "/insight?v=1": "a query or a fragment",
    "/insight#voice": "a query or a fragment",
    "/in sight": "percent-encode",
    "/größe": "percent-encode",
    "/insight\r\nX: 1": "percent-encode",
    "/a/../insight": "an empty segment",
    "//host/insight": "an empty segment",
}


@pytest.mark.parametrize("path", UNUSABLE)
def test_path_that_no_request_line_can_carry_is_refused_with_the_reason(path: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({}, path=path)
    assert UNUSABLE[path] in str(caught.value)
    assert "It takes a path that begins with /, such as /insight" in str(caught.value)


def test_query_of_a_refused_path_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({"AINSIGHTS_PATH": "/insight?key=hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("path", ["/insight", "/v1/voice/", "/", "/gr%C3%B6%C3%9Fe", " /voice "])
def test_path_is_kept_as_it_is(path: str) -> None:
    assert normalize_path(path) == path.strip()


def test_insights_are_put_to_the_path_below_the_base_url() -> None:
    with running_endpoint() as endpoint:
        with ainsights.Insights(base_url=f"{endpoint.url}/base", path="/voice", api_key="key") as insights:
            insights.capture(response=HELLO, messages="Hello!")
            assert insights.flush(10)
        assert endpoint.paths == ["/base/voice"]


def test_proxy_is_asked_for_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_endpoint() as endpoint, serving(Proxy(endpoint.port)) as proxy:
        monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
        url = "http://insights.example"
        with ainsights.Insights(base_url=url, path="/voice", api_key="key", allow_insecure=True) as insights:
            insights.capture(response=HELLO, messages="Hello!")
            assert insights.flush(10)
    assert proxy.requests[0].startswith(b"PUT http://insights.example/voice HTTP/1.1")


@pytest.mark.parametrize("status", [404, 405])
def test_wrong_path_at_the_endpoint_holds_what_waits_and_names_the_variable(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    def only_voice(handler: Handler) -> bool:
        return handler.answer(200 if handler.path == "/voice" else status, b"")

    with running_endpoint(only_voice) as endpoint, ainsights.Insights(base_url=endpoint.url, api_key="key") as insights:
        insights.capture(response=HELLO, messages="Hello!")
        assert not insights.flush(0.5)
        assert insights.stats().held == 1
        insights.close(timeout=0)
    assert "AINSIGHTS_PATH" in caplog.text


def test_program_that_is_run_and_the_spool_send_to_the_path(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    code = f"import openai; openai.OpenAI().chat.completions.create(model='m', messages={messages})"
    command = [sys.executable, "-m", "ainsights"]
    with running_endpoint() as endpoint, mock_openai.serving() as server:
        environ = os.environ | {
            "AINSIGHTS_API_KEY": "key",
            "AINSIGHTS_PATH": "/voice",
            "AINSIGHTS_SPOOL_DIR": str(tmp_path),
            "OPENAI_BASE_URL": server.base_url,
            "OPENAI_API_KEY": "key",
        }
        away = environ | {"AINSIGHTS_BASE_URL": "http://127.0.0.1:9", "AINSIGHTS_EXIT_TIMEOUT": "0.1"}
        subprocess.run([*command, "run", sys.executable, "-c", code], env=away, check=True, timeout=60)
        here = environ | {"AINSIGHTS_BASE_URL": endpoint.url}
        subprocess.run([*command, "spool", "flush"], env=here, check=True, timeout=60, capture_output=True)
        subprocess.run([*command, "run", sys.executable, "-c", code], env=here, check=True, timeout=60)
        assert endpoint.paths == ["/voice"] * 2
        assert [event["response"]["model"] for event in endpoint.stored] == ["m", "m"]
