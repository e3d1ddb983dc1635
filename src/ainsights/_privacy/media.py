"""Media in base64, replaced by what identifies a file: type, length and SHA-256. Pure."""

from __future__ import annotations

import binascii
import hashlib
import re
from typing import TYPE_CHECKING, Any, TypeVar

from ainsights._model import Insight, MetaKey
from ainsights._privacy.slices import end_of_run, search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_Part = TypeVar("_Part", str, bytes)

LIMIT = 8192
"""Characters of base64 up to which media stay: 6 KiB, a small icon."""

_URL_HEAD = re.compile(
    r"data:(?P<type>[\w.+-]{1,99}/[\w.+-]{1,99})?(?:;[\w.+-]{1,99}=[^;,\s]{1,99}){0,5};base64,(?=[A-Za-z0-9+/=_\\-])"
)
_LONGEST_HEAD = 1280
_URL_DATA = re.compile(r"[A-Za-z0-9+/=_\\-]*")
_STEP = 1 << 18
"""Characters that are decoded at once, so that other threads go on."""
_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_NOT_BASE64 = re.sub(rb"[A-Za-z0-9+/_-]", b"", bytes(range(256)))
_BARE = re.compile(r"[A-Za-z0-9+/_\r\n-]*")
_BARE_END = re.compile(r"={0,2}\s{0,2}")
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
    """Return ``insight`` with large media replaced by their description, and named in ``ainsights.truncated``.

    Media are what a data URL has, also within a text, and any string of nothing but base64.
    """
    if not _may_have_media(insight.__dict__):
        return insight
    found: dict[str, int] = {}
    fields = {name: _without(value, name, found) for name, value in insight.__dict__.items()}
    return Insight.model_construct(**fields | {"meta": with_truncated(fields["meta"], found)}) if found else insight


def with_truncated(meta: dict[str, Any], found: dict[str, int]) -> dict[str, Any]:
    """Return ``meta`` in which ``ainsights.truncated`` has ``found`` too: paths, and how long it was what was cut."""
    before = meta.get(MetaKey.TRUNCATED, {})
    return {**meta, MetaKey.TRUNCATED: before | found} if isinstance(before, dict) else meta


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
    return len(text) > LIMIT and ("base64," in text or _is_bare(text))


def _is_bare(text: str) -> bool:
    return _BARE_END.fullmatch(text, end_of_run(_BARE, text, 0)) is not None


def _replaced(text: str) -> str:
    if "base64," not in text:
        return description(text) if all(search(each, text, 0, 1) for each in _CLASSES) else text
    replaced = _without_urls(text)
    if replaced is text and text.startswith("data:"):  # it may come in lines
        return _without_urls("".join(_in_steps(lambda part: "".join(part.split()), text)), text)
    return replaced


def _without_urls(text: str, unchanged: str | None = None) -> str:
    """Return ``text`` without large data URLs; where it has none ``unchanged``, or ``text`` itself."""
    kept, done, at = [], 0, 0
    while (found := search(_URL_HEAD, text, at, _LONGEST_HEAD)) is not None:
        at = end_of_run(_URL_DATA, text, found.end())
        if at - found.end() >= LIMIT:
            kept += [text[done : found.start()], description(text[found.end() : at], found["type"])]
            done = at
    if not kept:
        return text if unchanged is None else unchanged
    return "".join([*kept, text[done:]])


def description(base64: str, kind: str | None = None) -> str:
    """Return what replaces media; their first bytes give the type if it is not known."""
    pieces = _decoded(base64)
    if pieces is None:
        kind, pieces = f"{kind or 'media'} in broken base64", _in_steps(_ascii, base64)
    length, digest = 0, hashlib.sha256()
    for piece in pieces:
        if kind is None:
            kind = next((name for begin, name in _BEGINNINGS.items() if piece.startswith(begin)), "media")
        length += len(piece)
        digest.update(piece)
    return f"[{kind or 'media'}, {length} bytes, sha256 {digest.hexdigest()}]"


def _decoded(base64: str) -> Iterator[bytes] | None:
    """Return the bytes in pieces; None if it is not complete base64."""
    text = base64.partition("=")[0]
    alphabet = [part.translate(_FROM_URL_SAFE, _NOT_BASE64) for part in _in_steps(_ascii, text)]
    return None if sum(map(len, alphabet)) % 4 == 1 else _decode(alphabet)


def _decode(parts: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for part in parts:
        joined = rest + part
        whole = len(joined) - len(joined) % 4
        yield binascii.a2b_base64(joined[:whole])
        rest = joined[whole:]
    yield binascii.a2b_base64(rest + b"==")


def _in_steps(step: Callable[[str], _Part], text: str) -> Iterator[_Part]:
    return (step(text[start : start + _STEP]) for start in range(0, len(text), _STEP))


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "replace")
