"""The settings of the environment: where each comes from, what is wrong, and whether anything is captured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ByteSize, SecretStr

from ainsights._config import HOSTED, PREFIX, SETTINGS, Settings, load, unknown_variables, variables_set
from ainsights._doctor.finding import Finding, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONG_ENOUGH = 16
"""Characters of a key of which the last four may be shown, by which its owner knows it."""


EXAMPLES = {"capture": "chat,responses", "meta": "team=search", "redact": "email,phone"}
"""What can be typed, of settings that take a list."""


@dataclass(frozen=True, slots=True)
class Read:
    """The settings of an environment, as far as they can be used."""

    settings: Settings
    """Those that are wrong have their default here."""
    variables: dict[str, str]
    """The variable that each setting comes from, but for those that have their default."""
    wrong: dict[str, str]
    """What is wrong, by setting."""

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return each setting's value, as JSON has it and with the key masked, and where it comes from."""
        return {
            name: {
                "value": None if name in self.wrong else shown(getattr(self.settings, name)),
                "from": self.variables.get(name, "default"),
                "wrong": name in self.wrong,
            }
            for name in SETTINGS
        }


def read(environ: Mapping[str, str]) -> Read:
    """Read ``environ`` setting by setting, so that a wrong one does not hide the others."""
    variables = variables_set(environ)
    usable: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for name in sorted(variables, key=lambda name: name != "allow_insecure"):  # what base_url is judged by
        variable = variables[name]
        try:
            load(usable | {variable: environ[variable]})
        except (ValueError, RecursionError) as error:  # ConfigurationError is one
            wrong[name] = str(error)
        else:
            usable[variable] = environ[variable]
    return Read(load(usable), variables, wrong)


def keys(environ: Mapping[str, str]) -> list[str]:
    """Return the keys in ``environ``, those included that are not used."""
    return [key for variable in SETTINGS["api_key"].variables if (key := environ.get(variable, "").strip())]


def shown(value: Any) -> Any:
    """Return ``value`` as JSON has it; a key masked."""
    if isinstance(value, SecretStr):
        key = value.get_secret_value()
        end = f"...{key[-4:]} " if len(key) >= LONG_ENOUGH else ""
        return f"{end}({len(key)} characters)"
    if isinstance(value, ByteSize):
        return int(value)
    if isinstance(value, tuple):
        return [shown(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str, dict)) else str(value)


def check(found: Read, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the findings about the settings that were ``found`` in ``environ``."""
    for name, message in found.wrong.items():
        variable = found.variables[name]
        remedy = f"export {variable}={EXAMPLES.get(name) or f'<{SETTINGS[name].takes}>'}, or: unset {variable}"
        yield problem("settings", message, remedy, variable=variable)
    yield from _unknown(environ)
    if not found.wrong:
        count = len(found.variables)
        yield ok("settings", f"{count} from the environment, {len(SETTINGS) - count} defaults", set=count)
    key = None if "api_key" in found.wrong else _key(found)
    if key is not None:
        yield key
    if not found.wrong and (key is None or key.level != "problem"):
        yield _capture(found.settings)


def _unknown(environ: Mapping[str, str]) -> Iterator[Finding]:
    for variable, meant in unknown_variables(environ).items():
        remedy = f"rename it to {meant}" if meant else f"unset {variable}"
        yield warning("settings", f"Unknown setting {variable} (ignored)", remedy, variable=variable)


def _key(found: Read) -> Finding:
    settings, variable = found.settings, found.variables.get("api_key")
    remedy = f"export {PREFIX}API_KEY=<the key that your platform shows>"
    if settings.api_key is not None:
        return ok("key", f"{shown(settings.api_key)}, from {variable}", present=True, variable=variable)
    if settings.base_url == HOSTED and "base_url" not in found.wrong:
        effect = "instrument() raises" if settings.strict else "nothing is captured"
        return problem("key", f"no API key for {HOSTED}: {effect}", remedy, present=False)
    return warning("key", "no API key: insights are sent without one", remedy, present=False)


def _capture(settings: Settings) -> Finding:
    for off, name, value in (
        (not settings.enabled, "enabled", "false"),
        (settings.content == "none", "content", "none"),
        (settings.sample_rate == 0, "sample_rate", "0"),
    ):
        if off:
            variable = PREFIX + name.upper()
            return warning("capture", f"nothing is captured: {variable} is {value}", f"unset {variable}", on=False)
    share = "each call" if settings.sample_rate == 1 else f"{settings.sample_rate:.3g} of the calls"
    apis = ", ".join(settings.capture)
    return ok("capture", f"{share} ({apis}), content {settings.content}", on=True, apis=list(settings.capture))
