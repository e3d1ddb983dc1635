"""Media in base64, replaced by what tells one file from another: type, length and SHA-256. Pure."""

from __future__ import annotations

import binascii
import hashlib
import re
from typing import Any

from ainsights._model import Insight, MetaKey

LIMIT = 8192
"""Characters of base64 up to which media stay: 6 KiB, a small icon."""

_DATA_URL = re.compile(
    rf"data:(?P<type>[\w.+-]{{1,99}}/[\w.+-]{{1,99}})?(?:;[\w.+-]{{1,99}}=[^;,\s]{{1,99}}){{0,5}};base64,"
    rf"(?P<data>[A-Za-z0-9+/=_\\-]{{{LIMIT},}})"
)
_BARE = re.compile(r"[A-Za-z0-9+/_\r\n-]+={0,2}\s{0,2}")
_CLASSES = tuple(map(re.compile, ("[A-Z]", "[a-z]", "[0-9]")))

_BEGINNINGS = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "audio/wav or image/webp",
    b"%PDF": "application/pdf",
    b"ID3": "audio/mpeg",
    b"\xff\xfb": "audio/mpeg",
    b"OggS": "audio/ogg",
    b"fLaC": "audio/flac",
    b"PK\x03\x04": "application/zip",
}


def elide(insight: Insight) -> Insight:
    """Return ``insight`` with large media replaced by their description, and told in ``ainsights.truncated``.

    Media are what a data URL has, also within a text, and any string of nothing but base64.
    """
    if not _may_have_media(insight.__dict__):
        return insight
    found: dict[str, int] = {}
    fields = {name: _without(value, name, found) for name, value in insight.__dict__.items()}
    return Insight.model_construct(**fields | {"meta": tell(fields["meta"], found)}) if found else insight


def tell(meta: dict[str, Any], found: dict[str, int]) -> dict[str, Any]:
    """Return ``meta`` that also tells what was cut: paths, and how many characters were there."""
    told = meta.get(MetaKey.TRUNCATED, {})
    return {**meta, MetaKey.TRUNCATED: told | found} if isinstance(told, dict) else meta


def _may_have_media(fields: dict[str, Any]) -> bool:
    values: list[Any] = [fields]
    while values:
        value = values.pop()
        if isinstance(value, str):
            if _may_be_media(value):
                return True
        elif isinstance(value, dict):
            values.extend(value.values())
        elif isinstance(value, (list, tuple)):
            values.extend(value)
    return False


def _without(value: Any, path: str, found: dict[str, int]) -> Any:
    if isinstance(value, str):
        replaced = _replaced(value) if _may_be_media(value) else value
        if replaced is not value:
            found[path] = len(value)
        return replaced
    if isinstance(value, dict):
        return {key: _without(item, f"{path}.{key}", found) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without(item, f"{path}.{position}", found) for position, item in enumerate(value)]
    return value


def _may_be_media(text: str) -> bool:
    return len(text) > LIMIT and ("base64," in text or _BARE.fullmatch(text) is not None)


def _replaced(text: str) -> str:
    if "base64," not in text:
        return description(text) if all(each.search(text) for each in _CLASSES) else text
    for form in (text, "".join(text.split()) if text.startswith("data:") else text):  # it may come in lines
        replaced, times = _DATA_URL.subn(_of_url, form)
        if times:
            return replaced
    return text


def _of_url(url: re.Match[str]) -> str:
    return description(url["data"], url["type"])


def description(base64: str, kind: str | None = None) -> str:
    """Return what replaces media; their type is told by their first bytes if it is not known."""
    data = base64.replace("-", "+").replace("_", "/").encode("ascii", "replace")
    try:
        data = binascii.a2b_base64(data + b"==")
    except binascii.Error:
        kind = f"{kind or 'media'} in broken base64"
    kind = kind or next((name for begin, name in _BEGINNINGS.items() if data.startswith(begin)), "media")
    return f"[{kind}, {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}]"
