from __future__ import annotations

import functools
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import openai
import pytest
import trustme
import wrapt
from openai import _base_client
from openai.resources.chat.completions import Completions
from openai.types.chat import ChatCompletion
from support.endpoints import Handler, endpoint, free_port
from test_sender import https

from ainsights import _model
from ainsights._cli import main
from ainsights._config import Settings, load
from ainsights._delivery.spool.spool import Spool
from ainsights._doctor import openai_hooks
from ainsights._doctor import spool as spool_check
from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "rq-Doctor0Marker1Key2"
COMMAND = [sys.executable, "-m", "ainsights", "doctor"]


class Ran(NamedTuple):
    status: int
    out: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document

    def found(self, check: str) -> list[dict[str, Any]]:
        """Return what the document says of ``check``."""
        return [finding for finding in self.document["findings"] if finding["check"] == check]

    def levels(self, check: str) -> list[str]:
        return [finding["level"] for finding in self.found(check)]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Run the command here, with settings by the names that they have without our prefix."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def run(*args: str, **settings: str) -> Ran:
        for name, value in settings.items():
            monkeypatch.setenv(f"AINSIGHTS_{name.upper()}", value)
        status = main(["doctor", *args])
        printed = capsys.readouterr()
        assert printed.err == ""
        assert KEY not in printed.out
        return Ran(status, printed.out)

    return run


def environ(url: str) -> dict[str, str]:
    return os.environ | {"AINSIGHTS_BASE_URL": url, "AINSIGHTS_API_KEY": KEY}


# The whole


def test_all_is_well_with_status_0(tmp_path: Path) -> None:
    with endpoint() as it:
        more = {"AINSIGHTS_SPOOL_DIR": str(tmp_path / "spool")}
        ran = subprocess.run(
            [*COMMAND, "--json"], env=environ(it.url) | more, capture_output=True, text=True, check=False
        )
    assert (ran.returncode, ran.stderr) == (0, "")
    document = json.loads(ran.stdout)
    assert (document["ok"], document["problems"], document["warnings"]) == (True, 0, 0)
    assert {finding["level"] for finding in document["findings"]} == {"ok"}
    checks = [finding["check"] for finding in document["findings"]]
    assert checks == ["settings", "key", "capture", "python", "openai", "hooks", "others", "endpoint", "spool"]
    assert it.requests == 0


def test_document_has_stable_keys(doctor: Callable[..., Ran]) -> None:
    document = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}").document
    assert list(document) == ["ainsights", "ok", "problems", "warnings", "settings", "findings"]
    assert {tuple(row) for row in document["settings"].values()} == {("value", "from", "wrong")}
    assert {tuple(finding) for finding in document["findings"]} == {("check", "level", "says", "remedy", "facts")}


def test_text_says_the_same_as_the_document(doctor: Callable[..., Ran]) -> None:
    settings = {"base_url": f"http://127.0.0.1:{free_port()}", "api_key": KEY, "concurrency": "many"}
    ran = doctor("--json", **settings)
    text = doctor(**settings).out
    for finding in ran.document["findings"]:
        assert f"{finding['level']:7}  {finding['check']}: {finding['says']}\n" in text
        assert not finding["remedy"] or f"-> {finding['remedy']}\n" in text
    assert text.endswith("2 problems, no warnings.\n")


def test_whatever_is_not_ok_has_a_remedy_of_one_line(doctor: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = doctor(
        "--json", "--send", base_url=f"http://127.0.0.1:{free_port()}", timeout="x", spool_dir=str(tmp_path / "file")
    )
    assert ran.status == 1
    assert ran.document["problems"] == 3
    for finding in ran.document["findings"]:
        assert (finding["level"] == "ok") == (finding["remedy"] is None)
        assert "\n" not in (finding["remedy"] or "") + finding["says"]


def test_what_was_not_thought_of_is_a_finding(doctor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(_base_client, "SyncAPIClient")
    monkeypatch.setattr(openai_hooks, "HOOKS", (object(),))
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}")
    assert ran.levels("openai") == ["ok", "problem"]
    assert ran.found("spool")


# Settings


def test_each_setting_is_shown_with_where_it_comes_from(
    doctor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTY_API_KEY", KEY)
    ran = doctor(
        "--json", base_url=f"http://127.0.0.1:{free_port()}", meta="team=a", max_queue_bytes="1MiB", redact="ip"
    )
    settings = ran.document["settings"]
    assert list(settings) == list(Settings.model_fields)
    assert settings["api_key"] == {"value": "...Key2 (21 characters)", "from": "REQUESTY_API_KEY", "wrong": False}
    assert settings["meta"] == {"value": {"team": "a"}, "from": "AINSIGHTS_META", "wrong": False}
    assert settings["max_queue_bytes"]["value"] == 2**20
    assert settings["redact"]["value"] == ["ip"]
    assert settings["timeout"] == {"value": 10.0, "from": "default", "wrong": False}


def test_our_variable_for_the_key_goes_before_the_other(
    doctor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTY_API_KEY", "another-Key9")
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", api_key=KEY)
    assert ran.found("key")[0]["facts"]["variable"] == "AINSIGHTS_API_KEY"
    assert "another-Key9" not in ran.out


def test_short_key_shows_its_length_alone(doctor: Callable[..., Ran]) -> None:
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", api_key="tiny-key")
    assert ran.document["settings"]["api_key"]["value"] == "(8 characters)"


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if name not in {"user_id", "spool_dir"}])
def test_wrong_setting_is_a_finding_beside_the_others(doctor: Callable[..., Ran], name: str) -> None:
    wrong = "a b \x01" if name == "api_key" else "{nonsense"
    with pytest.raises(ConfigurationError) as raised:
        load({f"AINSIGHTS_{name.upper()}": wrong})
    ran = doctor("--json", **{"base_url": f"http://127.0.0.1:{free_port()}", "log_level": "info"} | {name: wrong})
    assert ran.status == 1
    assert [(finding["level"], finding["says"]) for finding in ran.found("settings")] == [
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


def test_wrong_url_keeps_everything_from_the_hosted_endpoint(doctor: Callable[..., Ran]) -> None:
    ran = doctor("--json", "--send", base_url="localhost", api_key=KEY)
    assert [(it["level"], it["facts"]) for it in ran.found("endpoint")] == [("warning", {"reachable": None})]
    assert not ran.found("send")


def test_unencrypted_url_is_judged_together_with_what_allows_it(doctor: Callable[..., Ran]) -> None:
    assert doctor("--json", base_url="http://name.invalid", timeout="5").levels("settings") == ["problem"]
    assert doctor("--json", allow_insecure="1").levels("settings") == ["ok"]


def test_two_wrong_settings_are_two_findings(doctor: Callable[..., Ran]) -> None:
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", timeout="x", concurrency="x")
    assert ran.levels("settings") == ["problem", "problem"]


def test_misspelt_variable_is_a_warning_that_names_the_right_one(doctor: Callable[..., Ran]) -> None:
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", samplerate="1", server_key="x", run_said="x")
    warnings = [finding for finding in ran.found("settings") if finding["level"] == "warning"]
    assert [(it["facts"]["variable"], it["remedy"]) for it in warnings] == [
        ("AINSIGHTS_SAMPLERATE", "rename it to AINSIGHTS_SAMPLE_RATE")
    ]


@pytest.mark.parametrize(
    ("name", "value"), [("enabled", "0"), ("content", "none"), ("sample_rate", "0")], ids=["enabled", "content", "rate"]
)
def test_capture_that_is_off_is_a_warning(doctor: Callable[..., Ran], name: str, value: str) -> None:
    ran = doctor("--json", **{"base_url": f"http://127.0.0.1:{free_port()}", "api_key": KEY, name: value})
    assert [(it["level"], it["remedy"]) for it in ran.found("capture")] == [
        ("warning", f"unset AINSIGHTS_{name.upper()}")
    ]


def test_missing_key_for_the_hosted_endpoint_is_a_problem(
    doctor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{free_port()}")
    ran = doctor("--json")
    assert ran.status == 1
    (key,) = ran.found("key")
    assert (key["level"], key["facts"]) == ("problem", {"present": False})
    assert key["remedy"].startswith("export AINSIGHTS_API_KEY=")
    assert not ran.found("capture")
    assert "secret" not in ran.out


def test_missing_key_for_another_endpoint_is_a_warning(doctor: Callable[..., Ran]) -> None:
    with endpoint() as it:
        ran = doctor("--json", base_url=it.url)
    assert (ran.status, ran.levels("key")) == (0, ["warning"])


# openai


def test_versions_are_told(doctor: Callable[..., Ran]) -> None:
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}")
    facts = ran.found("openai")[0]["facts"]
    assert facts["openai"] == openai.__version__
    assert facts["http"].startswith("httpx2 " if int(openai.__version__.partition(".")[0]) >= 3 else "httpx ")
    assert ran.found("python")[0]["facts"]["executable"] == sys.executable


def test_hooks_are_taken_back(doctor: Callable[..., Ran]) -> None:
    before = _base_client.SyncAPIClient.request
    assert len(doctor("--json", base_url=f"http://127.0.0.1:{free_port()}").found("hooks")[0]["facts"]["took"]) == 5
    assert _base_client.SyncAPIClient.request is before


def test_seam_that_is_gone_is_a_problem(doctor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(_base_client.AsyncAPIClient, "_process_response")
    (hooks,) = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}").found("hooks")
    assert (hooks["level"], hooks["facts"]["missing"]) == ("problem", ["AsyncAPIClient._process_response"])


def test_openai_that_is_not_installed_is_a_problem(doctor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}")
    (found,) = ran.found("openai")
    assert found["level"] == "problem"
    assert "not installed" in found["says"]
    assert "pip install" in found["remedy"]
    assert ran.found("endpoint")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("raise RuntimeError('broken')", "cannot be imported: RuntimeError: broken"),
        ("", "stands before the OpenAI SDK, and is not it"),
        ("__version__ = '9.0.0'", "openai 9.0.0 has no openai._base_client"),
    ],
    ids=["broken", "a user's own", "of the future"],
)
def test_openai_that_cannot_be_used_is_a_problem(tmp_path: Path, source: str, says: str) -> None:
    (tmp_path / "openai.py").write_text(source)
    settings = environ(f"http://127.0.0.1:{free_port()}") | {"PYTHONPATH": str(tmp_path)}
    ran = subprocess.run([*COMMAND, "--json"], env=settings, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, "")
    (found,) = Ran(ran.returncode, ran.stdout).found("openai")
    assert found["level"] == "problem"
    assert says in found["says"]


def test_openai_that_is_too_old_is_a_problem(doctor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "__version__", "1.55.2")
    (found,) = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}").found("openai")
    assert (found["level"], found["remedy"]) == (
        "problem",
        "python -m pip install --upgrade 'openai>=1.55.3'",
    )


# Who else


def theirs_plain(original: Any) -> Any:
    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    return wrapper


def theirs_by_wrapt(original: Any) -> Any:
    def wrapper(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(*args, **kwargs)

    return wrapt.FunctionWrapper(original, wrapper)


def theirs_without_a_trace(original: Any) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    return wrapper


def theirs_partial(original: Any) -> Any:
    return functools.partial(theirs_plain(original))


class Theirs:
    def __init__(self, original: Any) -> None:
        self.__wrapped__ = original

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)


WRAPPERS = [theirs_plain, theirs_by_wrapt, theirs_without_a_trace, theirs_partial, Theirs]


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_wrapper_around_a_client_is_a_warning_that_names_its_module(
    doctor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, wrap: Callable[[Any], Any]
) -> None:
    monkeypatch.setattr(openai.OpenAI, "request", wrap(_base_client.SyncAPIClient.request), raising=False)
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}")
    (others,) = ran.found("others")
    assert (others["level"], others["facts"]) == ("warning", {"patched": {"OpenAI.request": [__name__]}})
    assert __name__ in others["says"]


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_wrapper_around_a_resource_is_named_and_harmless(
    doctor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, wrap: Callable[[Any], Any]
) -> None:
    monkeypatch.setattr(Completions, "create", wrap(Completions.create))
    (others,) = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}").found("others")
    assert (others["level"], others["facts"]) == ("ok", {"patched": {"Completions.create": [__name__]}})
    assert __name__ in others["says"]


def test_wrapper_around_a_seam_leaves_our_hooks_working(
    doctor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = theirs_plain(_base_client.SyncAPIClient.request)
    monkeypatch.setattr(_base_client.SyncAPIClient, "request", theirs)
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}")
    assert ran.levels("hooks") == ["ok"]
    assert ran.found("others")[0]["facts"] == {"patched": {"SyncAPIClient.request": [__name__]}}
    assert _base_client.SyncAPIClient.request is theirs


def test_all_of_several_wrappers_are_named() -> None:
    another: Any = json.dumps
    theirs = theirs_by_wrapt(wrapt.FunctionWrapper(Completions.create, another))
    assert openai_hooks.strangers(theirs) == [__name__, "json"]
    assert openai_hooks.strangers(Completions.create) == []


# The endpoint


def test_connection_that_opens_is_ok_and_sends_nothing(doctor: Callable[..., Ran]) -> None:
    with endpoint() as it:
        (found,) = doctor("--json", base_url=it.url, api_key=KEY).found("endpoint")
        assert it.requests == 0
    facts = found["facts"]
    assert (found["level"], facts["reachable"], facts["address"], facts["tls"]) == ("ok", True, "127.0.0.1", None)


def test_refused_connection_is_a_problem(doctor: Callable[..., Ran]) -> None:
    port = free_port()
    ran = doctor("--json", "--send", base_url=f"http://127.0.0.1:{port}", api_key=KEY)
    (found,) = ran.found("endpoint")
    assert (found["level"], found["remedy"]) == ("problem", f"ainsights serve --port {port}")
    assert ran.levels("send") == ["warning"]


def test_host_that_does_not_resolve_is_a_problem(doctor: Callable[..., Ran]) -> None:
    (found,) = doctor("--json", base_url="https://name.invalid", api_key=KEY).found("endpoint")
    assert found["level"] == "problem"
    assert "gaierror" in found["says"]
    assert "check the host" in found["remedy"]


def test_host_that_is_no_name_is_a_problem(doctor: Callable[..., Ran]) -> None:
    ran = doctor("--json", base_url=f"https://{'x' * 64}.invalid", api_key=KEY)
    assert (ran.levels("settings"), ran.levels("endpoint")) == (["problem"], ["warning"])


def test_what_speaks_no_tls_is_a_problem(doctor: Callable[..., Ran]) -> None:
    with endpoint() as it:
        (found,) = doctor("--json", base_url=it.url.replace("http", "https"), api_key=KEY).found("endpoint")
    assert found["level"] == "problem"
    assert "does not speak TLS" in found["remedy"]


def test_trusted_certificate_is_ok(doctor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with https(authority) as it:
        ran = doctor("--json", "--send", base_url=f"https://localhost:{it.port}", api_key=KEY)
    (found,) = ran.found("endpoint")
    assert (found["level"], found["facts"]["tls"][:3]) == ("ok", "TLS")
    assert ran.levels("send") == ["ok"]


def test_certificate_that_is_not_trusted_is_a_problem(doctor: Callable[..., Ran]) -> None:
    with https(trustme.CA()) as it:
        (found,) = doctor("--json", base_url=f"https://localhost:{it.port}", api_key=KEY).found("endpoint")
    assert found["level"] == "problem"
    assert "SSL_CERT_FILE" in found["remedy"]


def test_proxy_that_refuses_is_named_without_its_password(
    doctor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{port}")
    ran = doctor("--json", base_url="https://name.invalid", api_key=KEY)
    (found,) = ran.found("endpoint")
    assert (found["level"], found["facts"]["proxy"]) == ("problem", f"127.0.0.1:{port}")
    assert "secret" not in ran.out


# The test insight


def test_test_insight_is_valid_and_marked(doctor: Callable[..., Ran]) -> None:
    with endpoint() as it:
        ran = doctor("--json", "--send", base_url=it.url, api_key=KEY)
    assert (ran.status, ran.levels("send")) == (0, ["ok"])
    (body,) = it.stored
    insight = _model.Insight.model_validate(body)
    assert list(body) == list(_model.Insight.model_fields)
    assert insight.meta["ainsights.test"] is True
    assert insight.meta["ainsights.event_id"] == ran.found("send")[0]["facts"]["event_id"]
    completion = ChatCompletion.model_validate(insight.response, strict=True)
    assert "test insight" in (completion.choices[0].message.content or "")
    assert it.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert it.paths == ["/insight"]


@pytest.mark.parametrize(
    ("status", "fate", "remedy"),
    [
        (401, "held", "export AINSIGHTS_API_KEY="),
        (403, "held", "export AINSIGHTS_API_KEY="),
        (404, "held", "export AINSIGHTS_BASE_URL="),
        (307, "held", "check AINSIGHTS_BASE_URL"),
        (422, "rejected", "check AINSIGHTS_BASE_URL"),
        (503, "retry", "try again later"),
    ],
)
def test_answer_that_is_a_refusal_is_a_problem(doctor: Callable[..., Ran], status: int, fate: str, remedy: str) -> None:
    with endpoint(lambda handler: handler.answer(status, b"no, because")) as it:
        ran = doctor("--json", "--send", base_url=it.url, api_key=KEY)
    (found,) = ran.found("send")
    assert (ran.status, found["level"], found["facts"]["status"], found["facts"]["fate"]) == (
        1,
        "problem",
        status,
        fate,
    )
    assert f"{status} no, because" in found["says"]
    assert found["remedy"].startswith(remedy)


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"[]", b'{"success": false}', b""])
def test_success_in_other_words_is_a_warning(doctor: Callable[..., Ran], body: bytes) -> None:
    with endpoint(lambda handler: handler.answer(200, body)) as it:
        ran = doctor("--json", "--send", base_url=it.url, api_key=KEY)
    assert (ran.status, ran.levels("send")) == (0, ["warning"])


@pytest.mark.parametrize(
    "behave",
    [Handler.hang, Handler.reset, lambda handler: handler.raw(b"\x00garbage\r\n\r\n")],
    ids=["hanging", "resetting", "garbage"],
)
def test_endpoint_that_does_not_answer_is_a_problem(
    doctor: Callable[..., Ran], behave: Callable[[Handler], bool]
) -> None:
    with endpoint(behave) as it:
        ran = doctor("--json", "--send", base_url=it.url, api_key=KEY, timeout="0.3")
    (found,) = ran.found("send")
    assert (ran.levels("endpoint"), found["level"], found["facts"]["status"]) == (["ok"], "problem", None)
    assert found["facts"]["fate"] == "retry"


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
    doctor: Callable[..., Ran], behave: Callable[[Handler], bool], form: tuple[str, ...]
) -> None:
    with endpoint(behave) as it:
        ran = doctor("--send", *form, base_url=it.url, api_key=KEY)
    assert it.requests == 1
    assert KEY not in ran.out


def test_key_that_stands_in_another_setting_is_not_shown(doctor: Callable[..., Ran]) -> None:
    ran = doctor(base_url=f"http://127.0.0.1:{free_port()}/{KEY}", api_key=KEY, user_id=KEY, timeout=KEY)
    assert "[api_key]" in ran.out


def test_terminal_does_not_obey_the_endpoint(doctor: Callable[..., Ran]) -> None:
    with endpoint(lambda handler: handler.answer(500, b"\x1b[2Jgone \x07")) as it:
        ran = doctor("--send", base_url=it.url, api_key=KEY)
    assert r"500 \x1b[2Jgone \x07" in ran.out


def test_interrupt_ends_it_without_a_traceback() -> None:
    arrived = threading.Event()

    def hang(handler: Handler) -> bool:
        arrived.set()
        return handler.hang()

    with endpoint(hang) as it:
        ran = subprocess.Popen([*COMMAND, "--send"], env=environ(it.url), stderr=subprocess.PIPE, text=True)
        assert arrived.wait(20)
        ran.send_signal(signal.SIGINT)
        assert (ran.communicate(timeout=30)[1], ran.returncode) == ("", 130)


# The spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", 2**30)


def test_spool_that_is_not_there_yet_is_ok_and_not_made(doctor: Callable[..., Ran], tmp_path: Path) -> None:
    directory = tmp_path / "not" / "there"
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", spool_dir=str(directory))
    assert ran.levels("spool") == ["ok"]
    assert not (tmp_path / "not").exists()


def test_spool_is_counted(doctor: Callable[..., Ran], spool: Spool) -> None:
    spool.add([b"one", b"two", b"three"])
    spool.close()
    (claimed,) = spool.claim(1)
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", spool_dir=str(spool.directory))
    facts = ran.found("spool")[0]["facts"]
    assert (facts["waiting"], facts["claimed"], facts["dead"]) == (2, 1, 0)
    assert facts["bytes"] > 0
    assert facts["oldest_seconds"] >= 0
    spool.acknowledge(claimed[0])
    spool.close()


def test_dead_letters_are_a_warning_with_their_reasons(doctor: Callable[..., Ran], spool: Spool) -> None:
    (number,) = spool.add([b"one"])
    assert number is not None
    spool.reject(number, "422 no such model")
    spool.close()
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", spool_dir=str(spool.directory))
    assert ran.levels("spool") == ["ok", "warning"]
    letters = ran.found("spool")[1]
    assert "422 no such model" in letters["says"]
    assert letters["remedy"].startswith("ainsights spool retry-rejected")
    assert letters["facts"]["dead"] == 1


def test_events_that_wait_for_long_are_a_warning(spool: Spool) -> None:
    spool.add([b"one"])
    spool.close()
    settings = load({"AINSIGHTS_SPOOL_DIR": str(spool.directory)})
    assert [it.level for it in spool_check.look(settings, time.time())] == ["ok"]
    later = list(spool_check.look(settings, time.time() + 3 * 86400))
    assert [it.level for it in later] == ["ok", "warning"]
    assert "3 d old" in later[0].says
    assert later[1].remedy == "ainsights spool flush"


def test_spool_that_is_nearly_full_is_a_warning(doctor: Callable[..., Ran], spool: Spool) -> None:
    spool.add([b"x" * 50_000])
    spool.close()
    ran = doctor(
        "--json",
        base_url=f"http://127.0.0.1:{free_port()}",
        spool_dir=str(spool.directory),
        spool_max_bytes=str(spool.status().bytes),
    )
    spool.close()
    assert "nearly full" in ran.found("spool")[1]["says"]


def test_directory_below_a_file_is_a_problem(doctor: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", spool_dir=str(tmp_path / "file" / "spool"))
    (found,) = ran.found("spool")
    assert (ran.status, found["level"], found["facts"]["usable"]) == (1, "problem", False)
    assert "is no directory" in found["says"]
    assert found["remedy"].startswith("export AINSIGHTS_SPOOL_DIR=")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a directory that takes no file, not even root's")
def test_directory_that_is_not_writable_is_a_problem(doctor: Callable[..., Ran]) -> None:
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", spool_dir="/proc/spool")
    assert ran.levels("spool") == ["problem"]
    assert "/proc is not writable" in ran.found("spool")[0]["says"]


def test_damaged_spool_is_a_problem_once(doctor: Callable[..., Ran], spool: Spool) -> None:
    spool.directory.mkdir(mode=0o700)
    (spool.directory / "spool.db").write_bytes(b"no database" * 1000)
    settings = {"base_url": f"http://127.0.0.1:{free_port()}", "spool_dir": str(spool.directory)}
    (found,) = doctor("--json", **settings).found("spool")
    assert found["level"] == "problem"
    assert "set aside" in found["says"]
    assert doctor("--json", **settings).levels("spool") == ["ok"]


# What a terminal gets


def on_a_terminal(url: str, **more: str) -> str:
    ours, its = pty.openpty()
    ran = subprocess.Popen(COMMAND, env=environ(url) | {"TERM": "xterm"} | more, stdout=its)
    os.close(its)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # how a terminal says that nobody writes any more
        pass
    finally:
        os.close(ours)
    assert ran.wait(30) == 1
    return shown.decode()


def test_terminal_gets_colour_unless_it_wants_none() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert "\x1b[31mproblem\x1b[0m" in on_a_terminal(url, NO_COLOR="")
    assert "\x1b[" not in on_a_terminal(url, NO_COLOR="1")
    assert "\x1b[" not in on_a_terminal(url, TERM="dumb")


def test_no_terminal_gets_no_colour(doctor: Callable[..., Ran]) -> None:
    assert "\x1b" not in doctor(base_url=f"http://127.0.0.1:{free_port()}").out


def test_text_that_the_output_cannot_carry_is_escaped() -> None:
    settings = environ(f"http://127.0.0.1:{free_port()}")
    settings |= {"AINSIGHTS_USER_ID": "J\u00fcrgen", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    ran = subprocess.run(COMMAND, env=settings, capture_output=True, text=True, check=False)
    assert ran.stderr == ""
    assert r"J\xfcrgen" in ran.stdout
