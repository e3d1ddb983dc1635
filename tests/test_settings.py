from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.endpoints import running_endpoint

import ainsights
from ainsights._config import HOSTED, SETTINGS, Settings, load
from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPLETION = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}


def test_defaults_hold_where_nothing_is_set() -> None:
    settings = load({})
    assert settings.base_url == HOSTED
    assert settings.api_key is None
    assert settings.enabled
    assert settings.sample_rate == 1


def test_environment_overrides_defaults_and_keywords_override_environment() -> None:
    environ = {"AINSIGHTS_TIMEOUT": "3", "AINSIGHTS_CONCURRENCY": "7"}
    settings = load(environ, timeout=4)
    assert (settings.timeout, settings.concurrency) == (4, 7)


def test_keyword_none_means_not_given() -> None:
    assert load({"AINSIGHTS_USER_ID": "ann"}, user_id=None).user_id == "ann"


def test_empty_variable_means_unset() -> None:
    assert load({"AINSIGHTS_USER_ID": "  "}).user_id is None


def test_requesty_key_is_read_where_there_is_no_other() -> None:
    assert _key(load({"REQUESTY_API_KEY": "theirs"})) == "theirs"
    assert _key(load({"REQUESTY_API_KEY": "theirs", "AINSIGHTS_API_KEY": "ours"})) == "ours"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load({}).timeout = 3  # type: ignore[misc]


def test_settings_show_no_key() -> None:
    assert "secret" not in repr(load({"AINSIGHTS_API_KEY": "secret"}))


@pytest.mark.parametrize(
    ("text", "meta"),
    [
        ("a=1, b=two=2", {"a": "1", "b": "two=2"}),
        ('{"a": 1, "b": {"c": null}}', {"a": 1, "b": {"c": None}}),
        ("a=", {"a": ""}),
    ],
)
def test_meta_is_read_as_pairs_or_json(text: str, meta: dict[str, object]) -> None:
    assert load({"AINSIGHTS_META": text}).meta == meta


@pytest.mark.parametrize(("text", "size"), [("4096", 4096), ("64MB", 64_000_000), ("1GiB", 2**30)])
def test_sizes_have_units(text: str, size: int) -> None:
    assert load({"AINSIGHTS_MAX_QUEUE_BYTES": text}).max_queue_bytes == size


WRONG = {
    "API_KEY": "hunter\n2",
    "BASE_URL": "ftp://host",
    "PATH": "insight",
    "BEFORE_SEND": "module.function",
    "ENABLED": "maybe",
    "META": "novalue",
    "CONTENT": "some",
    "REDACT": "emial",
    "SAMPLE_RATE": "1.5",
    "CAPTURE": "chat,images",
    "CAPTURE_ERRORS": "2",
    "MAX_QUEUE_EVENTS": "0",
    "MAX_QUEUE_BYTES": "many",
    "MAX_EVENT_BYTES": "4095",
    "CONCURRENCY": "1000",
    "TIMEOUT": "0",
    "EXIT_TIMEOUT": "-1",
    "SPOOL_DIR": "~no-such-user/spool",
    "SPOOL_MAX_BYTES": "65535",
    "ALLOW_INSECURE": "perhaps",
    "STRICT": "x",
    "HANDLE_SIGTERM": "y?",
    "LOG_LEVEL": "loud",
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_value_names_variable_value_and_what_it_takes(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({f"AINSIGHTS_{name}": WRONG[name]})
    message = str(caught.value)
    assert message.startswith(f"AINSIGHTS_{name}=")
    assert SETTINGS[name.lower()].takes in message
    assert name == "API_KEY" or WRONG[name] in message
    assert name != "API_KEY" or "hunter" not in message


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("capture", "chat,foo", "there is no API 'foo'"),
        ("capture", "chats", "there is no API 'chats', did you mean 'chat'?"),
        ("capture", ",", "it names no API"),
        ("redact", "emial", "there is no pattern 'emial', did you mean 'email'?"),
    ],
)
def test_wrong_name_in_a_list_is_named(name: str, value: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({f"AINSIGHTS_{name.upper()}": value})
    assert f"={value!r} is wrong ({reason}). It takes names" in str(caught.value)


def test_capture_of_no_api_is_refused_in_code_too() -> None:
    with pytest.raises(ConfigurationError, match="names no API"):
        load({}, capture=[])


@pytest.mark.parametrize("value", ["", "  "])
def test_empty_capture_means_the_default(value: str) -> None:
    assert load({"AINSIGHTS_CAPTURE": value}).capture == ("chat", "responses")


def test_every_setting_that_can_be_wrong_is_tested() -> None:
    assert {name.lower() for name in WRONG} | {"user_id"} == set(SETTINGS) == set(Settings.model_fields)


def test_all_wrong_values_are_reported_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({"AINSIGHTS_TIMEOUT": "x"}, sample_rate=2)
    assert "AINSIGHTS_TIMEOUT='x'" in str(caught.value)
    assert "sample_rate=2" in str(caught.value)


def test_unknown_setting_suggests_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean sample_rate"):
        load({}, smaple_rate=1)


@pytest.mark.parametrize("name", ["max_event_bytes", "max_queue_bytes", "spool_max_bytes"])
@pytest.mark.parametrize("value", [1, "1", "1KB"])
def test_size_that_no_event_fits_into_is_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}={value!r} is wrong .* at least"):
        ainsights.Insights(base_url="http://localhost:1", **{name: value})


def test_event_of_the_smallest_size_is_delivered() -> None:
    with (
        running_endpoint() as endpoint,
        ainsights.Insights(base_url=endpoint.url, max_event_bytes=4096, max_queue_bytes="1MB") as insights,
    ):
        insights.capture(response=COMPLETION, messages="x" * 50_000)
        assert insights.flush(20)
    assert endpoint.stored[0]["meta"]["ainsights.truncated"]["messages"] == 50_000


class Scrubber:
    def method(self, insight: object) -> object:
        return insight

    def __call__(self, insight: object) -> object:
        return insight


class AsyncScrubber:
    async def __call__(self, insight: object) -> object:
        return insight


async def asynchronous(insight: object) -> object:
    return insight


def generator(insight: object) -> Iterator[object]:
    yield insight


def needs_a_keyword(insight: object, *, audit: object) -> object:
    return insight, audit


def is_optional(insight: object = None, *more: object, audit: object = None) -> object:
    return insight, more, audit


TAKEN = [Scrubber(), Scrubber().method, is_optional, partial(needs_a_keyword, audit=1), str, str.upper, print]
REFUSED = {
    "no argument": (lambda: 1, "cannot be called with one argument"),
    "two arguments": (lambda insight, audit: (insight, audit), "cannot be called with one argument"),
    "unbound method": (Scrubber.method, "cannot be called with one argument"),
    "keyword": (needs_a_keyword, "cannot be called with one argument"),
    "async": (asynchronous, "async function or a generator"),
    "partial of async": (partial(asynchronous), "async function or a generator"),
    "object with async call": (AsyncScrubber(), "async function or a generator"),
    "generator": (generator, "async function or a generator"),
    "number": (3, "int is not callable"),
}


@pytest.mark.parametrize("name", ["before_send", "redact"])
@pytest.mark.parametrize("function", TAKEN)
def test_function_that_takes_one_argument_is_taken(name: str, function: object) -> None:
    assert getattr(load({}, **{name: function}), name) in (function, (function,))


@pytest.mark.parametrize("name", ["before_send", "redact"])
@pytest.mark.parametrize(("function", "reason"), REFUSED.values(), ids=REFUSED)
def test_function_that_would_fail_on_each_event_is_refused(name: str, function: object, reason: str) -> None:
    value = [function] if name == "redact" else function
    with pytest.raises(ConfigurationError, match=rf"(?s){name}=.* is wrong \(.*{reason}.*\). It takes .*function"):
        ainsights.Insights(base_url="http://localhost:1", **{name: value})


def test_home_directory_in_the_spool_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load({"AINSIGHTS_SPOOL_DIR": "~/spool"}).spool_dir == tmp_path / "spool"
    assert load({}, spool_dir=Path("~/spool")).spool_dir == tmp_path / "spool"


# Variables that are not read


def instrumented(*, calls: int = 1, **environ: str) -> str:
    program = "import ainsights\n" + "ainsights.instrument()\n" * calls
    variables = os.environ | {"AINSIGHTS_ENABLED": "0"} | environ
    ran = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True)
    return ran.stderr


def test_unknown_variable_is_logged_once() -> None:
    assert instrumented(calls=3, AINSIGHTS_SAMPLERATE="0.5") == (
        "Unknown setting AINSIGHTS_SAMPLERATE (ignored). Did you mean AINSIGHTS_SAMPLE_RATE?\n"
    )


def test_each_unknown_variable_is_logged() -> None:
    logged = instrumented(AINSIGHTS_APIKEY="secret", AINSIGHTS_X="1")
    assert "AINSIGHTS_APIKEY (ignored). Did you mean AINSIGHTS_API_KEY?\n" in logged
    assert "Unknown setting AINSIGHTS_X (ignored)\n" in logged
    assert "secret" not in logged


def test_variables_of_the_commands_are_known() -> None:
    assert instrumented(AINSIGHTS_SERVER_KEY="k", AINSIGHTS_RUN_REPORTED="x", AINSIGHTS_TIMEOUT="3") == ""


def _key(settings: Settings) -> str | None:
    return settings.api_key.get_secret_value() if settings.api_key else None
