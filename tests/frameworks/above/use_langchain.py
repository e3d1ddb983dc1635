from __future__ import annotations

from typing import Any

from forms import BASE_URL, FAILING, KEY, MODEL, SHAKY, City, get_weather, run
from langchain_openai import ChatOpenAI


def chat(model: str = MODEL, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(model=model, base_url=BASE_URL, api_key=KEY, **more)


def shown(answer: Any) -> tuple[Any, ...]:
    return type(answer), answer.content, answer.tool_calls, answer.usage_metadata


async def asynchronous(text: str, **more: Any) -> tuple[Any, ...]:
    return shown(await chat(**more).ainvoke(text))


async def async_streamed(text: str) -> list[Any]:
    return [chunk.content async for chunk in chat().astream(text)]


async def async_structured(text: str) -> Any:
    return await chat().with_structured_output(City).ainvoke(text)


async def batched(text: str) -> list[Any]:
    return [shown(answer) for answer in await chat().abatch([f"{text} {number}" for number in range(5)])]


RESPONSES: dict[str, Any] = {"use_responses_api": True}


async def async_response_streamed(text: str) -> list[Any]:
    return [chunk.content async for chunk in chat(**RESPONSES).astream(text)]


run(
    plain=lambda text: shown(chat().invoke(text)),
    streamed=lambda text: [chunk.content for chunk in chat().stream(text)],
    streamed_with_usage=lambda text: [chunk.content for chunk in chat(stream_usage=True).stream(text)],
    asynchronous=asynchronous,
    async_streamed=async_streamed,
    structured=lambda text: chat().with_structured_output(City).invoke(text),
    structured_by_tool=lambda text: chat().with_structured_output(City, method="function_calling").invoke(text),
    async_structured=async_structured,
    structured_streamed=lambda text: list(chat().with_structured_output(City).stream(text)),
    tools=lambda text: shown(chat().bind_tools([get_weather], tool_choice="any").invoke(text)),
    batched=batched,
    retried=lambda text: shown(chat(model=SHAKY).invoke(text)),
    failed=lambda text: chat(model=FAILING).invoke(text),
    async_failed=lambda text: asynchronous(text, model=FAILING),
    response=lambda text: shown(chat(**RESPONSES).invoke(text)),
    response_streamed=lambda text: [chunk.content for chunk in chat(**RESPONSES).stream(text)],
    response_asynchronous=lambda text: asynchronous(text, **RESPONSES),
    async_response_streamed=async_response_streamed,
    response_structured=lambda text: chat(**RESPONSES).with_structured_output(City).invoke(text),
    response_tools=lambda text: shown(chat(**RESPONSES).bind_tools([get_weather], tool_choice="any").invoke(text)),
    response_reasoning=lambda text: shown(chat("mock:reasoning,output=web_search_call", **RESPONSES).invoke(text)),
    response_retried=lambda text: shown(chat(model=SHAKY, **RESPONSES).invoke(text)),
    response_failed=lambda text: chat(model=FAILING, **RESPONSES).invoke(text),
    async_response_failed=lambda text: asynchronous(text, model=FAILING, **RESPONSES),
)
