"""Structured output: the insight has the response as the API returned it, your program the parsed object."""

import os

import openai
from pydantic import BaseModel

import ainsights

ainsights.instrument()

MODEL = os.environ.get("EXAMPLE_MODEL", "gpt-4o-mini")


class Event(BaseModel):
    """What the model is to fill in."""

    name: str
    participants: list[str]


def main() -> None:
    completion = openai.OpenAI().chat.completions.parse(
        model=MODEL,
        messages=[{"role": "user", "content": "Ann and Bob go to a science fair."}],
        response_format=Event,
    )
    print(completion.choices[0].message.parsed)


if __name__ == "__main__":
    main()
