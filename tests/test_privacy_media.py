from __future__ import annotations

import base64
import hashlib
import random
from typing import Any

import pytest
from support.models import COMPLETION

from ainsights._model import Insight
from ainsights._privacy.media import LIMIT, elide

DATA = b"\x89PNG" + random.Random(1).randbytes(LIMIT)
TEXT = base64.b64encode(DATA).decode()
URL = f"data:image/webp;base64,{TEXT}"
SHA = hashlib.sha256(DATA).hexdigest()
ELIDED = f"{len(DATA)} bytes, sha256 {SHA}]"


def elided(**fields: Any) -> Insight:
    return elide(Insight(**{"response": COMPLETION, "messages": "hi"} | fields))


def user(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [part]}]


def test_image_becomes_its_type_length_and_hash_and_is_listed() -> None:
    left = elided(messages=user({"type": "image_url", "image_url": {"url": URL, "detail": "low"}}))
    assert left.messages == user({"type": "image_url", "image_url": {"url": f"[image/webp, {ELIDED}", "detail": "low"}})
    assert left.meta == {"ainsights.truncated": {"messages.0.content.0.image_url.url": len(URL)}}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (TEXT, f"[image/png, {ELIDED}"),
        (TEXT.rstrip("="), f"[image/png, {ELIDED}"),
        (base64.urlsafe_b64encode(DATA).decode(), f"[image/png, {ELIDED}"),
        (base64.encodebytes(DATA).decode(), f"[image/png, {ELIDED}"),
        (f"data:;base64,{TEXT}", f"[image/png, {ELIDED}"),
        (f"data:audio/wav;codecs=pcm;base64,{TEXT}", f"[audio/wav, {ELIDED}"),
        (f"data:application/pdf;base64,{base64.encodebytes(DATA).decode()}", f"[application/pdf, {ELIDED}"),
        (f"see ![]({URL}) and ({URL})", f"see ![]([image/webp, {ELIDED}) and ([image/webp, {ELIDED})"),
    ],
    ids=range(8),
)
def test_media_are_known_by_their_form(text: str, left: str) -> None:
    assert elided(messages=text).messages == left


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": user({"type": "input_audio", "input_audio": {"data": TEXT, "format": "wav"}})},
        {"messages": user({"type": "file", "file": {"file_data": URL, "filename": "x.pdf"}})},
        {"response": COMPLETION | {"choices": [{"message": {"audio": {"data": TEXT}}}]}},
        {"template": user({"type": "image_url", "image_url": {"url": URL}})},
        {"inputs": {"photo": URL}},
        {"args": {"prediction": {"content": URL}}},
    ],
    ids=range(6),
)
def test_media_are_found_in_every_field(fields: dict[str, Any]) -> None:
    left = elided(**fields)
    assert TEXT[:100].encode() not in left.encode()
    assert SHA.encode() in left.encode()
    assert len(left.meta["ainsights.truncated"]) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"data:image/png;base64,{TEXT[: LIMIT - 1]}",
        TEXT[:LIMIT],
        "x" * 2 * LIMIT,
        "1234567890" * LIMIT,
        "Plain text of 3 words. " * LIMIT,
        "data:" * LIMIT,
        "data:;base64," * LIMIT,
        "data: about base64, " * LIMIT,
        f"https://example.com/{'a' * LIMIT}?b=1",
    ],
    ids=range(9),
)
def test_other_text_and_small_media_are_kept(text: str) -> None:
    given = Insight(response=COMPLETION, messages=text)
    assert elide(given) is given


def test_broken_base64_is_described_by_its_characters() -> None:
    text = TEXT.rstrip("=")[: LIMIT + 1]
    left = elided(messages=f"data:image/png;base64,{text}").messages
    sha = hashlib.sha256(text.encode()).hexdigest()
    assert left == f"[image/png in broken base64, {LIMIT + 1} bytes, sha256 {sha}]"


def test_truncation_mark_of_the_user_is_kept() -> None:
    left = elided(messages=URL, meta={"ainsights.truncated": "mine"})
    assert left.meta == {"ainsights.truncated": "mine"}
