"""Drop-in clients: only these are captured, whatever else of the process uses openai."""

import os

import openai

from ainsights.openai import OpenAI

MODEL = os.environ.get("EXAMPLE_MODEL", "gpt-4o-mini")


def main() -> None:
    question = "Is this captured?"
    for client in (OpenAI(), openai.OpenAI()):  # the first one's call is, the second one's is not
        completion = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": question}])
        print(completion.choices[0].message.content)


if __name__ == "__main__":
    main()
