"""The attributes of an event: end user, template, inputs, metadata, by precedence of their sources. Pure."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ainsights._context.template_cache import memory
from ainsights._json import parse_json_or_none
from ainsights._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ainsights._context.scope import Context
    from ainsights._context.template_cache import Formatted


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for every event of the process: who sends, the settings' user and metadata, and what was formatted."""

    sdk: str
    user_id: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    formatted: Callable[[Any], Formatted | None] = memory.find


@dataclass(frozen=True, slots=True)
class AttributeSources:
    """Where the attributes of one call come from: the context first, then the request, then the process's defaults."""

    context: Context | None
    args: Mapping[str, Any]
    messages: Any
    defaults: Defaults

    def user_id(self) -> str | None:
        """Return the end user."""
        args = self.args
        for user in (
            self.context.user_id if self.context else None,
            args.get("safety_identifier"),
            args.get("user"),
            self._router().get("user_id"),
            self.defaults.user_id,
        ):
            if user is not None:
                return str(user)
        return None

    def template(self) -> tuple[Any, dict[str, Any]]:
        """Return template and inputs; of messages that a Template made, that one's."""
        context, found = self.context, self.defaults.formatted(self.messages)
        template, inputs = (context.template, context.inputs or {}) if context else (None, {})
        if found is not None:
            formatted = parse_json_or_none(found.template)
            if template is None or template == formatted:
                template, inputs = formatted, {**parse_json_or_none(found.inputs), **inputs}
        if template is None and not inputs:
            return None, {}
        return template, dict(inputs)

    def meta(self) -> dict[str, Any]:
        """Return the metadata, merged."""
        router, metadata = self._router(), self.args.get("metadata")
        extra = router.get("extra")
        return {
            **self.defaults.meta,
            **{key: router[key] for key in ("tags", "trace_id") if router.get(key) is not None},
            **(extra if isinstance(extra, dict) else {}),
            **(metadata if isinstance(metadata, dict) else {}),
            **(self.context.meta if self.context else {}),
        }

    def _router(self) -> dict[str, Any]:
        router = self.args.get("requesty")
        return router if isinstance(router, dict) else {}


def sdk() -> str:
    """Return the versions that captured: ``ainsights/0.1.0 openai/3.54.0 python/3.11``."""
    openai = getattr(sys.modules.get("openai"), "__version__", None)
    python = ".".join(platform.python_version_tuple()[:2])
    return " ".join([f"ainsights/{__version__}", *([f"openai/{openai}"] if openai else []), f"python/{python}"])
