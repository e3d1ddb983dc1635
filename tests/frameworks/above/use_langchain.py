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
)
