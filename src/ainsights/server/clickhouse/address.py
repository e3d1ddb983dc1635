"""The address of a ClickHouse server or cluster, as ``--store`` takes it.

::

    clickhouse://user@host/database                     HTTP, port 8123
    clickhouses://user@host/database                    HTTPS, port 8443
    clickhouse://user:password@host:8124/database       better: the password in AINSIGHTS_CLICKHOUSE_PASSWORD
    clickhouse://user@host/database?cluster=main        tables replicated on a cluster, inserts with a quorum
"""

from __future__ import annotations

import re
import shlex
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from ainsights.errors import ConfigurationError
from ainsights.server.clickhouse.schema import Cluster

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

PASSWORD_VARIABLE = "AINSIGHTS_CLICKHOUSE_PASSWORD"  # noqa: S105  its name
PORTS = {"clickhouse": 8123, "clickhouses": 8443}
EXAMPLE = "clickhouse://user@host/database, or clickhouses:// for TLS"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_OPTIONS = ("cluster", "quorum", "ca", "verify")


@dataclass(frozen=True)
class Address:
    """Where the store is, and how it is reached.

    Attributes:
        quorum: how many servers of a cluster have an insert when it is answered: ``auto`` is the majority.
        ca: a file with the certificates that TLS trusts; None: those of the system.
        verify: whether the server's certificate is checked.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    tls: bool
    cluster: Cluster
    quorum: str = "auto"
    ca: str | None = None
    verify: bool = True

    @property
    def name(self) -> str:
        """The address without the password."""
        scheme = "clickhouses" if self.tls else "clickhouse"
        return f"{scheme}://{self.user}@{self.host_in_url}:{self.port}/{self.database}"

    @property
    def url(self) -> str:
        """What ``--store`` takes for this address, without the password."""
        scheme = "clickhouses" if self.tls else "clickhouse"
        options = {"cluster": self.cluster.name, "ca": self.ca}
        options |= {"quorum": None if self.quorum == "auto" else self.quorum, "verify": None if self.verify else "no"}
        query = urlencode({name: value for name, value in options.items() if value}, safe="/")
        user = quote(self.user, safe="")
        return f"{scheme}://{user}@{self.host_in_url}:{self.port}/{self.database}" + (f"?{query}" if query else "")

    @property
    def migrate_command(self) -> str:
        """The command that makes or changes the tables there."""
        return f"ainsights serve migrate --store {shlex.quote(self.url)}"

    @property
    def host_in_url(self) -> str:
        """The host as a URL has it: an address of IPv6 within brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host


def is_address(text: str) -> bool:
    """Whether ``text`` names a store on ClickHouse, right or wrong, and not a file."""
    return text.partition("://")[0].lower() in PORTS


def parse(text: str, environment: Mapping[str, str]) -> Address:
    """Return the address that ``text`` names. The password is in it, or in the environment.

    Raises:
        ConfigurationError: it names none; the message does not repeat the text, which may hold a password.
    """
    try:
        url = urlsplit(text)
    except ValueError:
        url = None
    if url is None or "@" in url.path + url.query + url.fragment:
        raise ConfigurationError(
            f"--store: not a URL; give {EXAMPLE} (in a password, / ? # [ ] @ : and % take percent-encoding; or give it "
            f"in {PASSWORD_VARIABLE})"
        )
    if url.scheme not in PORTS or not url.hostname:
        raise ConfigurationError(f"--store: give {EXAMPLE}")
    port = _port(url)
    database = url.path.strip("/")
    if not database:
        raise ConfigurationError(f"--store: names no database; give {EXAMPLE}")
    _check_name("database", database)
    options = _options(url)
    password = unquote(url.password) if url.password is not None else environment.get(PASSWORD_VARIABLE, "")
    return Address(
        host=url.hostname,
        port=port,
        user=unquote(url.username or "default"),
        password=password,
        database=database,
        tls=url.scheme == "clickhouses",
        cluster=Cluster(options.get("cluster")),
        quorum=options.get("quorum", "auto"),
        ca=options.get("ca"),
        verify=options.get("verify", "yes") == "yes",
    )


def _port(url: SplitResult) -> int:
    try:
        port = url.port
    except ValueError:
        port = 0
    if port == 0:
        raise ConfigurationError("--store: port: give a number from 1 to 65535")
    return port or PORTS[url.scheme]


def _check_name(kind: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"--store: {kind}: {name[:80]!r} is not a name; use letters, digits and _")


def _options(url: SplitResult) -> dict[str, str]:
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    for name, value in options.items():
        if name not in _OPTIONS:
            raise ConfigurationError(f"--store: unknown option {name[:40]!r}; the choices are {', '.join(_OPTIONS)}")
        if name == "cluster":
            _check_name("cluster", value)
        if name in ("ca", "verify") and url.scheme != "clickhouses":
            raise ConfigurationError(f"--store: {name} is for TLS: give clickhouses:// with it")
        if name == "ca":
            _check_certificates(value)
        if name == "quorum" and value != "auto" and not re.fullmatch(r"[0-9]{1,3}", value):
            raise ConfigurationError("--store: quorum takes auto or a number of servers")
        if name == "verify" and value not in ("yes", "no"):
            raise ConfigurationError("--store: verify takes yes or no")
    return options


def _check_certificates(path: str) -> None:
    if not Path(path).is_file():
        raise ConfigurationError(f"--store: ca: {path}: no such file")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        raise ConfigurationError(f"--store: ca: {path} has no certificate in PEM") from None
    except OSError as error:
        raise ConfigurationError(f"--store: ca: {path}: {error.strerror}") from None
