from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from support.endpoints import running_endpoint
from support.models import COMPLETION, MESSAGES, client, completed, http

import ainsights
from ainsights._config import load
from ainsights._model import Insight
from ainsights._privacy.policy import EventDropped, PrivacyPolicy
from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.endpoints import Endpoint

KEY = "sk-insights-0123456789"
EMAIL = "ann@example.com"


def sent(insight: Insight | None = None, **settings: Any) -> dict[str, Any] | None:
    made = insight or Insight(response=COMPLETION, messages=f"I am {EMAIL}")
    body = PrivacyPolicy(load({}, **settings))(made, None)
    return json.loads(body) if body else None


def test_nothing_is_changed_by_default() -> None:
    made = Insight(response=COMPLETION, messages=EMAIL, meta={"a": 1})
    assert PrivacyPolicy(load({}))(made, None) == made.encode()


def test_image_is_elided_by_default() -> None:
    body = sent(Insight(response=COMPLETION, messages=f"data:image/png;base64,{'Ab1+' * 5000}"))
    assert body is not None
    assert body["messages"].startswith("[image/png, 15000 bytes, sha256 ")


def test_event_beyond_the_limit_is_cut() -> None:
    made = Insight(response=COMPLETION, messages="x y " * 5000)
    assert len(PrivacyPolicy(load({}, max_event_bytes=4096))(made, None) or b"") <= 4096


# before_send


def test_before_send_sees_the_event_last() -> None:
    seen: list[Any] = []

    def look(insight: Insight) -> Insight:
        seen.append(insight.messages)
        return insight

    sent(redact="email", before_send=look)
    assert seen == ["I am [email]"]


def test_before_send_may_change_the_event_and_nothing_else() -> None:
    def change(insight: Insight) -> Insight:
        insight.inputs["x"].append(2)
        insight.meta["deep"]["y"] = 1
        insight.response["model"] = "other"
        return insight

    made = Insight(response=dict(COMPLETION), messages="hi", inputs={"x": [1]}, meta={"deep": {}})
    body = sent(made, before_send=change)
    assert body is not None
    assert (body["inputs"], body["meta"], body["response"]["model"]) == ({"x": [1, 2]}, {"deep": {"y": 1}}, "other")
    assert (made.inputs, made.meta, made.response["model"]) == ({"x": [1]}, {"deep": {}}, "m-1")


def test_before_send_may_return_another_insight() -> None:
    body = sent(before_send=lambda insight: insight.model_copy(update={"messages": "none of it"}))
    assert body is not None
    assert body["messages"] == "none of it"


def test_before_send_that_returns_none_filters() -> None:
    assert sent(before_send=lambda _: None) is None


def test_event_that_before_send_makes_too_large_is_truncated() -> None:
    body = sent(before_send=lambda _: Insight(response={}, messages="x" * 10_000), max_event_bytes=4096)
    assert body is not None
    assert body["meta"]["ainsights.truncated"] == {"messages": 10_000}


def failing(_insight: Insight) -> Insight:
    raise LookupError(EMAIL)


def spoiling(insight: Insight) -> Insight:
    insight.messages = 7  # type: ignore[assignment]
    return insight


@pytest.mark.parametrize("before_send", [failing, spoiling, lambda insight: insight.encode(), lambda _: False])
def test_before_send_that_fails_drops_the_event_and_logs_none_of_it(before_send: Any) -> None:
    with pytest.raises(EventDropped) as caught:
        sent(before_send=before_send)
    assert caught.value.reason == "before_send"
    assert EMAIL not in str(caught.value)


def test_place_where_before_send_failed_is_logged() -> None:
    with pytest.raises(
        EventDropped, match=r"before_send raised LookupError at .*test_privacy\.py:\d+: the event was dropped"
    ):
        sent(before_send=failing)


# Settings


@pytest.mark.parametrize(
    ("given", "rules"),
    [
        ("email, phone", ("email", "phone")),
        (["email"], ("email",)),
        (re.compile("x"), (re.compile("x"),)),
        (str.strip, (str.strip,)),
        (("email", re.compile("x"), str.strip), ("email", re.compile("x"), str.strip)),
        ((), ()),
    ],
    ids=str,
)
def test_redact_takes_names_patterns_and_functions(given: Any, rules: tuple[Any, ...]) -> None:
    assert load({}, redact=given).redact == rules


def test_redact_takes_names_from_the_environment() -> None:
    assert load({"AINSIGHTS_REDACT": "email,ip"}).redact == ("email", "ip")


async def later(value: Any) -> Any:
    return value


@pytest.mark.parametrize(
    ("environ", "given", "expected"),
    [
        (
            {"AINSIGHTS_REDACT": "emial"},
            {},
            "AINSIGHTS_REDACT='emial' is wrong (there is no pattern 'emial', did you mean",
        ),
        ({"AINSIGHTS_REDACT": r"\d+"}, {}, r"there is no pattern '\\d+'"),
        ({}, {"redact": [re.compile(b"x")]}, "of bytes"),
        ({}, {"redact": [7]}, "int is not callable"),
        ({}, {"redact": [later]}, "async"),
        ({}, {"before_send": later}, "before_send=<function later"),
        ({}, {"before_send": 7}, "before_send=7 is wrong"),
        ({"AINSIGHTS_BEFORE_SEND": "module:function"}, {}, "AINSIGHTS_BEFORE_SEND='module:function' is wrong"),
    ],
)
def test_wrong_rule_is_refused_at_start_up(environ: dict[str, str], given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(environ, **given)
    assert expected in str(caught.value)
    assert "It takes " in str(caught.value)


# Counting


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running_endpoint() as endpoint:
        yield endpoint
        ainsights.shutdown(5)


def call_thrice(endpoint: Endpoint, **settings: Any) -> ainsights.Stats:
    ainsights.instrument(base_url=endpoint.url, api_key="key", **settings)
    for _ in range(3):
        client(completed).chat.completions.create(model="m", messages=MESSAGES)
    assert ainsights.flush(20)
    return ainsights.stats()


@pytest.mark.parametrize(
    ("setting", "reason"), [({"redact": failing}, "redact"), ({"before_send": failing}, "before_send")]
)
def test_event_whose_privacy_callback_fails_is_dropped_counted_and_logged_once(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture, setting: dict[str, Callable[..., Any]], reason: str
) -> None:
    stats = call_thrice(endpoint, **setting)
    assert (stats.captured, stats.delivered, stats.queued_events, stats.queued_bytes) == (3, 0, 0, 0)
    assert stats.dropped == {reason: 3}
    assert stats.failures == {}
    assert endpoint.stored == []
    assert len(caplog.messages) == 1
    assert f"raised LookupError at {__file__}" in caplog.text
    assert EMAIL not in caplog.text


def test_event_that_before_send_filters_is_counted(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    stats = call_thrice(endpoint, before_send=lambda _: None)
    assert (stats.captured, stats.filtered, stats.dropped, stats.queued_events) == (3, 3, {}, 0)
    assert "3 filtered" in str(stats)
    assert caplog.messages == []


def test_failed_call_that_is_not_to_be_captured_is_counted_as_filtered(endpoint: Endpoint) -> None:
    ainsights.instrument(base_url=endpoint.url, api_key="key", capture_errors=False)
    refused = client(lambda _: http.Response(400, json={"error": {"message": "no"}}))
    with pytest.raises(Exception, match="no"):
        refused.chat.completions.create(model="m", messages=MESSAGES)
    assert ainsights.flush(20)
    assert ainsights.stats().filtered == 1


def test_redacted_event_is_delivered(endpoint: Endpoint) -> None:
    ainsights.instrument(base_url=endpoint.url, api_key="key", redact="email", content="full")
    client(completed).chat.completions.create(model="m", messages=[{"role": "user", "content": EMAIL}])
    assert ainsights.flush(20)
    assert [body["messages"][0]["content"] for body in endpoint.stored] == ["[email]"]
