"""What leaves the process: names and numbers only for one call, no addresses in another, a veto over all."""

import os

import openai

import ainsights

MODEL = os.environ.get("EXAMPLE_MODEL", "gpt-4o-mini")


def without_secrets(insight: ainsights.Insight) -> ainsights.Insight | None:
    """See each event last; what is returned is sent."""
    if "off the record" in str(insight.messages):
        return None
    insight.meta.pop("hostname", None)
    return insight


ainsights.instrument(
    redact=["email", "phone", "credit_card", "api_key", "ip"],
    before_send=without_secrets,
    meta={"hostname": "db-17.internal"},
)


def ask(question: str) -> None:
    completion = openai.OpenAI().chat.completions.create(model=MODEL, messages=[{"role": "user", "content": question}])
    print(completion.choices[0].message.content)


if __name__ == "__main__":
    ask("Write to ann@example.com from 192.0.2.7.")  # sent as [email] and so on
    ask("Strictly off the record: who won?")  # not sent
    with ainsights.context(content="metadata"):
        ask("My diagnosis is …")  # sent without any text
    with ainsights.context(capture=False):
        ask("Nobody's business.")  # not captured
