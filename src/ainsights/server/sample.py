"""Believable events for demonstrations and benchmarks: many users, models, templates, languages, tools, errors.

Users, models, templates and questions follow Zipf's law: a few are frequent, most are rare. The same seed gives the
same events.
"""

from __future__ import annotations

import random
import uuid
from datetime import datetime, timezone
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import to_json

from ainsights._model import MetaKey
from ainsights.server.sample_responses import as_response, asks_for_responses
from ainsights.server.sample_texts import LANGUAGES, SHARES, TEMPLATES, TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPENAI, _AZURE = "https://api.openai.com/v1", "https://northwind.openai.azure.com/openai"
_ROUTER = "https://router.requesty.ai/v1"
_MODELS = (
    ("gpt-4o-mini", _OPENAI),
    ("gpt-4o", _OPENAI),
    ("gpt-4.1", _OPENAI),
    ("gpt-4o", _AZURE),
    ("anthropic/claude-sonnet-4", _ROUTER),
    ("o3", _OPENAI),
    ("gpt-4.1-mini", _AZURE),
    ("deepseek-chat", "https://api.deepseek.com"),
    ("gpt-4.1-nano", _OPENAI),
    ("llama-3.3-70b-versatile", "https://api.groq.com/openai/v1"),
    ("o4-mini", _OPENAI),
    ("qwen2.5-32b-instruct", "http://vllm.internal:8000/v1"),
)
_ERRORS = ("RateLimitError", "APITimeoutError", "BadRequestError", "InternalServerError", "AuthenticationError")
_TEAMS = ("support", "sales", "research", "legal", "marketing", "operations")
_MAX_OPEN = 400
_MAX_TURNS = 6


class Sample(NamedTuple):
    """One generated event, as a store takes it."""

    event_id: str
    received_at: float
    body: bytes


class _Zipf:
    """Draws from 0 to ``count`` - 1, where k is drawn in proportion to 1 / (k + 1) ** exponent."""

    def __init__(self, source: random.Random, count: int, exponent: float = 1.05) -> None:
        self._source = source
        self._population = range(count)
        self._weights = list(accumulate(1 / (rank + 1) ** exponent for rank in range(count)))
        self._drawn: list[int] = []

    def draw(self) -> int:
        if not self._drawn:
            self._drawn = self._source.choices(self._population, cum_weights=self._weights, k=1000)
        return self._drawn.pop()


class _Conversation(NamedTuple):
    user: str
    language: str
    model: tuple[str, str]
    messages: list[dict[str, Any]]
    session: str | None
    template: int | None
    inputs: dict[str, str]
    previous: str | None = None
    """The id of the last response, if the user asks for responses."""


def generate(count: int, *, seed: int = 0, until: float = 1_764_000_000.0, days: float = 30.0) -> Iterator[Sample]:
    """Yield ``count`` events, in order of time.

    Args:
        count: how many.
        seed: another one gives other events.
        until: when the last call began, in seconds since the epoch.
        days: how long before it the first one began.
    """
    generator = _Generator(seed)
    step = days * 86_400 / max(1, count)
    for number in range(count):
        yield generator.next(until - (count - number) * step)


class _Generator:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  no secret
        self._users = _Zipf(self._random, 50_000)
        self._models = _Zipf(self._random, len(_MODELS), 0.9)
        self._templates = _Zipf(self._random, len(TEMPLATES))
        self._topics = _Zipf(self._random, 2000)
        self._languages = list(LANGUAGES)
        self._shares = list(accumulate(SHARES[name] for name in self._languages))
        self._open: list[_Conversation] = []

    def next(self, time: float) -> Sample:
        draw = self._random
        conversation = self._conversation()
        question = self._question(conversation.language)
        messages = [*conversation.messages, {"role": "user", "content": question}]
        failed = draw.random() < 0.03  # noqa: PLR2004
        response, answer = self._failure(conversation) if failed else self._completion(conversation, messages)
        meta = self._meta(conversation, time, response, failed=failed)
        sent, previous = messages, None
        number = hash_of(conversation.user)
        if asks_for_responses(number, conversation.model[1]):
            response, sent, added = as_response(response, messages, conversation.previous, number)
            meta, previous = meta | added, response["id"]
        if not failed and len(messages) < 2 * _MAX_TURNS and draw.random() < 0.45:  # noqa: PLR2004
            self._keep(conversation._replace(messages=[*messages, answer], previous=previous))
        body = {
            "response": response,
            "messages": sent,
            "template": None
            if conversation.template is None
            else [{"role": "system", "content": TEMPLATES[conversation.template]}],
            "inputs": conversation.inputs,
            "args": {"model": conversation.model[0], "temperature": 0.2, "stream": meta[MetaKey.STREAM]},
            "user_id": conversation.user,
            "meta": meta,
        }
        return Sample(meta[MetaKey.EVENT_ID], time + meta[MetaKey.LATENCY_MS] / 1000, to_json(body))

    def _keep(self, conversation: _Conversation) -> None:
        if len(self._open) >= _MAX_OPEN:
            self._open.pop(self._random.randrange(_MAX_OPEN))
        self._open.append(conversation)

    def _conversation(self) -> _Conversation:
        draw = self._random
        if self._open and draw.random() < 0.4:  # noqa: PLR2004
            return self._open.pop(draw.randrange(len(self._open)))
        language = draw.choices(self._languages, cum_weights=self._shares)[0]
        user = f"user-{self._users.draw():05}"
        template = self._templates.draw() if draw.random() < 0.6 else None  # noqa: PLR2004
        inputs = {} if template is None else {"customer": user, "plan": draw.choice(("free", "team", "business"))}
        system = "You are a helpful assistant." if template is None else TEMPLATES[template].format(**inputs)
        session = f"session-{draw.getrandbits(48):012x}" if draw.random() < 0.3 else None  # noqa: PLR2004
        messages = [{"role": "system", "content": system}]
        return _Conversation(user, language, _MODELS[self._models.draw()], messages, session, template, inputs)

    def _question(self, name: str) -> str:
        language = LANGUAGES[name]
        topic = self._topics.draw()
        form = language.questions[topic % len(language.questions)]
        question = form.format(thing=language.things[topic // len(language.questions) % len(language.things)])
        if topic > 60:  # noqa: PLR2004  the rare questions have details
            question += f"{language.joint}({topic}-{self._random.randrange(10**6):06})"
        return question

    def _answer(self, name: str) -> str:
        language = LANGUAGES[name]
        clauses = self._random.choices(language.clauses, k=self._random.randint(2, 9))
        if self._random.random() < 0.08:  # noqa: PLR2004
            clauses.append(f" https://docs.example.com/articles/{self._topics.draw()}")
        return language.joint.join(clauses)

    def _completion(
        self, conversation: _Conversation, messages: list[dict[str, Any]]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        draw = self._random
        answer: dict[str, Any] = {"role": "assistant", "content": self._answer(conversation.language)}
        finish = "stop" if draw.random() < 0.97 else "length"  # noqa: PLR2004
        if draw.random() < 0.1:  # noqa: PLR2004
            call = {"name": draw.choice(TOOLS), "arguments": f'{{"id":{draw.randrange(10**6)}}}'}
            answer["tool_calls"] = [{"id": f"call_{draw.getrandbits(64):016x}", "type": "function", "function": call}]
            finish = "tool_calls"
        prompt = sum(len(message["content"]) for message in messages) // 4
        completion = len(answer["content"]) // 4 + 12
        usage: dict[str, Any] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": prompt // 2 if draw.random() < 0.2 else 0, "audio_tokens": 0},  # noqa: PLR2004
            "completion_tokens_details": {
                "reasoning_tokens": completion // 3 if conversation.model[0][0] == "o" else 0
            },
        }
        if conversation.model[1] == _ROUTER:
            usage["cost"] = (prompt * 3 + completion * 15) / 1e6
        message = answer | {"refusal": None, "annotations": []}
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        return self._response(conversation) | {"choices": [choice], "usage": usage}, answer

    def _failure(self, conversation: _Conversation) -> tuple[dict[str, Any], dict[str, Any]]:
        name = self._random.choice(_ERRORS)
        error = {"type": name, "message": f"{name}: the request failed", "code": None, "status": 429}
        return self._response(conversation) | {"choices": [], "error": error}, {}

    def _response(self, conversation: _Conversation) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self._random.getrandbits(96):024x}",
            "object": "chat.completion",
            "created": 1_764_000_000,
            "model": conversation.model[0],
            "system_fingerprint": f"fp_{self._models.draw():010x}",
            "service_tier": "default",
        }

    def _meta(
        self, conversation: _Conversation, time: float, response: dict[str, Any], *, failed: bool
    ) -> dict[str, Any]:
        draw = self._random
        tokens = response.get("usage", {}).get("completion_tokens", 0)
        latency = round(draw.lognormvariate(5.6, 0.5) + tokens * draw.uniform(6, 30), 3)
        stream = draw.random() < 0.5  # noqa: PLR2004
        status = "error" if failed else "closed_early" if stream and draw.random() < 0.02 else "ok"  # noqa: PLR2004
        meta = {
            MetaKey.EVENT_ID: _uuid7(draw, time),
            MetaKey.TIMESTAMP: datetime.fromtimestamp(time, timezone.utc).isoformat().replace("+00:00", "Z"),
            MetaKey.LATENCY_MS: latency,
            MetaKey.STREAM: stream,
            MetaKey.STATUS: status,
            MetaKey.BASE_URL: conversation.model[1],
            MetaKey.SDK: "ainsights/0.1.0 openai/3.54.0 python/3.11",
            MetaKey.API: "chat",
            MetaKey.RETRIES: 0 if draw.random() < 0.95 else 1,  # noqa: PLR2004
            "team": _TEAMS[hash_of(conversation.user) % len(_TEAMS)],
            "release": f"1.{int(time // 86_400) % 30}",
            "language": conversation.language,
            "tags": [draw.choice(("chat", "batch", "beta")), "production"],
        }
        if stream and not failed:
            meta[MetaKey.TTFT_MS] = round(min(latency, draw.lognormvariate(5.3, 0.4)), 3)
        if failed:
            meta[MetaKey.ERROR_TYPE] = response["error"]["type"]
        if conversation.session:
            meta["session_id"] = conversation.session
        return meta


def hash_of(name: str) -> int:
    """Return a number that is the same in every process."""
    return sum(name.encode())


def _uuid7(source: random.Random, time: float) -> str:
    value = int(time * 1000) << 80 | source.getrandbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    return str(uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62))
