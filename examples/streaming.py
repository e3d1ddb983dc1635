"""A stream, read to its end, and one that is left early: both are captured, with what had arrived."""

import os

import openai

import ainsights

ainsights.instrument()

MODEL = os.environ.get("EXAMPLE_MODEL", "gpt-4o-mini")


def main() -> None:
    client = openai.OpenAI()
    with client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Tell me a story."}], stream=True
    ) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                print(choice.delta.content or "", end="", flush=True)
    print()
    with client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Tell me another one."}], stream=True
    ) as stream:
        print("The other one begins:", next(iter(stream)).choices[0].delta.content)  # its status: closed_early


if __name__ == "__main__":
    main()
