from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.endpoints import running_endpoint
from support.models import COMPLETION, EVENTS, MESSAGES, client, streaming

import ainsights
import ainsights.testing
from ainsights import ConfigurationError, Insight
from ainsights._instrumentation import patch

if TYPE_CHECKING:
    from ainsights.testing import Captured

pytest_plugins = ("pytester",)


def ask(**more: Any) -> Any:
    return client(**more).chat.completions.create(model="m", messages=MESSAGES, user="ann")


def test_call_is_in_the_list_at_once() -> None:
    with ainsights.testing.capture() as insights:
        ask()
        (insight,) = insights
    assert isinstance(insight, Insight)
    assert (insight.response, insight.messages, insight.user_id) == (COMPLETION, MESSAGES, "ann")
    assert insight.args == {"model": "m", "user": "ann"}


def test_stream_is_in_the_list_when_it_ends() -> None:
    with ainsights.testing.capture() as insights:
        stream = client(streaming(*EVENTS)).chat.completions.create(model="m", messages=MESSAGES, stream=True)
        assert insights == []
        list(stream)
        assert insights[0].response["choices"][0]["message"]["content"] == "abc"


def test_fixture_is_the_list(insights: Captured) -> None:
    ask()
    ainsights.capture(response=COMPLETION, messages="by hand")
    assert [insight.messages for insight in insights] == [MESSAGES, "by hand"]


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A user's project. Its pytest loads every plugin that is installed, and some of them need what we hide."""
    monkeypatch.delenv("PYTHONPATH")
    return pytester


def test_plugin_brings_the_fixture(project: pytest.Pytester) -> None:
    project.makepyfile("def test_it(insights):\n    assert insights == []")
    project.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_project_with_a_file_of_our_name_runs_its_tests(project: pytest.Pytester) -> None:
    project.makepyfile(ainsights="client = 1", test_own="import ainsights\ndef test_it():\n    assert ainsights.client")
    ran = project.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
    ran.assert_outcomes(passed=1)


def test_fixture_names_the_file_that_hides_the_package(project: pytest.Pytester) -> None:
    hiding = project.makepyfile(ainsights="", test_own="def test_it(insights):\n    pass").with_name("ainsights.py")
    ran = project.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
    ran.assert_outcomes(errors=1)
    ran.stdout.fnmatch_lines([f"*package ainsights, which {hiding} hides. Rename that file."])


def test_nothing_is_sent_also_if_the_program_instruments() -> None:
    with running_endpoint() as endpoint:
        with ainsights.testing.capture() as insights:
            ainsights.instrument(base_url=endpoint.url, api_key="key")
            ask()
            ainsights.capture(response=COMPLETION, messages="by hand")
            assert ainsights.flush(5)
            assert (len(insights), ainsights.stats().captured) == (2, 0)
        ask()
        assert ainsights.shutdown(20)
        assert (len(insights), len(endpoint.stored)) == (2, 1)


def test_openai_is_restored_when_it_stops() -> None:
    ainsights.uninstrument()
    assert not any(hook.wrapper for hook in patch.HOOKS)
    insights = ainsights.testing.capture()
    insights.stop()
    insights.stop()
    ask()
    assert insights == []
    assert not any(hook.wrapper for hook in patch.HOOKS)


def test_captures_nest() -> None:
    with ainsights.testing.capture() as outer:
        with ainsights.testing.capture() as inner:
            ask()
        ask()
    assert (len(inner), len(outer)) == (1, 1)


def test_settings_are_applied() -> None:
    with ainsights.testing.capture(redact="email", meta={"service": "s"}) as insights:
        ainsights.capture(response=COMPLETION, messages="write to ann@example.com")
    assert insights[0].messages == "write to [email]"
    assert insights[0].meta["service"] == "s"


def test_context_is_applied() -> None:
    with ainsights.testing.capture() as insights:
        with ainsights.context(capture=False):
            ask()
            ainsights.capture(response=COMPLETION, messages="no")
        with ainsights.context(content="metadata"):
            ainsights.capture(response=COMPLETION, messages="text")
    assert [insight.messages for insight in insights] == [[{"content": None, "ainsights.chars": 4}]]


def test_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AINSIGHTS_CONTENT", "none")
    with ainsights.testing.capture() as insights:
        ask()
    assert len(insights) == 1


def test_wrong_setting_is_reported() -> None:
    with pytest.raises(ConfigurationError, match="there is no setting 'redaction'"):
        ainsights.testing.capture(redaction="email")
