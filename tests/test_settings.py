from __future__ import annotations

import pytest

from ainsights._config import HOSTED, Settings, is_loopback, load
from ainsights.errors import ConfigurationError


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
    "ENABLED": "maybe",
    "META": "novalue",
    "CONTENT": "some",
    "SAMPLE_RATE": "1.5",
    "CAPTURE_ERRORS": "2",
    "MAX_QUEUE_EVENTS": "0",
    "MAX_QUEUE_BYTES": "many",
    "MAX_EVENT_BYTES": "-1",
    "CONCURRENCY": "1000",
    "TIMEOUT": "0",
    "EXIT_TIMEOUT": "-1",
    "SPOOL_MAX_BYTES": "0",
    "ALLOW_INSECURE": "perhaps",
    "STRICT": "x",
    "HANDLE_SIGTERM": "y?",
    "LOG_LEVEL": "loud",
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_value_names_variable_value_and_what_it_takes(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({f"AINSIGHTS_{name}": WRONG[name]})
    said = str(caught.value)
    extra = Settings.model_fields[name.lower()].json_schema_extra
    assert isinstance(extra, dict)
    assert said.startswith(f"AINSIGHTS_{name}=")
    assert str(extra["takes"]) in said
    assert name == "API_KEY" or WRONG[name] in said
    assert name != "API_KEY" or "hunter" not in said


def test_every_setting_that_can_be_wrong_is_tested() -> None:
    free = {"user_id", "redact", "before_send", "spool_dir"}
    assert {name.lower() for name in WRONG} | free == set(Settings.model_fields)


def test_all_wrong_values_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({"AINSIGHTS_TIMEOUT": "x"}, sample_rate=2)
    assert "AINSIGHTS_TIMEOUT='x'" in str(caught.value)
    assert "sample_rate=2" in str(caught.value)


def test_unknown_setting_suggests_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean sample_rate"):
        load({}, smaple_rate=1)


def test_credentials_in_the_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({"AINSIGHTS_BASE_URL": "https://ann:hunter2@host"})
    assert "hunter2" not in str(caught.value)


def test_unencrypted_host_is_refused_unless_allowed() -> None:
    with pytest.raises(ConfigurationError, match="AINSIGHTS_ALLOW_INSECURE"):
        load({"AINSIGHTS_BASE_URL": "http://insights.example"})
    allowed = load({"AINSIGHTS_BASE_URL": "http://insights.example", "AINSIGHTS_ALLOW_INSECURE": "1"})
    assert allowed.base_url == "http://insights.example"


@pytest.mark.parametrize("host", ["localhost", "app.localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_loopback_is_known_by_its_form(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["localhost.example.com", "10.0.0.1", "128.0.0.1", "example.com", "", "::2"])
def test_other_hosts_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_trailing_slash_of_the_url_does_not_matter() -> None:
    assert load({"AINSIGHTS_BASE_URL": "https://host/base/"}).base_url == "https://host/base"


def _key(settings: Settings) -> str | None:
    return settings.api_key.get_secret_value() if settings.api_key else None
