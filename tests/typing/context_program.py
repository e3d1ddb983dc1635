"""What a type checker finds in a user's contexts and templates: checked by ``mypy --strict``, not run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from uuid import UUID

from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from openai.types.responses import ResponseInputParam
from typing_extensions import assert_type

import ainsights
from ainsights import Template

client = OpenAI()
template = Template("Hi {name}")

with ainsights.context(user_id="ann", meta={"a": 1}, template=template, inputs={"name": "Ann"}, content="metadata"):
    inside = client.chat.completions.create(model="m", messages=template.format(name="Ann"))
assert_type(inside, ChatCompletion)

with ainsights.context(user_id=UUID(int=1), capture=False) as block:
    assert_type(block, ainsights.context)

ainsights.context(content="some")  # type: ignore[arg-type]
ainsights.context(meta=[1])  # type: ignore[arg-type]


@ainsights.context(user_id="ann")
def plain(a: int, *, b: str = "") -> float:
    return a + len(b)


@block
async def coroutine(a: int) -> str:
    completion = await AsyncOpenAI().chat.completions.create(model="m", messages=template.format(name=a))
    return completion.id


@block
def generator() -> Iterator[int]:
    yield 1


@block
async def async_generator() -> AsyncIterator[int]:
    yield 1


class Worker:
    @block
    def work(self, a: int) -> list[int]:
        return [a]


async def use() -> None:
    assert_type(plain(1, b="b"), float)
    assert_type(await coroutine(1), str)
    assert_type(generator(), Iterator[int])
    assert_type(async_generator(), AsyncIterator[int])
    assert_type(Worker().work(1), list[int])
    plain("a")  # type: ignore[arg-type]
    plain(1, c=1)  # type: ignore[call-arg]


messages: list[ChatCompletionMessageParam] = [{"role": "system", "content": "{a}"}]
assert_type(Template(messages).format(a=1), list[ChatCompletionMessageParam])
assert_type(Template("a", role="system").partial(a=1), Template)
assert_type(Template.jinja("{{ a }}"), Template)
assert_type(template.fields, tuple[str, ...])
assert_type(template.inputs, dict[str, object])

conversation = template.format(name="Ann")
conversation.append({"role": "user", "content": "more"})
client.chat.completions.create(model="m", messages=conversation, stream=True)

assert_type(template.format_input(name="Ann"), ResponseInputParam)
client.responses.create(model="m", input=template.format_input(name="Ann"))

Template(7)  # type: ignore[arg-type]

try:
    template.format()
except ainsights.TemplateError as error:
    assert_type(error, ainsights.TemplateError)
