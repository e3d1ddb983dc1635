from __future__ import annotations

from typing import Any

from forms import BASE_URL, FAILING, KEY, MODEL, SHAKY, City, get_weather, run
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider


def agent(model: str = MODEL, kind: type[Any] = OpenAIChatModel, **more: Any) -> Agent[None, Any]:
    provider = OpenAIProvider(base_url=BASE_URL, api_key=KEY)
    return Agent(kind(model, provider=provider), **more)


async def asynchronous(text: str, **more: Any) -> Any:
    return (await agent(**more).run(text)).output


async def async_streamed(text: str, **more: Any) -> list[Any]:
    async with agent(**more).run_stream(text) as result:
        return [output async for output in result.stream_output(debounce_by=None)]


def streamed(text: str) -> list[Any]:
    return list(agent().run_stream_sync(text).stream_output(debounce_by=None))


TOOLS: dict[str, Any] = {"model": "mock:tools,reasoning", "kind": OpenAIResponsesModel, "tools": [get_weather]}

run(
    plain=lambda text: agent().run_sync(text).output,
    streamed=streamed,
    asynchronous=asynchronous,
    async_streamed=async_streamed,
    structured=lambda text: agent(output_type=City).run_sync(text).output,
    structured_natively=lambda text: agent(output_type=NativeOutput(City)).run_sync(text).output,
    async_structured=lambda text: asynchronous(text, output_type=City),
    structured_streamed=lambda text: async_streamed(text, output_type=City),
    tools=lambda text: agent(model="mock:tools", tools=[get_weather]).run_sync(text).output,
    retried=lambda text: asynchronous(text, model=SHAKY),
    failed=lambda text: agent(model=FAILING).run_sync(text),
    async_failed=lambda text: asynchronous(text, model=FAILING),
    response=lambda text: agent(kind=OpenAIResponsesModel).run_sync(text).output,
    response_asynchronous=lambda text: asynchronous(text, kind=OpenAIResponsesModel),
    response_streamed=lambda text: async_streamed(text, kind=OpenAIResponsesModel),
    response_structured=lambda text: asynchronous(text, kind=OpenAIResponsesModel, output_type=City),
    response_tools=lambda text: asynchronous(text, **TOOLS),
    response_tools_streamed=lambda text: async_streamed(text, **TOOLS),
    response_retried=lambda text: asynchronous(text, model=SHAKY, kind=OpenAIResponsesModel),
    response_failed=lambda text: asynchronous(text, model=FAILING, kind=OpenAIResponsesModel),
)
