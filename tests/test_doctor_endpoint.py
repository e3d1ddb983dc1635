from __future__ import annotations

import signal
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
import trustme
from openai.types.chat import ChatCompletion
from support.doctor import COMMAND, KEY, by_contract, environ
from support.endpoints import Handler, free_port, running_endpoint
from test_sender import https

from ainsights import _model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.doctor import Doctor


def test_connection_that_opens_is_ok(doctor: Doctor) -> None:
    with running_endpoint(by_contract()) as endpoint:
        (found,) = doctor("--json", base_url=endpoint.url, api_key=KEY).found("endpoint")
    details = found["details"]
    assert (found["level"], details["reachable"], details["address"], details["tls"]) == ("ok", True, "127.0.0.1", None)


def test_refused_connection_is_a_problem(doctor: Doctor) -> None:
    port = free_port()
    ran = doctor("--json", "--send", base_url=f"http://127.0.0.1:{port}", api_key=KEY)
    (found,) = ran.found("endpoint")
    assert (found["level"], found["remedy"]) == ("problem", f"ainsights serve --port {port}")
    assert ran.levels("send") == ["warning"]


def test_host_that_does_not_resolve_is_a_problem(doctor: Doctor) -> None:
    (found,) = doctor("--json", base_url="https://name.invalid", api_key=KEY).found("endpoint")
    assert found["level"] == "problem"
    assert "gaierror" in found["message"]
    assert "check the host" in found["remedy"]


def test_host_that_is_not_a_name_is_a_problem(doctor: Doctor) -> None:
    ran = doctor("--json", base_url=f"https://{'x' * 64}.invalid", api_key=KEY)
    assert (ran.levels("settings"), ran.levels("endpoint")) == (["problem"], ["warning"])


def test_server_without_tls_is_a_problem(doctor: Doctor) -> None:
    with running_endpoint() as endpoint:
        (found,) = doctor("--json", base_url=endpoint.url.replace("http", "https"), api_key=KEY).found("endpoint")
    assert found["level"] == "problem"
    assert "does not speak TLS" in found["remedy"]


def test_trusted_certificate_is_ok(doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with https(authority) as endpoint:
        ran = doctor("--json", "--send", base_url=f"https://localhost:{endpoint.port}", api_key=KEY)
    (found,) = ran.found("endpoint")
    assert (found["level"], found["details"]["tls"][:3]) == ("ok", "TLS")
    assert ran.levels("send") == ["ok"]


def test_certificate_that_is_not_trusted_is_a_problem(doctor: Doctor) -> None:
    with https(trustme.CA()) as endpoint:
        (found,) = doctor("--json", base_url=f"https://localhost:{endpoint.port}", api_key=KEY).found("endpoint")
    assert found["level"] == "problem"
    assert "SSL_CERT_FILE" in found["remedy"]


def test_proxy_that_refuses_is_named_without_its_password(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{port}")
    ran = doctor("--json", base_url="https://name.invalid", api_key=KEY)
    (found,) = ran.found("endpoint")
    assert (found["level"], found["details"]["proxy"]) == ("problem", f"127.0.0.1:{port}")
    assert "secret" not in ran.out


def test_test_insight_is_valid_and_marked(doctor: Doctor) -> None:
    with running_endpoint() as endpoint:
        ran = doctor("--json", "--send", base_url=endpoint.url, api_key=KEY)
    assert (ran.status, ran.levels("send")) == (0, ["ok"])
    (body,) = endpoint.stored
    insight = _model.Insight.model_validate(body)
    assert list(body) == list(_model.Insight.model_fields)
    assert insight.meta["ainsights.test"] is True
    assert insight.meta["ainsights.event_id"] == ran.found("send")[0]["details"]["event_id"]
    completion = ChatCompletion.model_validate(insight.response, strict=True)
    assert "test insight" in (completion.choices[0].message.content or "")
    assert endpoint.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert endpoint.paths == ["/insight"]


@pytest.mark.parametrize(
    ("status", "fate", "remedy"),
    [
        (401, "held", "export AINSIGHTS_API_KEY="),
        (403, "held", "export AINSIGHTS_API_KEY="),
        (404, "held", "export AINSIGHTS_BASE_URL="),
        (405, "held", "export AINSIGHTS_BASE_URL="),
        (307, "held", "check AINSIGHTS_BASE_URL"),
        (422, "rejected", "check AINSIGHTS_BASE_URL"),
        (503, "retry", "try again later"),
    ],
)
def test_answer_that_is_a_refusal_is_a_problem(doctor: Doctor, status: int, fate: str, remedy: str) -> None:
    with running_endpoint(lambda handler: handler.answer(status, b"no, because")) as endpoint:
        ran = doctor("--json", "--send", base_url=endpoint.url, api_key=KEY)
    (found,) = ran.found("send")
    assert (ran.status, found["level"], found["details"]["status"], found["details"]["disposition"]) == (
        1,
        "problem",
        status,
        fate,
    )
    assert f"{status} no, because" in found["message"]
    assert found["remedy"].startswith(remedy)


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"[]", b'{"success": false}', b""])
def test_unexpected_success_body_is_a_warning(doctor: Doctor, body: bytes) -> None:
    with running_endpoint(lambda handler: handler.answer(200, body)) as endpoint:
        ran = doctor("--json", "--send", base_url=endpoint.url, api_key=KEY)
    assert (ran.status, ran.levels("send")) == (0, ["warning"])


@pytest.mark.parametrize(
    "behave",
    [Handler.hang, Handler.reset, lambda handler: handler.raw(b"\x00garbage\r\n\r\n")],
    ids=["hanging", "resetting", "garbage"],
)
def test_endpoint_that_does_not_answer_is_a_problem(doctor: Doctor, behave: Callable[[Handler], bool]) -> None:
    with running_endpoint(behave) as endpoint:
        ran = doctor("--json", "--send", base_url=endpoint.url, api_key=KEY, timeout="0.3")
    (found,) = ran.found("send")
    assert (ran.levels("endpoint"), found["level"], found["details"]["status"]) == (["ok"], "problem", None)
    assert found["details"]["disposition"] == "retry"


@pytest.mark.parametrize(
    "behave",
    [
        lambda handler: handler.answer(401, b'{"error": "no such key: %s"}' % KEY.encode()),
        lambda handler: handler.answer(200, KEY.encode()),
        lambda handler: handler.raw(b"Authorization: Bearer %s\r\n\r\n" % KEY.encode()),
    ],
    ids=["refusal", "success", "garbage"],
)
@pytest.mark.parametrize("form", [("--json",), ()], ids=["json", "text"])
def test_key_that_the_endpoint_repeats_is_not_shown(
    doctor: Doctor, behave: Callable[[Handler], bool], form: tuple[str, ...]
) -> None:
    with running_endpoint(behave) as endpoint:
        ran = doctor("--send", *form, base_url=endpoint.url, api_key=KEY)
    assert endpoint.requests == 1
    assert KEY not in ran.out


def test_key_that_is_part_of_another_setting_is_not_shown(doctor: Doctor) -> None:
    ran = doctor(base_url=f"http://127.0.0.1:{free_port()}/{KEY}", api_key=KEY, user_id=KEY, timeout=KEY)
    assert "[api_key]" in ran.out


def test_terminal_escapes_of_the_endpoint_are_not_executed(doctor: Doctor) -> None:
    with running_endpoint(lambda handler: handler.answer(500, b"\x1b[2Jgone \x07")) as endpoint:
        ran = doctor("--send", base_url=endpoint.url, api_key=KEY)
    assert r"500 \x1b[2Jgone \x07" in ran.out


def test_interrupt_ends_it_without_a_traceback() -> None:
    arrived = threading.Event()

    def hang(handler: Handler) -> bool:
        arrived.set()
        return handler.hang()

    with running_endpoint(hang) as endpoint:
        ran = subprocess.Popen([*COMMAND, "--send"], env=environ(endpoint.url), stderr=subprocess.PIPE, text=True)
        assert arrived.wait(20)
        ran.send_signal(signal.SIGINT)
        assert (ran.communicate(timeout=30)[1], ran.returncode) == ("", 130)
