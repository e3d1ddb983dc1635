"""Drop-in clients: ``from ainsights.openai import OpenAI``, or ``import ainsights.openai as openai`` for all of it.

Calls of these clients are captured, and calls of openai's module-level client; those of the process's other clients
are not, unless there is ``ainsights.instrument()``. Everything else here is openai's own.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import openai as _openai

from ainsights._api import capture_classes


class OpenAI(_openai.OpenAI):
    """openai's client, captured."""


class AsyncOpenAI(_openai.AsyncOpenAI):
    """openai's asynchronous client, captured."""


class AzureOpenAI(_openai.AzureOpenAI):
    """openai's client for Azure, captured."""


class AsyncAzureOpenAI(_openai.AsyncAzureOpenAI):
    """openai's asynchronous client for Azure, captured."""


Client, AsyncClient = OpenAI, AsyncOpenAI  # openai's own short names
_OWN_NAMES = {"OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI", "Client", "AsyncClient"}
__all__ = list(_openai.__all__)

_MODULE_CLIENTS = ("_ModuleClient", "_AzureModuleClient")
_CLASSES = (
    *(OpenAI, AsyncOpenAI, AzureOpenAI, AsyncAzureOpenAI),
    *(getattr(_openai, name) for name in _MODULE_CLIENTS if hasattr(_openai, name)),
)
capture_classes(*_CLASSES)


class _DropInModule(ModuleType):
    """Has all of openai's names, and sets on openai what is set here, such as ``openai.api_key = ...``."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_openai, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(_openai, name) and name not in _OWN_NAMES and not name.startswith("__"):
            setattr(_openai, name, value)
        else:
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(_openai)})


sys.modules[__name__].__class__ = _DropInModule
