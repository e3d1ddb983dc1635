from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.endpoints import Handler, free_port, running_endpoint
from support.programs import run, settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OURS = "rq-Insights0Canary1Key2"
THEIRS = "sk-proj-Model0Canary1Key2xyz"
LOCAL = "pretend-Canary-key"
"""A key of a model server, of no known form."""

TALKATIVE = """
import gc, logging, sys, traceback
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
logging.getLogger("openai").setLevel(logging.WARNING)  # it logs the arguments of each call
import ainsights
from ainsights.errors import ConfigurationError

KEYS = sys.argv[1:]

def refuse(request):
    key = request.headers["authorization"].removeprefix("Bearer ")
    refusal = f"Incorrect API key provided: {key}. You can find your API key at https://example.com."
    error = {"type": "invalid_request_error", "code": "invalid_api_key", "message": refusal}
    return http.Response(401, json={"error": error})

def calls():
    for key in KEYS:
        for answers in (refuse, answer):
            transport = http.MockTransport(answers)
            it = openai.OpenAI(api_key=key, max_retries=0, http_client=http.Client(transport=transport))
            carried = {"api_key": key, "router": {"api_key": key}}
            try:
                it.chat.completions.create(model="m", messages=MESSAGES, extra_body=carried)
            except openai.AuthenticationError:
                pass

def show(thing):
    print(repr(thing), str(thing))
"""

WORK = """
insights = ainsights.instrument()
calls()
print(ainsights.flush(2), ainsights.stats())
show(insights.settings)
print(vars(insights), vars(insights.settings))
print(insights.settings.model_dump(), insights.settings.model_dump_json())
for thing in gc.get_objects():
    if str(type(thing).__module__).partition(".")[0] == "ainsights":
        show(thing)
"""


def emitted(program: str, url: str, *keys: str, **more: str) -> str:
    ran = run(TALKATIVE + program, *keys, **settings(url, **{"api_key": OURS, "log_level": "debug", **more}))
    assert ran.status == 0, ran.err
    return ran.out + ran.err


def echo(status: int) -> Callable[[Handler], bool]:
    return lambda handler: handler.answer(status, f"refused: {handler.headers['Authorization']}".encode())


@pytest.mark.parametrize("status", [200, 400, 401, 404, 503], ids=str)
def test_no_key_is_logged_or_shown_whatever_the_endpoint_answers(status: int) -> None:
    with running_endpoint(echo(status)) as endpoint:
        output = emitted(WORK, endpoint.url, THEIRS, exit_timeout="1")
    assert endpoint.requests
    assert "Canary" not in output


def test_no_key_is_logged_or_shown_where_no_endpoint_is() -> None:
    output = emitted(WORK, f"http://127.0.0.1:{free_port()}", THEIRS, exit_timeout="1")
    assert "ConnectionRefused" in output
    assert "Canary" not in output


def test_no_key_is_in_an_event_though_errors_and_arguments_repeat_it() -> None:
    with running_endpoint() as endpoint:
        emitted(WORK, endpoint.url, THEIRS, LOCAL)
    assert len(endpoint.stored) == 4
    assert "Canary" not in str(endpoint.stored)
    assert [body["response"]["error"]["code"] for body in endpoint.stored if "error" in body["response"]] == [
        "invalid_api_key",
        "invalid_api_key",
    ]


def test_key_of_the_endpoint_goes_to_it_alone_and_as_a_header() -> None:
    with running_endpoint() as endpoint:
        emitted(WORK, endpoint.url, OURS)
    assert {headers.pop("Authorization") for headers in endpoint.headers} == {f"Bearer {OURS}"}
    assert "Canary" not in str((endpoint.headers, endpoint.paths, endpoint.stored))


def test_no_key_is_kept_on_disk(tmp_path: Path) -> None:
    program = "import os, shutil\n" + WORK + "shutil.copytree(os.environ['AINSIGHTS_SPOOL_DIR'], sys.argv[1] + '/seen')"
    with running_endpoint(echo(401)) as endpoint:
        ran = run(
            TALKATIVE.replace("sys.argv[1:]", "sys.argv[2:]") + program,
            str(tmp_path),
            THEIRS,
            LOCAL,
            **settings(endpoint.url, api_key=OURS, spool_dir=str(tmp_path / "spool"), exit_timeout="1"),
        )
    assert ran.status == 0, ran.err
    kept = [path.read_bytes() for path in (tmp_path / "seen").rglob("*") if path.is_file()]
    assert any(b"invalid_api_key" in each for each in kept)
    assert not [each for each in kept if b"Canary" in each]


WRONG = """
for wrong in ({"timeout": -1}, {"api_kee": KEYS[0]}, {"api_key": KEYS[0] + "\\n1"}, {"redact": "x"},
              {"base_url": "https://ann:" + KEYS[0] + "@host"}, {"base_url": "http://host?key=" + KEYS[0]},
              {"base_url": "http://insights.example"}, {"strict": "x"}):
    try:
        ainsights.instrument(**wrong)
    except ConfigurationError as error:
        show(error)
        traceback.print_exception(type(error), error, error.__traceback__)
        print("".join(traceback.TracebackException.from_exception(error, capture_locals=False).format()))
    else:
        sys.exit(f"{wrong} was taken")
"""


def test_wrong_settings_are_reported_without_any_key() -> None:
    output = emitted(WRONG, "https://host", OURS)
    assert "strict='x' is wrong" in output
    assert "Canary" not in output
