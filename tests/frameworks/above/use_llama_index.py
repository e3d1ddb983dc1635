from __future__ import annotations

from typing import Any

from forms import BASE_URL, FAILING, KEY, MODEL, SHAKY, City, get_weather, run
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI

PROMPT = PromptTemplate("{text}")


class MockOpenAI(OpenAI):
    """Takes the directives of the mock server for the name of a model."""

    @property
    def metadata(self) -> Any:
        return OpenAI(model=MODEL, api_key=KEY).metadata


def llm(model: str = MODEL) -> OpenAI:
    return MockOpenAI(model=model, api_base=BASE_URL, api_key=KEY)


def user_message(text: str) -> list[ChatMessage]:
    return [ChatMessage(role="user", content=text)]


async def asynchronous(text: str, model: str = MODEL) -> Any:
    return (await llm(model).achat(user_message(text))).message.content


async def async_streamed(text: str) -> list[Any]:
    return [chunk.delta async for chunk in await llm().astream_chat(user_message(text))]


async def async_structured(text: str) -> Any:
    return await llm().astructured_predict(City, PROMPT, text=text)


def structured_streamed(text: str) -> list[Any]:
    return list(llm().stream_structured_predict(City, PROMPT, text=text))


def tools(text: str) -> Any:
    answer = llm("mock:tools").chat_with_tools([FunctionTool.from_defaults(get_weather)], user_msg=text)
    return answer.message.additional_kwargs["tool_calls"]


run(
    plain=lambda text: llm().chat(user_message(text)).message.content,
    completed=lambda text: llm().complete(text).text,
    streamed=lambda text: [chunk.delta for chunk in llm().stream_chat(user_message(text))],
    asynchronous=asynchronous,
    async_streamed=async_streamed,
    structured=lambda text: llm().structured_predict(City, PROMPT, text=text),
    async_structured=async_structured,
    structured_streamed=structured_streamed,
    tools=tools,
    retried=lambda text: llm(SHAKY).chat(user_message(text)).message.content,
    failed=lambda text: llm(FAILING).chat(user_message(text)),
    async_failed=lambda text: asynchronous(text, FAILING),
)
