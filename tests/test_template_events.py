"""What the event of a call has of the template that its messages came from."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from support.models import MESSAGES, async_client, client, completed
from support.templates import recorded, send
from support.values import Trap

import ainsights
from ainsights import Template

if TYPE_CHECKING:
    from support.models import Captured


# What the event has


def test_event_has_the_template_its_inputs_and_the_messages(captured: Captured) -> None:
    messages = Template("Hi {name}, {n}!").format(name="Ann", n=3)
    send(messages)
    send(MESSAGES)
    assert recorded(captured[0]) == ("Hi {name}, {n}!", {"name": "Ann", "n": 3})
    assert captured[0]["messages"] == messages == [{"role": "user", "content": "Hi Ann, 3!"}]
    assert recorded(captured[1]) == (None, {})


def test_bytes_sent_are_those_of_the_same_messages_without_a_template(captured: Captured) -> None:
    sent: list[bytes] = []

    def answer(request: Any) -> Any:
        sent.append(request.content)
        return completed(request)

    openai_client = client(answer)
    openai_client.chat.completions.create(model="m", messages=Template("Hi {name}").format(name="Ann é"))
    openai_client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi Ann é"}])
    assert sent[0] == sent[1]
    assert len(captured) == 2


SOURCE = [
    {"role": "system", "content": "Be {mood}."},
    {"role": "user", "content": [{"type": "text", "text": "{q}"}, {"type": "image_url", "image_url": {"url": "{u}"}}]},
]


def test_event_has_a_template_of_messages_with_parts(captured: Captured) -> None:
    send(Template(SOURCE).format(mood="kind \U0001f600 é", q='"q"\n', u="https://x/"))
    assert recorded(captured[0]) == (SOURCE, {"mood": "kind \U0001f600 é", "q": '"q"\n', "u": "https://x/"})


def test_event_has_what_a_partial_template_was_given(captured: Captured) -> None:
    send(Template("{a} {b}").partial(a=1).format(b=2))
    assert recorded(captured[0]) == ("{a} {b}", {"a": 1, "b": 2})


@pytest.mark.parametrize(
    ("value", "recorded"),
    [({"a": [1, None]}, {"a": [1, None]}), (Trap(), "shown"), (b"\xff", "b'\\xff'"), (float("inf"), "Infinity")],
)
def test_event_has_inputs_as_json(captured: Captured, value: Any, recorded: Any) -> None:
    send(Template("unlike any {a}").format(a=value))
    assert captured[0]["inputs"] == {"a": recorded}


def test_input_that_contains_itself_is_recorded_as_text(captured: Captured) -> None:
    value: list[Any] = []
    value.append(value)
    send(Template("{a}").format(a=value))
    assert captured[0]["inputs"] == {"a": "[[...]]"}


def test_event_has_inputs_as_they_were_when_formatted(captured: Captured) -> None:
    value = ["a"]
    messages = Template("{a}").format(a=value)
    value.append("later")
    send(messages)
    assert captured[0]["inputs"] == {"a": ["a"]}


def test_stream_records_its_template(captured: Captured) -> None:
    client().chat.completions.create(model="m", messages=Template("{a}").format(a=1), stream=True).close()
    assert recorded(captured[0]) == ("{a}", {"a": 1})


def test_async_call_records_its_template(captured: Captured) -> None:
    asyncio.run(async_client().chat.completions.create(model="m", messages=Template("{a}").format(a=1)))
    assert recorded(captured[0]) == ("{a}", {"a": 1})


def test_messages_may_surround_those_of_the_template(captured: Captured) -> None:
    system = Template("Be {mood}.", role="system").format(mood="kind")
    send([*system, {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}, *MESSAGES])
    assert recorded(captured[0]) == ([{"role": "system", "content": "Be {mood}."}], {"mood": "kind"})


def test_the_last_of_several_templates_in_the_messages_is_recorded(captured: Captured) -> None:
    system, question = Template("Be {mood}.", role="system"), Template("About {it}?")
    messages: list[Any] = [*system.format(mood="kind"), *question.format(it="one")]
    send(messages)
    messages += [{"role": "assistant", "content": "so"}, *question.format(it="two")]
    send(messages)
    assert [recorded(body) for body in captured] == [("About {it}?", {"it": "one"}), ("About {it}?", {"it": "two"})]


def test_the_longest_of_templates_that_end_at_the_same_message_is_recorded(captured: Captured) -> None:
    both = Template([{"role": "system", "content": "s {a}"}, {"role": "user", "content": "u {b}"}])
    send(both.format(a=1, b=2))
    Template("u {c}").format(c=2)
    send(both.format(a=1, b=2))
    assert captured[0]["inputs"] == captured[1]["inputs"] == {"a": 1, "b": 2}


def test_the_last_formatted_of_templates_with_equal_messages_is_recorded(captured: Captured) -> None:
    messages = Template("same {a}").format(a=1)
    Template("{b} 1").format(b="same")
    send(messages)
    assert recorded(captured[0]) == ("{b} 1", {"b": "same"})


def test_message_that_was_changed_is_not_of_the_template(captured: Captured) -> None:
    messages: Any = Template("to be changed {a}").format(a=1)
    messages[0]["content"] += "!"
    send(messages)
    assert recorded(captured[0]) == (None, {})


# With a context


def test_context_wins_over_what_was_formatted(captured: Captured) -> None:
    with ainsights.context(template="mine {x}", inputs={"x": 1}):
        send(Template("{a}").format(a=1))
    assert recorded(captured[0]) == ("mine {x}", {"x": 1})


def test_context_adds_to_what_was_formatted(captured: Captured) -> None:
    with ainsights.context(inputs={"b": 2, "a": "over"}):
        send(Template("{a}").format(a=1))
    assert recorded(captured[0]) == ("{a}", {"a": "over", "b": 2})


def test_context_with_the_template_alone_leaves_the_inputs_to_format(captured: Captured) -> None:
    template = Template(SOURCE)
    with ainsights.context(template=template):
        send(template.format(mood="kind", q="q", u="u"))
        send(MESSAGES)
    assert recorded(captured[0]) == (SOURCE, {"mood": "kind", "q": "q", "u": "u"})
    assert recorded(captured[1]) == (SOURCE, {})
