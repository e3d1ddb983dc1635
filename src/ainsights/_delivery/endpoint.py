"""Endpoint: where insights are sent and through which proxy, decided once, for the sender, doctor and the log alike."""

from __future__ import annotations

import base64
import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from ainsights._base_url import DEFAULT_PATH, is_loopback
from ainsights._logging import register_secret

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from urllib.parse import SplitResult

    from typing_extensions import Self

DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""Of endpoints and proxies, by their scheme; for proxies the same as curl's but for SOCKS, and as httpx's."""


class ProxyError(OSError):
    """The proxy cannot be used, or does not let us through.

    Args:
        proxy: which.
        reason: why, in a few words.
    """

    def __init__(self, proxy: Proxy, reason: str) -> None:
        super().__init__(f"{proxy}: {reason}")
        self.remedy = f"check {proxy.variable}; to send without a proxy, add the endpoint's host to NO_PROXY"


@dataclass(frozen=True, repr=False)
class Proxy:
    """A proxy, and the variable that names it."""

    scheme: str
    host: str
    port: int
    variable: str
    username: str | None = None
    password: str = ""

    @classmethod
    def parse(cls, url: str, variable: str) -> Self:
        """Return the proxy at ``url``, which may lack scheme and port.

        Raises:
            ProxyError: the URL is not that of a usable proxy.
        """
        parts = urlsplit(url if "://" in url else f"http://{url}")
        unusable = cls(parts.scheme, "", 0, variable)
        if parts.scheme not in DEFAULT_PORTS:
            known = ", ".join(f"{scheme}://" for scheme in DEFAULT_PORTS)
            raise ProxyError(unusable, f"{parts.scheme}:// is not supported, only {known}")
        try:
            port = parts.port or DEFAULT_PORTS[parts.scheme]
        except ValueError:
            raise ProxyError(unusable, "its port is not a number from 1 to 65535") from None
        if not parts.hostname:
            raise ProxyError(unusable, "it names no host")
        username = None if parts.username is None else unquote(parts.username)
        found = cls(parts.scheme, parts.hostname, port, variable, username, unquote(parts.password or ""))
        if found.password:
            register_secret(found.password)
            register_secret(found.authorization["Proxy-Authorization"].removeprefix("Basic "))
        return found

    def __str__(self) -> str:
        return f"the proxy {self.address} ({self.variable})" if self.host else f"the proxy that {self.variable} names"

    __repr__ = __str__

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{_bracketed(self.host)}:{self.port}"

    @property
    def authorization(self) -> dict[str, str]:
        """The header that an HTTP proxy asks for."""
        if self.username is None:
            return {}
        account = f"{self.username}:{self.password}"
        return {"Proxy-Authorization": f"Basic {base64.b64encode(account.encode()).decode()}"}


@dataclass(frozen=True)
class Endpoint:
    """Where a connection leads, the proxy on the way, and the path of the requests.

    Attributes:
        url: the base URL.
        proxy: on the way; None if there is none.
        tls: what decides which certificates are trusted; None for http.
        path: what is appended to the base URL.
    """

    url: SplitResult
    proxy: Proxy | None
    tls: ssl.SSLContext | None
    path: str = DEFAULT_PATH

    @classmethod
    def of(cls, base_url: str, path: str = DEFAULT_PATH) -> Self:
        """Return the endpoint, with the proxy and the certificates that the environment names.

        Args:
            base_url: where it is.
            path: where it takes insights, below that.

        Raises:
            ProxyError: the environment names a proxy that cannot be used.
        """
        url = urlsplit(base_url)
        return cls(url, _proxy(url), tls_context() if url.scheme == "https" else None, path)

    @property
    def host(self) -> str:
        """Its name or address."""
        return self.url.hostname or ""

    @property
    def port(self) -> int:
        """Its port."""
        return self.url.port or DEFAULT_PORTS[self.url.scheme]

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{_bracketed(self.host)}:{self.port}"

    @property
    def target(self) -> str:
        """What the request line names: the path, or the whole URL where a proxy has to know."""
        path = f"{self.url.path}{self.path}"
        return f"http://{self.url.netloc}{path}" if self.proxy and not self.tls else path

    @property
    def headers(self) -> dict[str, str]:
        """What the first one to read the request needs beyond its fields."""
        return {"Host": self.url.netloc} | (self.proxy.authorization if self.proxy and not self.tls else {})


def tls_context() -> ssl.SSLContext:
    """Trust the system's certificates, or those that SSL_CERT_FILE names, and Mozilla's where they are installed."""
    import ssl  # noqa: PLC0415  only https needs it

    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    with contextlib.suppress(ImportError):
        import certifi  # noqa: PLC0415  httpx brings it

        context.load_verify_locations(certifi.where())
    return context


def _proxy(url: SplitResult) -> Proxy | None:
    host, proxies = url.hostname or "", getproxies()
    if is_loopback(host) or proxy_bypass(url.netloc):
        return None
    for kind in (url.scheme, "all"):
        if proxies.get(kind):
            return Proxy.parse(proxies[kind], next(_variables(kind), "the proxy settings of this system"))
    return None


def _variables(kind: str) -> Iterator[str]:
    name = f"{kind}_proxy"
    return (each for each in (name, *os.environ) if each.lower() == name and os.environ.get(each))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
