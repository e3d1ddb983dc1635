from __future__ import annotations

from typing import Any

import openai
from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool
from forms import BASE_URL, FAILING, KEY, MODEL, SHAKY, City, get_weather, run


def agent(model: str = MODEL, kind: type[Any] = OpenAIChatCompletionsModel, **more: Any) -> Agent[None]:
    client = openai.AsyncOpenAI(base_url=BASE_URL, api_key=KEY)
    return Agent(name="one", model=kind(model, client), **more)


async def asynchronous(text: str, model: str = MODEL, **more: Any) -> Any:
    return (await Runner.run(agent(model, **more), text)).final_output


async def streamed(text: str, **more: Any) -> list[Any]:
    result = Runner.run_streamed(agent(**more), text)
    events = [event.type async for event in result.stream_events()]
    return [*events, result.final_output]


TOOLS: dict[str, Any] = {"kind": OpenAIResponsesModel, "tools": [function_tool(get_weather)]}

run(
    plain=lambda text: Runner.run_sync(agent(), text).final_output,
    asynchronous=asynchronous,
    streamed=streamed,
    structured=lambda text: asynchronous(text, output_type=City),
    structured_streamed=lambda text: streamed(text, output_type=City),
    tools=lambda text: asynchronous(text, "mock:tools", tools=[function_tool(get_weather)]),
    tools_streamed=lambda text: streamed(text, model="mock:tools", tools=[function_tool(get_weather)]),
    retried=lambda text: asynchronous(text, SHAKY),
    failed=lambda text: asynchronous(text, FAILING),
    response=lambda text: Runner.run_sync(agent(kind=OpenAIResponsesModel), text).final_output,
    response_streamed=lambda text: streamed(text, kind=OpenAIResponsesModel),
    response_structured=lambda text: asynchronous(text, kind=OpenAIResponsesModel, output_type=City),
    response_tools=lambda text: asynchronous(text, "mock:tools,reasoning", **TOOLS),
    response_tools_streamed=lambda text: streamed(text, model="mock:tools,reasoning", **TOOLS),
    response_retried=lambda text: asynchronous(text, SHAKY, kind=OpenAIResponsesModel),
    response_failed=lambda text: asynchronous(text, FAILING, kind=OpenAIResponsesModel),
)
