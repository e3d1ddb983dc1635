"""What the built-in patterns find. Pure.

Each takes time in proportion to the text, whatever the text: what may repeat is bounded, or is found by a character
that it needs, or begins only where the character before cannot belong to it. No step of it takes longer than a few
milliseconds, so that other threads go on. In doubt something is redacted.

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

from ainsights._privacy.key_patterns import api_key
from ainsights._privacy.slices import end_of_run, search, substitute

if TYPE_CHECKING:
    from collections.abc import Callable

_LOCAL_BACKWARDS = re.compile(r"[\w.%+-]{1,64}")
_OF_DOMAIN = re.compile(r"[\w.-]*")


def email(text: str) -> str:
    """Return ``text`` without e-mail addresses."""
    at = text.find("@")
    if at < 0:
        return text
    kept, done = [], 0
    while at >= 0:
        end, domain = at + 1, _domain(text, at + 1)
        local = _LOCAL_BACKWARDS.match(text[max(done, at - 64) : at][::-1]) if domain else None
        if local:
            kept += [text[done : at - local.end()], "[email]"]
            done = end = at + 1 + len(domain)
        at = text.find("@", end)
    return "".join([*kept, text[done:]])


def _domain(text: str, start: int) -> str:
    """Return the labels with dots between them that begin at ``start``; an empty text if there are not two."""
    labels = text[start : end_of_run(_OF_DOMAIN, text, start)].partition("..")[0].rstrip(".")
    return labels if "." in labels and not labels.startswith(".") else ""


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
_LONGEST_PHONE = 640


def phone(text: str) -> str:
    """Return ``text`` without telephone numbers."""
    return substitute(_PHONE, "[phone]", text, _LONGEST_PHONE)


_CARD = re.compile(
    r"""[1-9](?<![0-9][0-9])(?<![0-9]\.[0-9])(?:
      [0-9]{12,18}
    | [0-9]{3}([ .-])[0-9]{4}\1[0-9]{4}\1[0-9]{1,4}(?:\1[0-9]{1,3})?
    | [0-9]{3}([ .-])[0-9]{6}\2[0-9]{4,5}
    )(?![0-9])""",
    re.VERBOSE,
)
_SHORTEST_CARD, _LONGEST_CARD = 13, 32
_ONCE = bytes.maketrans(b"0123456789", bytes(range(10)))
_TWICE = bytes.maketrans(b"0123456789", bytes([0, 2, 4, 6, 8, 1, 3, 5, 7, 9]))  # the digit sums


def credit_card(text: str) -> str:
    """Return ``text`` without numbers of payment cards."""
    found = search(_CARD, text, 0, _LONGEST_CARD)
    if found is None:
        return text
    kept, done = [], 0
    while found is not None:
        length = _card_at_start(found.group())
        if length:
            kept += [text[done : found.start()], "[credit_card]"]
            done = found.start() + length
        found = search(_CARD, text, done if length else found.start() + 1, _LONGEST_CARD)
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
    """Return whether the digits pass the Luhn test (ISO/IEC 7812-1)."""
    backwards = digits[::-1]
    return (sum(backwards[::2].translate(_ONCE)) + sum(backwards[1::2].translate(_TWICE))) % 10 == 0


_IPV4 = re.compile(r"[0-9](?<![\w.][0-9])[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![0-9]|\.[0-9])", re.ASCII)
_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:")
_OF_IPV6 = re.compile(r"[0-9A-Fa-f:.]*")
_LONGEST_IPV4, _LONGEST_IPV6 = 24, 45


def ip(text: str) -> str:
    """Return ``text`` without addresses of machines."""
    text = _without_ipv6(text)
    return substitute(_IPV4, _without_ipv4, text, _LONGEST_IPV4) if "." in text else text


def _without_ipv4(found: re.Match[str]) -> str:
    return "[ip]" if all(int(part) <= 255 for part in found.group().split(".")) else found.group()  # noqa: PLR2004  a byte


def _without_ipv6(text: str) -> str:
    colons = search(_COLONS, text, 0, _LONGEST_IPV6)
    kept, done = [], 0
    while colons is not None:
        before = _OF_IPV6.match(text[max(done, colons.start() - _LONGEST_IPV6) : colons.start()][::-1])
        start = colons.start() - (before.end() if before else 0)
        end = end_of_run(_OF_IPV6, text, colons.start())
        kept += [text[done:start], _ipv6_in(text, start, end)]
        done = end
        colons = search(_COLONS, text, end, _LONGEST_IPV6)
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


PATTERNS: dict[str, Callable[[str], str]] = {
    "email": email,
    "phone": phone,
    "credit_card": credit_card,
    "api_key": api_key,
    "ip": ip,
}
"""The functions by the names that the setting ``redact`` takes."""
