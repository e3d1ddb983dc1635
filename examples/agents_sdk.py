"""OpenAI's Agents SDK asks by the Responses API: nothing more is needed.

pip install openai-agents
"""

import os

from agents import Agent, Runner, function_tool, set_tracing_disabled

import ainsights

ainsights.instrument()
set_tracing_disabled(disabled=True)  # its own traces go to OpenAI

MODEL = os.environ.get("EXAMPLE_MODEL", "gpt-4o-mini")


@function_tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


if __name__ == "__main__":
    agent = Agent(name="Forecaster", instructions="Answer in one sentence.", model=MODEL, tools=[get_weather])
    with ainsights.context(user_id="ann", meta={"agent": agent.name}):
        print(Runner.run_sync(agent, "What is the weather in Zürich?").final_output)
