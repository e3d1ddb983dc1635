from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.doctor import KEY
from support.endpoints import free_port, running_endpoint

from ainsights._config import SETTINGS, load
from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    from support.doctor import Doctor


def test_each_setting_is_shown_with_where_it_comes_from(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTY_API_KEY", KEY)
    ran = doctor(
        "--json", base_url=f"http://127.0.0.1:{free_port()}", meta="team=a", max_queue_bytes="1MiB", redact="ip"
    )
    settings = ran.document["settings"]
    assert list(settings) == list(SETTINGS)
    assert settings["api_key"] == {"value": "...Key2 (21 characters)", "from": "REQUESTY_API_KEY", "wrong": False}
    assert settings["meta"] == {"value": {"team": "a"}, "from": "AINSIGHTS_META", "wrong": False}
    assert settings["max_queue_bytes"]["value"] == 2**20
    assert settings["redact"]["value"] == ["ip"]
    assert settings["timeout"] == {"value": 10.0, "from": "default", "wrong": False}


def test_our_variable_for_the_key_goes_before_the_other(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTY_API_KEY", "another-Key9")
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", api_key=KEY)
    assert ran.found("key")[0]["details"]["variable"] == "AINSIGHTS_API_KEY"
    assert "another-Key9" not in ran.out


def test_short_key_shows_its_length_alone(doctor: Doctor) -> None:
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", api_key="tiny-key")
    assert ran.document["settings"]["api_key"]["value"] == "(8 characters)"


@pytest.mark.parametrize("name", [name for name in SETTINGS if name not in {"user_id", "spool_dir"}])
def test_wrong_setting_is_a_finding_beside_the_others(doctor: Doctor, name: str) -> None:
    wrong = "a b \x01" if name == "api_key" else "{nonsense"
    with pytest.raises(ConfigurationError) as raised:
        load({f"AINSIGHTS_{name.upper()}": wrong})
    ran = doctor("--json", **{"base_url": f"http://127.0.0.1:{free_port()}", "log_level": "info"} | {name: wrong})
    assert ran.status == 1
    assert [(finding["level"], finding["message"]) for finding in ran.found("settings")] == [
        ("problem", str(raised.value))
    ]
    assert ran.document["settings"][name]["wrong"]
    assert ran.document["settings"]["log_level"] == {
        "value": None if name == "log_level" else "info",
        "from": "AINSIGHTS_LOG_LEVEL",
        "wrong": name == "log_level",
    }
    assert ran.levels("hooks") == ["ok"]
    assert ran.found("endpoint")
    assert ran.found("spool")
    assert not ran.found("capture")


def test_remedy_of_a_wrong_list_can_be_typed(doctor: Doctor) -> None:
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", capture="chat,foo")
    assert ran.found("settings")[0]["remedy"] == "export AINSIGHTS_CAPTURE=chat,responses, or: unset AINSIGHTS_CAPTURE"


def test_wrong_url_keeps_everything_from_the_hosted_endpoint(doctor: Doctor) -> None:
    ran = doctor("--json", "--send", base_url="localhost", api_key=KEY)
    assert [(finding["level"], finding["details"]) for finding in ran.found("endpoint")] == [
        ("warning", {"reachable": None})
    ]
    assert not ran.found("send")


def test_unencrypted_url_is_judged_together_with_what_allows_it(doctor: Doctor) -> None:
    assert doctor("--json", base_url="http://name.invalid", timeout="5").levels("settings") == ["problem"]
    assert doctor("--json", allow_insecure="1").levels("settings") == ["ok"]


def test_two_wrong_settings_are_two_findings(doctor: Doctor) -> None:
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", timeout="x", concurrency="x")
    assert ran.levels("settings") == ["problem", "problem"]


def test_unknown_variable_is_a_warning_that_names_the_right_one(doctor: Doctor) -> None:
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", samplerate="1", server_key="x", run_reported="x")
    warnings = [finding for finding in ran.found("settings") if finding["level"] == "warning"]
    assert [(finding["details"]["variable"], finding["remedy"]) for finding in warnings] == [
        ("AINSIGHTS_SAMPLERATE", "rename it to AINSIGHTS_SAMPLE_RATE")
    ]


@pytest.mark.parametrize(
    ("name", "value"), [("enabled", "0"), ("content", "none"), ("sample_rate", "0")], ids=["enabled", "content", "rate"]
)
def test_capture_that_is_off_is_a_warning(doctor: Doctor, name: str, value: str) -> None:
    ran = doctor("--json", **{"base_url": f"http://127.0.0.1:{free_port()}", "api_key": KEY, name: value})
    assert [(finding["level"], finding["remedy"]) for finding in ran.found("capture")] == [
        ("warning", f"unset AINSIGHTS_{name.upper()}")
    ]


def test_missing_key_for_the_hosted_endpoint_is_a_problem(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{free_port()}")
    ran = doctor("--json")
    assert ran.status == 1
    (key,) = ran.found("key")
    assert (key["level"], key["details"]) == ("problem", {"present": False})
    assert key["remedy"].startswith("export AINSIGHTS_API_KEY=")
    assert not ran.found("capture")
    assert "secret" not in ran.out


def test_missing_key_for_another_endpoint_is_a_warning(doctor: Doctor) -> None:
    with running_endpoint(lambda handler: handler.answer(400)) as endpoint:
        ran = doctor("--json", base_url=endpoint.url)
    assert (ran.status, ran.levels("key"), ran.levels("access")) == (0, ["warning"], ["ok"])
