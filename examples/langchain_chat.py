"""LangChain stands on openai: nothing more is needed.

pip install langchain-openai
"""

import os

from langchain_openai import ChatOpenAI

import ainsights

ainsights.instrument()

if __name__ == "__main__":
    model = ChatOpenAI(model=os.environ.get("EXAMPLE_MODEL", "gpt-4o-mini"))
    with ainsights.context(user_id="ann", meta={"chain": "greeting"}):
        print(model.invoke("Say hello.").content)
