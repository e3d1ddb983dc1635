"""The log lines of ainsights: logger ``ainsights``, at most one line a minute of each kind.

Lines quote what others wrote: an endpoint's answer, the message of an exception. In every line of this logger API keys
are masked and control characters are escaped; what is shown elsewhere goes through :func:`sanitize`.
"""

from __future__ import annotations

import functools
import logging
import re
import threading
import time
import traceback
from collections import Counter
from typing import Literal

logger = logging.getLogger("ainsights")

LOG_EVERY = 60.0
"""Seconds between two log lines of the same kind."""

MASK = "[api_key]"

_SHORTEST_SECRET = 8
"""Characters of the shortest key that is masked wherever it is; a shorter one may be a word, and follows ``Bearer``."""
_SECRET_AFTER_PREFIX = 4
"""Characters after a prefix such as ``ainsights_`` that make the beginning of a key; the prefix alone is public."""
_PREFIX = re.compile(r"[A-Za-z]+[_-]")
LONGEST_SPELLING = 12
"""Characters that an encoder writes for one of a key, unless several encode it one after the other."""
_MAX_SECRETS = 64
"""Keys that are remembered; the oldest are forgotten, so that a program that changes its key does not grow."""

_secrets: tuple[str, ...] = ()

_last_logged: dict[str, float] = {}
_suppressed: Counter[str] = Counter()
_lock = threading.Lock()


def log_rate_limited(
    level: Literal["info", "warning", "error"],
    kind: str,
    message: str,
    *args: object,
    error: BaseException | None = None,
) -> None:
    """Log ``message`` unless a line of this ``kind`` was logged less than a minute ago.

    May be called on any thread at any moment, a garbage-collector finaliser included, so it never waits for its lock.
    """
    if not _lock.acquire(blocking=False):
        return
    try:
        now = time.monotonic()
        if now - _last_logged.get(kind, -LOG_EVERY) < LOG_EVERY:
            _suppressed[kind] += 1
            return
        _last_logged[kind] = now
        more = _suppressed.pop(kind, 0)
    finally:
        _lock.release()
    if more:
        message, args = message + " (and %d more like it)", (*args, more)
    try:
        logger.log(_LEVELS[level], message, *args, exc_info=error)
    except BaseException as raised:  # by a log handler of the user's: it would do so in their call, or end our thread
        if is_user_interrupt(raised):
            raise


def is_user_interrupt(error: BaseException) -> bool:
    """Return whether ``error`` is Ctrl-C, which is the user's; their code may raise the same on a thread of ours."""
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def register_secret(secret: str) -> None:
    """Mask ``secret`` in every log line from now on, and in what :func:`sanitize` returns."""
    global _secrets  # noqa: PLW0603  a process has one log
    _secrets = (*(each for each in _secrets[-_MAX_SECRETS + 1 :] if each != secret), secret)


def sanitize(text: str) -> str:
    """Return ``text``, which others wrote, fit to be shown: with API keys masked and control characters escaped."""
    return escape_terminal(mask_secrets(text))


def mask_secrets(text: str) -> str:
    """Return ``text`` without the registered secrets, in all forms that JSON, URL and HTML encoders give them."""
    for secret in sorted(_secrets, key=len, reverse=True):  # one may begin with another
        text = spellings(secret).sub(MASK, text)
        if len(secret) >= _SHORTEST_SECRET:
            text = _without_beginning(text, secret)
    return text


def escape_terminal(text: str) -> str:
    r"""Return ``text`` with what is not printable (control, bidirectional and invisible characters) as ``\x1b``."""
    return text if text.isprintable() else "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


@functools.lru_cache(2 * _MAX_SECRETS)
def spellings(secret: str) -> re.Pattern[str]:
    """Return a pattern of ``secret`` in all forms that JSON, URL and HTML encoders give it."""
    before = "" if len(secret) >= _SHORTEST_SECRET else r"(?<=Bearer )"
    return re.compile(before + "".join(map(_spelling, secret)))


_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos|&\\#39", "/": "sol", "+": "plus", "=": "equals"}


def _spelling(character: str) -> str:
    """Return a pattern of ``character`` as it is and as encoders write it, also one after the other."""
    code = ord(character)
    digits = "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in f"{code:x}")
    raw = rf"\\{{0,8}}{re.escape(character)}" if character in "\"'/\\" else re.escape(character)
    forms = [
        rf"\\{{1,8}}u00{digits.rjust(2, '0')}",
        rf"\\{{1,8}}x{digits}",
        rf"%(?:25){{0,4}}{digits}",
        rf"&(?:amp;){{0,4}}\#0*{code};",
        rf"&(?:amp;){{0,4}}\#[xX]0*{digits};",
    ]
    if character in _ENTITIES:
        forms.append(f"&(?:amp;){{0,4}}(?:{_ENTITIES[character]});")
    return f"(?:{'|'.join([*forms, raw])})"


def _without_beginning(text: str, secret: str) -> str:
    """Return ``text`` without the beginning of ``secret`` at its end, where a text was cut to a length."""
    start = position = -1
    prefix = _PREFIX.match(secret)
    shortest = max(_SHORTEST_SECRET, prefix.end() + _SECRET_AFTER_PREFIX if prefix else 0)
    for found in spellings(secret[:shortest]).finditer(text, max(0, len(text) - LONGEST_SPELLING * len(secret))):
        start, position = found.span()
    if start < 0:
        return text
    for character in secret[shortest:]:
        following = re.compile(_spelling(character)).match(text, position)
        if following is None:
            break
        position = following.end()
    return f"{text[:start]}{MASK}" if len(text) - position < LONGEST_SPELLING else text


class _Sanitizer(logging.Filter):
    """Masks and escapes each record of the logger, before any handler of the user's program sees it."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            if isinstance(record.args, tuple):
                record.args = tuple(
                    each if isinstance(each, (int, float)) else sanitize(str(each)) for each in record.args
                )
            if record.exc_info:
                text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
                lines = [sanitize(line) for line in text.split("\n")]
                if "\n".join(lines) != text:
                    record.exc_info, record.exc_text = None, "\n".join(lines)
        except Exception:  # noqa: BLE001  what cannot be made safe is not logged
            return False
        return True


logger.addFilter(_Sanitizer())


def reset_rate_limits() -> None:
    """Allow the next line of every kind; in the child of a fork too, where another thread may have held the lock."""
    global _lock  # noqa: PLW0603  a process has one log
    _lock = threading.Lock()
    _last_logged.clear()
    _suppressed.clear()


_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
