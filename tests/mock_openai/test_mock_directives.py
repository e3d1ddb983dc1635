"""What a directive does beyond its case."""

from __future__ import annotations

import gzip
import http.client
import time
import zlib
from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import BaseModel
from support.mock_openai import ASK, BROKEN, IS_OLD, RawResponse, create_params

if TYPE_CHECKING:
    from ainsights import mock_openai


def test_an_answer_is_the_same_to_the_same_request(server: mock_openai.Server) -> None:
    for directive in ("tools,n=2,vendor", "audio", "logprobs,gzip"):
        for stream in (False, True):
            first, second = (RawResponse(server, create_params(directive, stream=stream)) for _ in range(2))
            assert first.body == second.body
            assert first.headers.items() == second.headers.items()


def test_responses_have_their_request_id(client: openai.OpenAI, server: mock_openai.Server) -> None:
    completion = client.chat.completions.create(**ASK)
    assert completion._request_id == f"req_{completion.id.removeprefix('chatcmpl-')}"
    assert RawResponse(server, None, "/nowhere", method="GET").headers["x-request-id"]
    assert int(RawResponse(server, ASK).headers["openai-processing-ms"]) > 0


def test_the_header_wins_over_the_model(client: openai.OpenAI) -> None:
    for header, expected in (("text=H%C3%B6%2C", "Hö,"), ("", "You said: “Ünïcode, 好?” – naïve café, 你好 🙂")):
        completion = client.chat.completions.create(**create_params("refusal"), extra_headers={"x-mock": header})
        assert completion.choices[0].message.content == expected


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["", "status=503"])
def test_the_clients_retries_get_an_answer_after_the_failures(
    fault: str,
    stream: bool,  # noqa: FBT001  a parameter of the case
    server: mock_openai.Server,
) -> None:
    server.requests.clear()
    with openai.OpenAI(base_url=server.base_url, api_key="key", max_retries=2) as client:
        request = create_params(f"fail=2,retry-after=0.001,{fault}", stream=stream)
        answer = client.chat.completions.with_raw_response.create(**request)
        answer.http_response.read()
    assert answer.retries_taken == 2
    assert len({request.body for request in server.requests}) == 1
    assert server.requests.total == 3


@pytest.mark.parametrize("fault", ["reset", "abort=0", "empty,abort=1"])
def test_a_broken_connection_is_whole_after_the_failures(fault: str, server: mock_openai.Server) -> None:
    statuses = [failed(server, create_params(f"fail=2,{fault}", stream=True)) for _ in range(3)]
    assert statuses == [True, True, False]


def failed(server: mock_openai.Server, request: Any) -> bool:
    try:
        return RawResponse(server, request).status != 200
    except (http.client.HTTPException, OSError):
        return True


def test_failures_are_counted_by_the_id_that_a_request_gives(server: mock_openai.Server) -> None:
    statuses = [
        RawResponse(server, create_params("fail=1", user=str(number)), **{"x-mock-id": identity}).status
        for number, identity in enumerate(["one", "one", "two"])
    ]
    assert statuses == [500, 200, 500]


def test_errors_have_the_time_to_retry(server: mock_openai.Server) -> None:
    answer = RawResponse(server, create_params("status=429,retry-after=0.25"))
    assert (answer.headers["retry-after"], answer.headers["retry-after-ms"]) == ("0.25", "250")
    assert answer.json["error"]["code"] == "rate_limit_exceeded"


def test_compressed_means_compressed_on_the_wire(server: mock_openai.Server) -> None:
    for stream in (False, True):
        plain = RawResponse(server, create_params("size=50000", stream=stream)).body
        zipped = RawResponse(server, create_params("size=50000", stream=stream), **{"x-mock": "size=50000,gzip"})
        assert zipped.headers["content-encoding"] == "gzip"
        assert len(zipped.body) < len(plain) / 3
        assert gzip.decompress(zipped.body) == plain
        deflated = RawResponse(server, create_params("size=50000", stream=stream), **{"x-mock": "size=50000,deflate"})
        assert zlib.decompress(deflated.body) == plain


def test_deviations_are_on_the_wire(server: mock_openai.Server) -> None:
    def streamed(directive: str) -> bytes:
        return RawResponse(server, create_params("", stream=True), **{"x-mock": directive}).body

    plain = streamed("")
    assert plain.endswith(b"data: [DONE]\n\n")
    assert streamed("crlf") == plain.replace(b"\n", b"\r\n")
    assert streamed("nodone") == plain.removesuffix(b"data: [DONE]\n\n")
    assert streamed("split") == streamed("merge") == plain
    assert b": keep-alive 0\n\n" in streamed("comments")
    assert streamed("event-names").count(b"event: chunk\ndata: {") == plain.count(b"data: {")
    assert b'"prompt_filter_results"' in streamed("emptyfirst").split(b"\n\n")[0]
    assert b'"delta":null' in streamed("nulldelta")
    assert streamed("nodelta").count(b'"delta"') == plain.count(b'"delta"') - 1
    assert b'data: {"error":{' in streamed("sse-error")
    assert b"[DONE]" not in streamed("sse-error")


def test_abort_lets_the_first_chunks_through(client: openai.OpenAI) -> None:
    seen = []
    with (
        pytest.raises(BROKEN),
        client.chat.completions.create(**create_params("abort=3", stream=True)) as stream,
    ):
        seen.extend(stream)
    assert len(seen) == 3


def test_reset_resets_the_connection(server: mock_openai.Server) -> None:
    with pytest.raises(ConnectionResetError):
        RawResponse(server, create_params("reset"))


def test_delay_and_pace_take_their_time(client: openai.OpenAI) -> None:
    start = time.monotonic()
    list(client.chat.completions.create(**create_params("delay=0.05,pace=0.02,chunks=3", stream=True)))
    assert time.monotonic() - start > 0.05 + 5 * 0.02


def test_thousands_of_chunks_come(client: openai.OpenAI) -> None:
    assert len(list(client.chat.completions.create(**create_params("chunks=5000", stream=True)))) == 5002


def test_tools_are_answered_by_text(client: openai.OpenAI) -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    turns = [{"role": "assistant", "tool_calls": calls}, {"role": "tool", "tool_call_id": "1", "content": "4"}]
    completion = client.chat.completions.create(**create_params("tools", messages=[*ASK["messages"], *turns]))
    assert (completion.choices[0].message.content or "").startswith("You said")


def test_parse_gets_an_instance_of_its_model(client: openai.OpenAI) -> None:
    class Answer(BaseModel):
        text: str
        next: Answer | None

    Answer.model_rebuild(_types_namespace={"Answer": Answer})
    completions: Any = client.beta.chat.completions if IS_OLD else client.chat.completions
    parsed = completions.parse(**ASK, response_format=Answer)
    assert parsed.choices[0].message.parsed


def test_half_a_surrogate_pair_is_answered(server: mock_openai.Server) -> None:
    body = b'{"model": "m", "messages": [{"role": "user", "content": "\\ud83d"}]}'
    assert "\ud83d" in RawResponse(server, body).json["choices"][0]["message"]["content"]
