"""A process that exits with a stream open ends as it would without us, and its event records what had arrived."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from support import programs
from support.endpoints import running_endpoint

if TYPE_CHECKING:
    from support.comparison import World

INSTRUMENT = "import ainsights; ainsights.instrument()\n"
AT_EXIT = """
import asyncio, sys, weakref
kind, url, model = sys.argv[1:]
made = getattr(openai, kind)(base_url=url + "/v1", api_key="sk-test", max_retries=0)
streamed = dict(model=model, messages=MESSAGES, stream=True)

def text_of(chunk):
    return chunk.choices and chunk.choices[0].delta.content

def sync():
    global stream
    stream = made.chat.completions.create(**streamed)
    print(next(filter(None, map(text_of, stream))))

class InOrder(weakref.WeakSet):
    def __iter__(self):
        return iter(sorted(super().__iter__(), key=lambda each: each.__qualname__))

async def main():
    global stream
    stream = await made.chat.completions.create(**streamed)
    while not (text := text_of(await stream.__anext__())):
        pass
    print(text)
    loop = asyncio.get_running_loop()
    loop._asyncgens = InOrder(loop._asyncgens)

sync() if kind == "OpenAI" else asyncio.run(main())
sys.exit(3)
"""
"""The loop closes its generators in an order of chance, on which it depends what they complain of; so here is one."""


def seen(text: str) -> str:
    return re.sub("0x[0-9a-f]+", "…", text)


@pytest.mark.parametrize("kind", ["OpenAI", "AsyncOpenAI"])
def test_process_that_exits_with_the_stream_open_records_what_had_arrived(model_api: World, kind: str) -> None:
    arguments = kind, model_api.server.url, "mock:text=one%20two,chunks=2,hang=2"
    with running_endpoint() as insights:
        bare = programs.run("\n" + AT_EXIT, *arguments)
        ours = programs.run(INSTRUMENT + AT_EXIT, *arguments, **programs.settings(insights.url))
    assert (ours.status, ours.out, seen(ours.err)) == (bare.status, bare.out, seen(bare.err))
    (event,) = insights.stored
    assert event["meta"]["ainsights.status"] == "abandoned"
    assert ours.out.strip() in event["response"]["choices"][0]["message"]["content"]
    assert event["meta"]["ainsights.ttft_ms"]
