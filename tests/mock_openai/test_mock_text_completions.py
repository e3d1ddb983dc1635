"""Legacy text completions, whole and streamed, by openai's types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai.types import Completion
from support.mock_openai import BROKEN, RawResponse

if TYPE_CHECKING:
    from ainsights import mock_openai

ANSWER = "You said: “Hö” – naïve café, 你好 🙂"


def create_params(directive: str = "", **more: Any) -> dict[str, Any]:
    return {"model": f"mock:{directive}" if directive else "gpt-3.5-turbo-instruct", "prompt": "Hö", **more}


@pytest.mark.parametrize("directive", ["", "length", "filter", "logprobs", "n=2", "text=", "vendor"])
def test_a_completion_is_valid_and_its_stream_joins_to_it(directive: str, server: mock_openai.Server) -> None:
    body = RawResponse(server, create_params(directive), "/v1/completions").json
    Completion.model_validate(body)
    with openai.OpenAI(base_url=server.base_url, api_key="key") as client:
        usage = {"stream_options": {"include_usage": True}}
        chunks = list(client.completions.create(**create_params(directive), stream=True, extra_body=usage))
    for choice in body["choices"]:
        own = [part for chunk in chunks for part in chunk.choices if part.index == choice["index"]]
        assert "".join(part.text for part in own) == choice["text"]
        assert [part.finish_reason for part in own if part.finish_reason] == [choice["finish_reason"]]
        if choice["logprobs"]:
            parts = [part.logprobs for part in own if part.logprobs]
            assert [token for part in parts for token in part.tokens or ()] == choice["logprobs"]["tokens"]
    assert chunks[-1].usage
    assert chunks[-1].usage.model_dump(exclude_none=True) == body["usage"]


def test_prompts_are_answered_one_by_one(client: openai.OpenAI) -> None:
    assert client.completions.create(**create_params()).choices[0].text == ANSWER
    many = client.completions.create(**create_params() | {"prompt": ["a", "b"], "n": 2})
    assert [(choice.index, choice.text[10:13]) for choice in many.choices] == list(
        enumerate(["“a”", "“a”", "“b”", "“b”"])
    )
    assert "3 tokens" in client.completions.create(**create_params() | {"prompt": [1, 2, 3]}).choices[0].text
    assert client.completions.create(**create_params(echo=True)).choices[0].text == "Hö" + ANSWER


def test_faults_and_invalid_requests_are_answered(client: openai.OpenAI, server: mock_openai.Server) -> None:
    with pytest.raises(openai.RateLimitError):
        client.completions.create(**create_params("status=429"))
    with pytest.raises(BROKEN):
        list(client.completions.create(**create_params("abort=2"), stream=True))
    with pytest.raises(openai.APIError):
        list(client.completions.create(**create_params("sse-error"), stream=True))
    for deviation in ("nodelta", "nulldelta", "noindex", "emptychoices"):
        assert list(client.completions.create(**create_params(deviation), stream=True))
    assert RawResponse(server, create_params(prompt=4), "/v1/completions").status == 400
    assert RawResponse(server, {"prompt": "x"}, "/v1/completions").status == 400


def test_azure_s_path_is_served(server: mock_openai.Server) -> None:
    with openai.AzureOpenAI(azure_endpoint=server.url, api_key="key", api_version="2024-10-21") as client:
        assert client.completions.create(**create_params()).choices[0].text == ANSWER
    assert server.requests[-1].path == "/openai/deployments/gpt-3.5-turbo-instruct/completions"


def test_other_tokens_are_twenty_at_the_most(server: mock_openai.Server) -> None:
    body = RawResponse(server, create_params(logprobs=10**30), "/v1/completions").json
    assert {len(others) for others in body["choices"][0]["logprobs"]["top_logprobs"]} == {20}
