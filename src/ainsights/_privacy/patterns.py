"""What the built-in patterns find. Pure.

Each takes time in proportion to the text, whatever the text: what may repeat is bounded, or is found by a character
that it needs, or begins only where the character before cannot belong to it. In doubt something is redacted.

- ``email``: local part of up to 64 characters, ``@``, a domain with a dot. Letters of all languages.
- ``phone``: after a ``+`` or ``00``, with an area code in parentheses or with a leading 0, or as North American numbers
  are written; 7 to 15 digits with blanks, dots, dashes, slashes. Other bare numbers are left alone.
- ``credit_card``: 13 to 19 digits, together or in the groups that are printed on cards, if their checksum is right.
- ``api_key``: by the prefixes of known vendors; JSON web tokens; what follows ``Bearer``, ``Authorization:``,
  ``api_key=`` and the like; private keys in PEM.
- ``ip``: addresses of versions 4 and 6.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LOCAL_BACKWARDS = re.compile(r"[\w.%+-]{1,64}")
_DOMAIN = re.compile(r"[\w-]+(?:\.[\w-]+)+")


def email(text: str) -> str:
    """Return ``text`` without e-mail addresses."""
    at = text.find("@")
    if at < 0:
        return text
    kept, done = [], 0
    while at >= 0:
        end, domain = at + 1, _DOMAIN.match(text, at + 1)
        local = _LOCAL_BACKWARDS.match(text[max(done, at - 64) : at][::-1]) if domain else None
        if domain and local:
            kept += [text[done : at - local.end()], "[email]"]
            done = end = domain.end()
        at = text.find("@", end)
    return "".join([*kept, text[done:]])


# The first character stands alone, so that the search skips to it quickly; what must not be before it comes after it

_PHONE = re.compile(
    r"""[+(0-9](?:
      (?<=\+)(?<![0-9]\+)[1-9](?:S[0-9]){6,200}
    | (?<=\()[0-9]{2,5}\)(?:S[0-9]){5,200}
    | (?<!\w[0-9])(?<![0-9][.,][0-9])(?:
          (?<=0)(?![0-9][./-][0-9]{1,2}[./-][0-9]{4})0?[1-9](?:S[0-9]){7,200}
        | (?<=1)[ .-]?\(?[2-9][0-9]{2}\)?[ ./-]?[2-9][0-9]{2}[ .-]?[0-9]{4}
        | (?<=[2-9])[0-9]{2}[ ./-]?[2-9][0-9]{2}[ .-]?[0-9]{4}
      )
    )(?:(?!\w)|(?=x[0-9])|(?=ext))""".replace("S", r"[\ ./()\-\xa0]{0,2}"),
    re.VERBOSE | re.ASCII,
)


def phone(text: str) -> str:
    """Return ``text`` without telephone numbers."""
    return _PHONE.sub("[phone]", text)


_CARD = re.compile(
    r"""[1-9](?<![0-9][0-9])(?<![0-9]\.[0-9])(?:
      [0-9]{12,18}
    | [0-9]{3}([ .-])[0-9]{4}\1[0-9]{4}\1[0-9]{1,4}(?:\1[0-9]{1,3})?
    | [0-9]{3}([ .-])[0-9]{6}\2[0-9]{4,5}
    )(?![0-9])""",
    re.VERBOSE,
)
_SHORTEST_CARD = 13
_ONCE = bytes.maketrans(b"0123456789", bytes(range(10)))
_TWICE = bytes.maketrans(b"0123456789", bytes([0, 2, 4, 6, 8, 1, 3, 5, 7, 9]))  # the digit sums


def credit_card(text: str) -> str:
    """Return ``text`` without numbers of payment cards."""
    found = _CARD.search(text)
    if found is None:
        return text
    kept, done = [], 0
    while found is not None:
        length = _card_at_start(found.group())
        if length:
            kept += [text[done : found.start()], "[credit_card]"]
            done = found.start() + length
        found = _CARD.search(text, done if length else found.start() + 1)
    return "".join([*kept, text[done:]])


def _card_at_start(groups: str) -> int:
    """Return how many characters of ``groups`` are a card number; the last group may be something else."""
    length = len(groups)
    while length > 0:
        digits = groups[:length].encode().translate(None, b" .-")
        if len(digits) >= _SHORTEST_CARD and _has_right_checksum(digits):
            return length
        length = max(groups.rfind(separator, 0, length) for separator in " .-")
    return 0


def _has_right_checksum(digits: bytes) -> bool:
    """Tell whether the digits pass the Luhn test (ISO/IEC 7812-1)."""
    backwards = digits[::-1]
    return (sum(backwards[::2].translate(_ONCE)) + sum(backwards[1::2].translate(_TWICE))) % 10 == 0


_IPV4 = re.compile(r"[0-9](?<![\w.][0-9])[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![0-9]|\.[0-9])", re.ASCII)
_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:")
_OF_IPV6 = re.compile(r"[0-9A-Fa-f:.]*")
_LONGEST_IPV6 = 45


def ip(text: str) -> str:
    """Return ``text`` without addresses of machines."""
    text = _without_ipv6(text)
    return _IPV4.sub(_without_ipv4, text) if "." in text else text


def _without_ipv4(found: re.Match[str]) -> str:
    return "[ip]" if all(int(part) <= 255 for part in found.group().split(".")) else found.group()  # noqa: PLR2004  a byte


def _without_ipv6(text: str) -> str:
    colons = _COLONS.search(text)
    kept, done = [], 0
    while colons is not None:
        before = _OF_IPV6.match(text[max(done, colons.start() - _LONGEST_IPV6) : colons.start()][::-1])
        after = _OF_IPV6.match(text, colons.start())
        start = colons.start() - (before.end() if before else 0)
        end = after.end() if after else colons.end()
        kept += [text[done:start], _ipv6_in(text, start, end)]
        done = end
        colons = _COLONS.search(text, end)
    return "".join([*kept, text[done:]])


def _ipv6_in(text: str, start: int, end: int) -> str:
    """Return ``text[start:end]`` with the address that it is redacted; there may be a label before it."""
    run = text[start:end]
    label = run.find(":") + 1
    whole = [] if _is_word(text[start - 1 : start]) else [0]
    for begin in whole if run.startswith("::") else [*whole, label]:
        address = run[begin:].rstrip(".")
        address = address[:-1] if address.endswith(":") and not address.endswith("::") else address
        if _is_ipv6(address) and not _is_word(text[end : end + 1]):
            return f"{run[:begin]}[ip]{run[begin + len(address) :]}"
    return run


def _is_word(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_")


def _is_ipv6(text: str) -> bool:
    if len(text) > _LONGEST_IPV6 or not text.strip(":."):
        return False
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


_KEYS = [
    (hint, re.compile(pattern, re.ASCII | re.DOTALL))
    for hint, pattern in [
        ("sk-", r"sk-(?:(?<![A-Za-z0-9]sk-)(?=[\w*-]{0,99}[0-9*])[\w*-]{8,}|(?:[a-z0-9]{1,10}-){0,3}\w{20,}[\w*-]*)"),
        ("_live_", r"[rs]k_live_\w{8,}"),
        ("_test_", r"[rs]k_test_\w{8,}"),
        ("AKIA", r"AKIA[0-9A-Z]{16,}"),
        ("ASIA", r"ASIA[0-9A-Z]{16,}"),
        ("AIza", r"AIza[\w-]{30,}"),
        ("ya29.", r"ya29\.[\w.-]{16,}"),
        ("github_pat_", r"github_pat_\w{16,}"),
        ("gh", r"gh[pousr]_\w{16,}"),
        ("glpat-", r"glpat-[\w-]{16,}"),
        ("xox", r"xox[a-z]-[\w-]{8,}"),
        ("xapp-", r"xapp-[\w-]{8,}"),
        ("hf_", r"hf_(?<![A-Za-z0-9]hf_)\w{16,}"),
        ("gsk_", r"gsk_(?<![A-Za-z0-9]gsk_)\w{16,}"),
        ("npm_", r"npm_(?<![A-Za-z0-9]npm_)\w{16,}"),
        ("pypi-", r"pypi-[\w-]{16,}"),
        ("SG.", r"SG\.[\w-]{16,64}\.[\w-]{16,}"),
        ("eyJ", r"eyJ(?<![\w-]eyJ)[\w-]{8,}(?:\.{1,2}[\w-]+){1,4}"),
        ("PRIVATE KEY", r"-----BEGIN[A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END[A-Z ]{0,40}PRIVATE KEY-----|\Z)"),
    ]
]
_EQUALS = r"""["'\\]{0,4}\s{0,3}(?:[:=]|=>|is)\s{0,3}["'\\]{0,4}"""
_VALUE = r"""(?P<value>[^\s"'\\,;<>(){}\[\]]{4,})"""
_KINDS = (
    "(?:" + "|".join(rf"(?<={kind}key)|(?<={kind}[ _-]key)" for kind in ("api", "access", "secret", "private")) + ")"
)
_TOKENS = "(?:" + "|".join(rf"(?<={kind}[ _-]token)" for kind in ("api", "auth", "access", "refresh", "bearer")) + ")"
_NAMED = [
    (hint, re.compile(pattern + _VALUE, re.ASCII))
    for hint, pattern in [
        ("key", rf"key{_KINDS}(?P<sure>\ provided)?{_EQUALS}"),
        ("token", rf"token{_TOKENS}{_EQUALS}"),
        ("secret", rf"secret(?<=client[ _-]secret){_EQUALS}"),
        ("authorization", rf"authorization{_EQUALS}(?:(?:basic|bearer|token)\s{{1,3}})?"),
        ("bearer", r"bearer\s{1,3}"),
    ]
]
_SHORTEST_NAMED = 8


def api_key(text: str) -> str:
    """Return ``text`` without keys, tokens and other credentials."""
    for hint, pattern in _KEYS:
        if hint in text:
            text = pattern.sub("[api_key]", text)
    lower = _lower(text)
    for hint, pattern in _NAMED:
        if hint in lower:
            text = _without_named(text, lower, pattern)
            lower = _lower(text)
    return text


def _lower(text: str) -> str:
    """Return ``text`` in small letters, each in its place: a few letters become two."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(each.lower() if each.isascii() else each for each in text)


def _without_named(text: str, lower: str, pattern: re.Pattern[str]) -> str:
    kept, done = [], 0
    for found in pattern.finditer(lower):
        if found.groupdict().get("sure") or _looks_like_a_key(found["value"]):
            kept += [text[done : found.start("value")], "[api_key]"]
            done = found.end()
    return "".join([*kept, text[done:]]) if done else text


def _looks_like_a_key(value: str) -> bool:
    return len(value) >= _SHORTEST_NAMED and any(not each.isalpha() and each not in ".-_:" for each in value)


PATTERNS: dict[str, Callable[[str], str]] = {
    "email": email,
    "phone": phone,
    "credit_card": credit_card,
    "api_key": api_key,
    "ip": ip,
}
"""The functions by the names that the setting ``redact`` takes."""
