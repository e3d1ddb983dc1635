"""LiteLLM calls OpenAI and those compatible with it through openai's client: nothing more is needed.

pip install litellm
"""

import os

import litellm

import ainsights

ainsights.instrument()

if __name__ == "__main__":
    model = "openai/" + os.environ.get("EXAMPLE_MODEL", "gpt-4o-mini")
    with ainsights.context(user_id="ann"):
        completion = litellm.completion(model=model, messages=[{"role": "user", "content": "Say hello."}])
    print(completion.choices[0].message.content)
