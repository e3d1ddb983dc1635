"""Settings: keyword arguments over environment over defaults; validated once, then frozen."""

from __future__ import annotations

import difflib
import inspect
import ipaddress
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from ainsights.errors import ConfigurationError

HOSTED = "https://ingestion.requesty.ai"
PREFIX = "AINSIGHTS_"
NO_KEY = f"no API key for {HOSTED}: set {PREFIX}API_KEY (or REQUESTY_API_KEY)"
ALIASES = {"api_key": ("AINSIGHTS_API_KEY", "REQUESTY_API_KEY")}

_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")
BUILT_IN = ("email", "phone", "credit_card", "api_key", "ip")
"""The names of the patterns in ``_privacy.patterns``."""


def _pairs(value: Any) -> Any:
    """Read ``k=v,k=v`` or a JSON object."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("{"):
        return json.loads(value)
    pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
    if not all(equals and key.strip() for key, equals, _ in pairs):
        raise ValueError("a pair without key or '='")
    return {key.strip(): item.strip() for key, _, item in pairs}


def _names(value: Any) -> Any:
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


def _rules(value: Any) -> Any:
    """Read names separated by commas, or take what is given as one rule or several."""
    rules = _names(value)
    return (rules,) if callable(rules) or isinstance(rules, re.Pattern) else rules


def _rule(rule: Any) -> Any:
    """Check one rule of redaction."""
    if isinstance(rule, re.Pattern) and isinstance(rule.pattern, bytes):
        raise ValueError("a pattern is of bytes, it has to be of text")  # noqa: TRY004  pydantic takes no other
    if isinstance(rule, str) and rule not in BUILT_IN:
        near = difflib.get_close_matches(rule, BUILT_IN, n=1)
        raise ValueError(f"there is no pattern {rule!r}" + (f", did you mean {near[0]!r}?" if near else ""))
    if not isinstance(rule, (str, re.Pattern)):
        return _function(rule)
    return rule


def _function(value: Any) -> Any:
    if not callable(value):
        raise ValueError(f"{type(value).__name__} is no function")  # noqa: TRY004  the same
    if inspect.iscoroutinefunction(value):
        raise ValueError("an async function cannot be waited for here")
    return value


def _setting(default: Any, takes: str, about: str, **bounds: Any) -> Any:
    return Field(default, description=about, json_schema_extra={"takes": takes}, **bounds)


_FLAG = "true or false (also 1, 0, yes, no, on, off)"
_SIZE = "a number of bytes above 0, also with a unit (64MB, 1GiB)"
Size = Annotated[ByteSize, Field(gt=0)]


class Settings(BaseModel):
    """Every setting, with its default. Make one with :func:`load`, which reads the environment too."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)

    api_key: SecretStr | None = _setting(
        None, "the key as the platform shows it, without spaces or line breaks", "Key of the Insights endpoint."
    )
    base_url: str = _setting(
        HOSTED,
        "an https:// URL without credentials, query or fragment (http:// for a loopback host, or with allow_insecure)",
        "Where insights are sent: PUT {base_url}/insight.",
    )
    enabled: bool = _setting(True, _FLAG, "False: nothing is captured.")
    user_id: str | None = _setting(None, "a text", "The end user of events that name none.")
    meta: Annotated[dict[str, Any], BeforeValidator(_pairs)] = _setting(
        {}, "k=v,k=v or a JSON object", "Metadata of every event."
    )
    content: Literal["full", "metadata", "none"] = _setting(
        "full", "full, metadata or none", "How much of each conversation is sent."
    )
    redact: Annotated[tuple[Annotated[Any, AfterValidator(_rule)], ...], BeforeValidator(_rules)] = _setting(
        (),
        f"names of built-in patterns, separated by commas ({', '.join(BUILT_IN)}); "
        "in code also compiled patterns and functions that take and return a text",
        "What is redacted before sending.",
    )
    before_send: Annotated[Callable[[Any], Any], AfterValidator(_function)] | None = _setting(
        None, "a function that takes an Insight and returns one or None", "Sees each event last."
    )
    sample_rate: float = _setting(1.0, "a number from 0 to 1", "The share of calls that is captured.", ge=0, le=1)
    capture_errors: bool = _setting(True, _FLAG, "False: failed calls are not captured.")
    max_queue_events: int = _setting(10_000, "a whole number above 0", "Events held at the most.", gt=0)
    max_queue_bytes: Size = _setting(64 * 2**20, _SIZE, "Bytes held at the most.")
    max_event_bytes: Size = _setting(8 * 2**20, _SIZE, "A larger event is cut where it is longest.")
    concurrency: int = _setting(64, "a whole number from 1 to 256", "Requests in flight at the most.", ge=1, le=256)
    timeout: float = _setting(10.0, "seconds above 0", "The longest that one request may take.", gt=0, le=3600)
    exit_timeout: float = _setting(
        5.0, "seconds, 0 or more", "The longest that the end of the process is held up to deliver.", ge=0, le=3600
    )
    spool_dir: Path | None = _setting(None, "a directory", "Where events are kept that cannot be delivered.")
    spool_max_bytes: Size = _setting(2**30, _SIZE, "The size of the spool at the most.")
    allow_insecure: bool = _setting(False, _FLAG, "True: http:// to a host that is not loopback is allowed.")
    strict: bool = _setting(False, _FLAG, "True: a missing API key is an error instead of a warning.")
    handle_sigterm: bool = _setting(
        False, _FLAG, "True: SIGTERM delivers what is queued, within exit_timeout, before it does what it did."
    )
    log_level: Literal["debug", "info", "warning", "error", "critical"] | None = _setting(
        None, "debug, info, warning, error or critical", "The level of the logger 'ainsights'."
    )

    @property
    def disabled_reason(self) -> str | None:
        """Why nothing is captured by these settings; None if something is."""
        if not self.enabled:
            return f"{PREFIX}ENABLED is false"
        if self.content == "none":
            return f"{PREFIX}CONTENT is none"
        return NO_KEY if self.api_key is None and self.base_url == HOSTED else None

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        text = key.get_secret_value().strip() if key else ""
        if text and not _HEADER_SAFE.fullmatch(text):
            raise ValueError("holds a character that cannot go into a header")
        return SecretStr(text) if text else None

    @field_validator("base_url")
    @classmethod
    def _is_plain_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("not an http:// or https:// URL")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("has credentials, a query or a fragment")
        if parts.port == 0:
            raise ValueError("has no usable port")
        return url.rstrip("/")

    @field_validator("log_level", "content", mode="before")
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value


def load(environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Return the settings of ``given`` keywords (None: not given) over ``environ`` over the defaults.

    Args:
        environ: the variables to read; those of the process if None.
        given: settings by their field names.

    Raises:
        ConfigurationError: a value is wrong; names the setting and says what it takes.
    """
    environ = os.environ if environ is None else environ
    origins: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name in Settings.model_fields:
        for variable in ALIASES.get(name, (PREFIX + name.upper(),)):
            if environ.get(variable, "").strip():
                origins[name], values[name] = variable, environ[variable].strip()
                break
    for name, value in given.items():
        if name not in Settings.model_fields:
            raise ConfigurationError(_unknown(name))
        if value is not None:
            origins[name], values[name] = name, value
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, origins, values)) from None
    _check_together(settings)
    return settings


def is_loopback(host: str) -> bool:
    """Tell whether ``host`` (a name or an address) is this machine by its very form, without a lookup."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_together(settings: Settings) -> None:
    parts = urlsplit(settings.base_url)
    if parts.scheme == "http" and not settings.allow_insecure and not is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            f"{PREFIX}BASE_URL={settings.base_url!r} is wrong: http:// would send your key and your conversations "
            f"unencrypted. Use https://, or set {PREFIX}ALLOW_INSECURE=1 if that is what you want."
        )
    if settings.strict and settings.disabled_reason == NO_KEY:
        raise ConfigurationError(NO_KEY + ".")


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, Settings.model_fields, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    return f"there is no setting {name!r}.{meant} The settings are: {', '.join(Settings.model_fields)}."


def _explain(error: ValidationError, origins: Mapping[str, str], values: Mapping[str, Any]) -> str:
    """Say in a line for each what is wrong, where it was set, and what it takes; never a key."""
    lines = {}
    for problem in error.errors(include_url=False, include_context=False):
        name = str(problem["loc"][0])
        extra = Settings.model_fields[name].json_schema_extra
        takes = extra["takes"] if isinstance(extra, dict) else ""
        shown = (
            "(not shown)"
            if name in {"api_key", "base_url"} and _may_hold_secret(name, values[name])
            else repr(values[name])
        )
        reason = problem["msg"].removeprefix("Value error, ")
        lines[name] = f"{origins[name]}={shown} is wrong ({reason}). It takes {takes}."
    return "\n".join(lines.values())


def _may_hold_secret(name: str, value: Any) -> bool:
    return name == "api_key" or "@" in str(value) or "?" in str(value)
