"""Asking an endpoint of ``ainsights serve``, with errors in one line."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from ainsights._base_url import is_loopback, normalize_base_url
from ainsights._logging import register_secret, sanitize
from ainsights.errors import InsightsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx
    from typing_extensions import Self

DEFAULT_URL = "http://127.0.0.1:8383"
KEY_VARIABLES = ("AINSIGHTS_API_KEY", "AINSIGHTS_SERVER_KEY")
TIMEOUT = 60.0

FAILED = 1
MISUSED = 2
_UNPROCESSABLE = 422
_LONGEST_DETAIL = 500


class CommandError(InsightsError):
    """Ends a command with a line on stderr and an exit status."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """One endpoint. Use it as a context manager."""

    def __init__(self, url: str | None, api_key: str | None) -> None:
        """Nothing is sent yet.

        Args:
            url: where the endpoint is; None: from the environment, else on this machine.
            api_key: None: from the environment.

        Raises:
            CommandError: the URL or the key cannot be used, or there is no key.
        """
        import httpx  # noqa: PLC0415  start-up of the other commands stays light

        self.url = _checked(url or os.environ.get("AINSIGHTS_BASE_URL") or DEFAULT_URL)
        key = api_key or next(filter(None, map(os.environ.get, KEY_VARIABLES)), None)
        if not key:
            raise CommandError(
                "no API key: set AINSIGHTS_API_KEY; 'ainsights serve keys add NAME --role read' makes one", MISUSED
            )
        if not key.isascii() or not key.isprintable() or " " in key:
            raise CommandError("the API key takes printable ASCII characters, without spaces", MISUSED)
        register_secret(key)
        beyond = not is_loopback(_host(self.url) or "")
        self._client = httpx.Client(headers={"Authorization": f"Bearer {key}"}, timeout=TIMEOUT, trust_env=beyond)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, *path: str, **params: Any) -> Any:
        """Return what a route answers.

        Raises:
            CommandError: it fails.
        """
        return self._ask("GET", path, params)

    def delete(self, *path: str, **params: Any) -> Any:
        """Return what a route that erases answers; else as :meth:`get`."""
        return self._ask("DELETE", path, params, timeout=None)

    def _ask(self, method: str, path: tuple[str, ...], params: Mapping[str, Any], **options: Any) -> Any:
        with self._failing_in_one_line():
            answer = self._client.request(method, self._url(path), params=params, **options)
            self._check(answer)
            return _parse(answer.content, self.url)

    @contextmanager
    def stream(
        self,
        *path: str,
        params: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        timeout: float | None = TIMEOUT,
    ) -> Iterator[httpx.Response]:
        """Open an answer that is read in parts; else as :meth:`get`."""
        with (
            self._failing_in_one_line(),
            self._client.stream("GET", self._url(path), params=params, headers=headers, timeout=timeout) as answer,
        ):
            if answer.is_error:
                answer.read()
            self._check(answer)
            yield answer

    def _url(self, path: tuple[str, ...]) -> str:
        return "/".join([self.url, *(quote(part, safe="") for part in path)])

    @contextmanager
    def _failing_in_one_line(self) -> Iterator[None]:
        import httpx  # noqa: PLC0415  start-up of the other commands stays light

        try:
            yield
        except httpx.ConnectError:
            raise LostError(
                f"no endpoint answers at {self.url}: start one with 'ainsights serve', or give another with --url"
            ) from None
        except httpx.TimeoutException:
            raise LostError(f"the endpoint at {self.url} takes too long to answer") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LostError(f"the endpoint at {self.url}: {sanitize(str(error) or type(error).__name__)}") from None

    def _check(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        try:
            problem = json.loads(answer.content)
            detail = str(problem["detail"])
        except (ValueError, TypeError, KeyError):
            raise CommandError(
                f"{self.url} answered {answer.status_code}: is it an endpoint of 'ainsights serve'?"
            ) from None
        wrong = answer.status_code == _UNPROCESSABLE
        raise CommandError(sanitize(detail[:_LONGEST_DETAIL]), MISUSED if wrong else FAILED)


class LostError(CommandError):
    """The endpoint cannot be reached, or the connection was lost."""


def _parse(content: bytes, url: str) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        raise CommandError(
            f"{url} answered something that is not JSON: is it an endpoint of 'ainsights serve'?"
        ) from None


def _checked(url: str) -> str:
    try:
        return normalize_base_url(url)
    except ValueError as error:
        raise CommandError(f"the URL {sanitize(url)!r} cannot be used: {error}", MISUSED) from None


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
