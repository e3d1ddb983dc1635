"""What a type checker finds in uses of drop-in clients and of capture(): checked, not run."""

from __future__ import annotations

from concurrent.futures import Future

import openai
from openai import AsyncStream, Stream
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ParsedChatCompletion
from pydantic import BaseModel
from typing_extensions import assert_type

import ainsights
import ainsights.openai as drop_in
import ainsights.testing
from ainsights import AInsights, Answer, Insight, Insights
from ainsights.openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI


class Person(BaseModel):
    name: str


client = OpenAI(api_key="k", timeout=3)
assert_type(client, openai.OpenAI)
completion = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
assert_type(completion, ChatCompletion)
stream = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True)
assert_type(stream, Stream[ChatCompletionChunk])
parsed = client.chat.completions.parse(model="m", messages=[{"role": "user", "content": "hi"}], response_format=Person)
assert_type(parsed, ParsedChatCompletion[Person])
assert_type(client.with_options(timeout=1), openai.OpenAI)

OpenAI(api_key=1)  # type: ignore[arg-type]
OpenAI(no_such_option=1)  # type: ignore[call-arg]
client.chat.completions.create(model="m")  # type: ignore[call-overload]

azure = AzureOpenAI(azure_endpoint="https://x", api_version="v", api_key="k")
assert_type(azure.chat.completions.with_raw_response.create(model="m", messages=[]).parse(), ChatCompletion)


async def asynchronous() -> None:
    async with AsyncOpenAI() as some:
        assert_type(await some.chat.completions.create(model="m", messages=[]), ChatCompletion)
        assert_type(
            await some.chat.completions.create(model="m", messages=[], stream=True), AsyncStream[ChatCompletionChunk]
        )
    assert_type(AsyncAzureOpenAI(azure_endpoint="https://x", api_version="v"), openai.AsyncAzureOpenAI)


drop_in.api_key = "k"
assert_type(drop_in.chat.completions.create(model="m", messages=[]), ChatCompletion)
try:
    drop_in.OpenAI().models.list()
except drop_in.RateLimitError as error:
    assert_type(error, openai.RateLimitError)

with Insights(base_url="http://localhost:8383") as own:
    assert_type(own.watch(client), openai.OpenAI)
    assert_type(own.capture(response=completion, messages="hi"), None)

ainsights.capture(response=completion, messages=[{"role": "user", "content": "hi"}, completion.choices[0].message])
ainsights.capture(response={"id": "c"}, messages=["a", "b"], args={"model": "m"}, meta={"a": 1}, user_id="ann")
ainsights.capture(response=completion, template=ainsights.Template("Hi {name}"), inputs={"name": "Ann"})
ainsights.capture(messages="hi")  # type: ignore[call-arg]
ainsights.capture(response="text", messages="hi")  # type: ignore[arg-type]

vendor = AInsights.new_client(api_key="k", base_url=None)
assert_type(vendor, AInsights)
future = vendor.capture(response=completion, messages="hi", args={}, user_id=None)
assert_type(future, Future[Answer])
assert_type(future.result(1).status_code, int)
assert_type(vendor.close(), None)

with ainsights.testing.capture(redact="email") as insights:
    assert_type(insights[0], Insight)
    assert_type(len(insights), int)
