"""Settings: keyword arguments over environment over defaults; validated once, then frozen.

The fields of :class:`Settings` are the one table of what can be set. :data:`SETTINGS` has its rows, for whoever reads
the environment (:func:`load`), explains it (``ainsights doctor``) or documents it (``docs/settings_table.py``).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
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

from ainsights._base_url import DEFAULT_PATH, is_loopback, normalize_base_url, normalize_path
from ainsights._instrumentation.routes import Api
from ainsights._validation import (
    BUILT_IN,
    HEADER_SAFE,
    check_function,
    check_name,
    check_rule,
    read_meta,
    read_names,
    read_rules,
)
from ainsights.errors import ConfigurationError

HOSTED = "https://ingestion.requesty.ai"
PREFIX = "AINSIGHTS_"
NO_KEY = f"no API key for {HOSTED}: set {PREFIX}API_KEY (or REQUESTY_API_KEY)"
RESERVED = (f"{PREFIX}SERVER_", f"{PREFIX}RUN_")
"""What other variables of ours begin with: those of ``ainsights serve`` and of ``ainsights run``."""

EventSize = Annotated[ByteSize, Field(ge=4096)]
"""At least what an event with all its metadata takes when its texts are truncated."""

SpoolSize = Annotated[ByteSize, Field(ge=65536)]
"""At least twice what an empty database takes."""


def _check_api(name: Any) -> Any:
    return check_name(name, "API", get_args(Api))


def _not_empty(names: tuple[Api, ...]) -> tuple[Api, ...]:
    if not names:
        raise ValueError("it names no API")
    return names


_ApiName = Annotated[Api, BeforeValidator(_check_api)]


def _setting(
    default: Any, takes: str, about: str, *, aliases: tuple[str, ...] = (), in_code_only: bool = False, **bounds: Any
) -> Any:
    row: dict[str, Any] = {"takes": takes, "aliases": aliases, "in_code_only": in_code_only}
    return Field(default, description=about, json_schema_extra=row, **bounds)


_FLAG = "true or false (also 1, 0, yes, no, on, off)"
_BYTES = "a number of bytes, at least {}, also with a unit (64MB, 1GiB)"


class Settings(BaseModel):
    """Every setting, with its default. Make one with :func:`load`, which reads the environment too."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)

    api_key: SecretStr | None = _setting(
        None,
        "the key as the platform shows it, without spaces or line breaks",
        "Key of the Insights endpoint.",
        aliases=("REQUESTY_API_KEY",),
    )
    base_url: Annotated[str, AfterValidator(normalize_base_url)] = _setting(
        HOSTED,
        "an https:// URL without credentials, query or fragment (http:// for a loopback host, or with allow_insecure)",
        "Where insights are sent: PUT {base_url}{path}.",
    )
    path: Annotated[str, AfterValidator(normalize_path)] = _setting(
        DEFAULT_PATH,
        "a path that begins with /, such as /insight, percent-encoded, without query or fragment",
        "The path below base_url, where the platform takes other events elsewhere.",
    )
    enabled: bool = _setting(True, _FLAG, "False: nothing is captured.")
    user_id: str | None = _setting(None, "a text", "The end user of events that name none.")
    meta: Annotated[dict[str, Any], BeforeValidator(read_meta)] = _setting(
        {}, "k=v,k=v or a JSON object", "Metadata of every event."
    )
    capture: Annotated[tuple[_ApiName, ...], BeforeValidator(read_names), AfterValidator(_not_empty)] = _setting(
        ("chat", "responses"),
        f"names of APIs, separated by commas ({', '.join(get_args(Api))})",
        "Which APIs of models are captured.",
    )
    content: Literal["full", "metadata", "none"] = _setting(
        "full", "full, metadata or none", "How much of each conversation is sent."
    )
    redact: Annotated[tuple[Annotated[Any, AfterValidator(check_rule)], ...], BeforeValidator(read_rules)] = _setting(
        (),
        f"names of built-in patterns, separated by commas ({', '.join(BUILT_IN)}); "
        "in code also compiled patterns and functions that take and return a text",
        "What is redacted before sending.",
    )
    before_send: Annotated[Callable[[Any], Any] | None, BeforeValidator(check_function)] = _setting(
        None, "a function that takes an Insight and returns one or None", "Sees each event last.", in_code_only=True
    )
    sample_rate: float = _setting(1.0, "a number from 0 to 1", "The share of calls that is captured.", ge=0, le=1)
    capture_errors: bool = _setting(True, _FLAG, "False: failed calls are not captured.")
    max_queue_events: int = _setting(10_000, "a whole number above 0", "Maximum queued events.", gt=0)
    max_queue_bytes: EventSize = _setting(64 * 2**20, _BYTES.format(4096), "Maximum size of the queue.")
    max_event_bytes: EventSize = _setting(
        8 * 2**20, _BYTES.format(4096), "Larger events are truncated, longest fields first."
    )
    concurrency: int = _setting(64, "a whole number from 1 to 256", "Maximum requests in flight.", ge=1, le=256)
    timeout: float = _setting(10.0, "seconds above 0", "Maximum time for one request.", gt=0, le=3600)
    exit_timeout: float = _setting(
        5.0, "seconds, 0 or more", "Maximum time that the process's exit waits for deliveries.", ge=0, le=3600
    )
    spool_dir: Path | None = _setting(
        None, "a directory; ~ is the home directory", "Where events are kept on disk until they are delivered."
    )
    spool_max_bytes: SpoolSize = _setting(2**30, _BYTES.format(65536), "Maximum size of the spool.")
    allow_insecure: bool = _setting(False, _FLAG, "True: http:// to a host that is not loopback is allowed.")
    strict: bool = _setting(False, _FLAG, "True: a missing API key is an error instead of a warning.")
    handle_sigterm: bool = _setting(
        False, _FLAG, "True: SIGTERM delivers what is queued, within exit_timeout, before it does what it did."
    )
    log_level: Literal["debug", "info", "warning", "error", "critical"] | None = _setting(
        None, "debug, info, warning, error or critical", "The level of the logger 'ainsights'."
    )

    @property
    def url(self) -> str:
        """Where insights are sent."""
        return f"{self.base_url}{self.path}"

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
        if text and not HEADER_SAFE.fullmatch(text):
            raise ValueError("it has a character that cannot go into a header")
        return SecretStr(text) if text else None

    @field_validator("spool_dir")
    @classmethod
    def _expand_home(cls, directory: Path | None) -> Path | None:
        try:
            return directory and directory.expanduser()
        except RuntimeError:
            raise ValueError("the home directory is not known") from None

    @field_validator("log_level", "content", mode="before")
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of the table."""

    name: str
    variables: tuple[str, ...]
    """Where it is read from; the first that is set counts."""
    takes: str
    description: str
    default: Any
    in_code_only: bool


def _rows() -> dict[str, Setting]:
    rows = {}
    for name, field in Settings.model_fields.items():
        extra: Any = field.json_schema_extra
        variables = (PREFIX + name.upper(), *extra["aliases"])
        default = field.get_default()
        rows[name] = Setting(name, variables, extra["takes"], str(field.description), default, extra["in_code_only"])
    return rows


SETTINGS: dict[str, Setting] = _rows()
"""The table of settings, by field name."""


# Loading


def load(environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Return the settings of ``given`` keywords (None: not given) over ``environ`` over the defaults.

    Args:
        environ: the variables to read; those of the process if None.
        given: settings by their field names.

    Raises:
        ConfigurationError: a value is wrong; the message names the setting and what it takes.
    """
    environ = os.environ if environ is None else environ
    origins = variables_set(environ)
    values: dict[str, Any] = {name: environ[variable].strip() for name, variable in origins.items()}
    for name, value in given.items():
        if name not in SETTINGS:
            raise ConfigurationError(_unknown(name))
        if value is not None:
            origins[name], values[name] = name, value
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, origins, values)) from None
    _check_together(settings)
    return settings


def variables_set(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variable that each setting comes from, without those that have their default."""
    return {
        name: variable
        for name, setting in SETTINGS.items()
        for variable in reversed(setting.variables)
        if environ.get(variable, "").strip()
    }


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Return the variables with our prefix that are not read, each with the one that is probably meant."""
    known = {variable for setting in SETTINGS.values() for variable in setting.variables}
    unknown = {name for name in environ if name.startswith(PREFIX) and not name.startswith(RESERVED)} - known
    return {name: _closest_variable(name) for name in sorted(unknown)}


def _closest_variable(variable: str) -> str | None:
    near = difflib.get_close_matches(variable.removeprefix(PREFIX).lower(), SETTINGS, n=1)
    return SETTINGS[near[0]].variables[0] if near else None


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
    near = difflib.get_close_matches(name, SETTINGS, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    return f"there is no setting {name!r}.{meant} The settings are: {', '.join(SETTINGS)}."


def _explain(error: ValidationError, origins: Mapping[str, str], values: Mapping[str, Any]) -> str:
    """Return a line for each wrong value: where it was set, why it is wrong, and what it takes; never a key."""
    lines = {}
    for problem in error.errors(include_url=False, include_context=False):
        name = str(problem["loc"][0])
        shown = "(not shown)" if _may_hold_secret(name, values[name]) else repr(values[name])
        reason = problem["msg"].removeprefix("Value error, ")
        lines[name] = f"{origins[name]}={shown} is wrong ({reason}). It takes {SETTINGS[name].takes}."
    return "\n".join(lines.values())


def _may_hold_secret(name: str, value: Any) -> bool:
    return name == "api_key" or (name in ("base_url", "path") and ("@" in str(value) or "?" in str(value)))
