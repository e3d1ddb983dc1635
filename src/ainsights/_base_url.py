"""The URL and the path of an endpoint: what can stand in a request line and be resolved. Pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

_PATH = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
"""Of RFC 3986, section 3.3."""

DEFAULT_PATH = "/insight"
"""Where an endpoint takes insights, below its base URL."""

_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")
_LONGEST_NAME = 253
"""Characters of a host name, as DNS limits them."""


def normalize_base_url(text: str) -> str:
    """Return ``text`` as it goes over the wire: an international host name in ASCII, no slash at the end.

    Raises:
        ValueError: a request line, a Host header or a name lookup cannot carry it; the reason, without the text.
    """
    text = text.strip()
    if any(char in text for char in "\t\r\n"):  # which urlsplit drops
        raise ValueError("it has a tab or a line break")
    parts = _split(text)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError("not an http:// or https:// URL")
    if "@" in parts.netloc or "?" in text or "#" in text:
        raise ValueError("it has credentials, a query or a fragment")
    host, port = _host(parts), _port(parts)
    unfit = _PATH.sub("", parts.path)
    if unfit:
        raise ValueError(f"its path has {unfit[0]!r}: percent-encode it")
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def normalize_path(text: str) -> str:
    """Return ``text`` as the path of a request, without the white space around it.

    Raises:
        ValueError: a request line cannot carry it, or it names another place than it seems to; the reason.
    """
    path = text.strip()
    if not path.startswith("/"):
        raise ValueError("it does not begin with /")
    if "?" in path or "#" in path:
        raise ValueError("it has a query or a fragment")
    unfit = _PATH.sub("", path)
    if unfit:
        raise ValueError(f"it has {unfit[0]!r}: percent-encode it")
    segments = path.split("/")[1:]
    if "" in segments[:-1] or {".", ".."} & set(segments):
        raise ValueError("it has an empty segment, or one that is . or ..")
    return path


def is_loopback(host: str) -> bool:
    """Return whether ``host`` (a name or an address) is this machine by its very form, without a lookup."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError:  # newer versions of Python check the host in brackets here
        raise ValueError("its host is not a host name or an address") from None


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if ":" in host:
        try:
            return f"[{ipaddress.IPv6Address(host)}]"
        except ValueError:
            raise ValueError("its host is not a host name or an address") from None
    name = host if host.isascii() else _in_ascii(host)
    labels = name.removesuffix(".").split(".")
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("its host is not a host name: parts of 1 to 63 letters, digits or hyphens, between dots")
    return name


def _in_ascii(host: str) -> str:
    import idna  # noqa: PLC0415  few names need it

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise ValueError("its host is not an international name: write it in ASCII (xn--...)") from None


def _port(parts: SplitResult) -> str:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("its port is not a number from 1 to 65535")
    return "" if port is None else f":{port}"
