"""Hook: one attribute of a class that we wrap, so that undoing removes our wrapper and leaves later ones in place."""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    Wrap = Callable[[Callable[..., Any], "Hook"], Callable[..., Any]]

PROXY = getattr(wrapt, "BaseObjectProxy", wrapt.ObjectProxy)
"""The base class of all of wrapt's wrappers; before wrapt 2 ``ObjectProxy`` was."""


class Hook:
    """One attribute of a class that we wrap in a plain function, as the attribute itself is one.

    Such a function costs a call 0.5 us; a ``wrapt.FunctionWrapper``, which is a descriptor, 4 us.

    Args:
        owner: the name of the class.
        name: the name of the attribute.
        wrap: makes the wrapper of a function. The wrapper does nothing unless it is among this hook's ``active`` ones,
            so that one which stays buried in another library's closure is harmless.
    """

    def __init__(self, owner: str, name: str, wrap: Wrap) -> None:
        self.owner = owner
        self.name = name
        self.original: Any = None
        self.wrapper: Callable[..., Any] | None = None
        """Ours, while it is installed."""
        self.active: set[Callable[..., Any]] = set()
        """Our wrapper, and those in the classes of an openai that was reloaded since."""
        self._wrap = wrap
        self._wrapped_class: Any = None
        self._is_inherited = False
        """Whether the class has the attribute from another one, so that undoing removes ours."""

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"

    def copy(self) -> Hook:
        """Return a hook of the same attribute that is not installed."""
        return Hook(self.owner, self.name, self._wrap)

    def install(self, module: ModuleType) -> bool:
        """Wrap the attribute, unless our wrapper is in its chain. False if the class has no such attribute."""
        owner = getattr(module, self.owner, None)
        found = getattr(owner, self.name, None)
        if not callable(found):
            return False
        if not self.is_installed(module):
            self._is_inherited = self.name not in vars(owner)
            self.original = inspect.getattr_static(owner, self.name)  # looked up, a wrapt wrapper makes another
            wrapper = self._wrap(found, self)
            _look_like(found, wrapper)
            if self._wrapped_class is owner:
                self.active.clear()
            self.active.add(wrapper)
            self.wrapper, self._wrapped_class = wrapper, owner
            setattr(owner, self.name, wrapper)
        return True

    def is_installed(self, module: ModuleType) -> bool:
        """Return whether our wrapper is in the chain of wrappers, as far as they name what they wrap."""
        if self.wrapper is None:
            return False
        outermost = inspect.getattr_static(getattr(module, self.owner, None), self.name, None)
        return any(link is self.wrapper for link in _chain(outermost))

    def is_outermost(self, module: ModuleType) -> bool:
        """Return whether the attribute is our wrapper, with no other one around it."""
        return self.wrapper is not None and vars(getattr(module, self.owner)).get(self.name) is self.wrapper

    def remove(self, module: ModuleType) -> None:
        """Take our wrapper out of the chain. One that is buried in another library's closure stays and is inert."""
        ours, self.wrapper = self.wrapper, None
        self.active.clear()
        owner = getattr(module, self.owner, None)
        if ours is None or owner is None:
            return
        outermost = inspect.getattr_static(owner, self.name, None)
        if outermost is ours and self._is_inherited:
            delattr(owner, self.name)
        elif outermost is ours:
            setattr(owner, self.name, self.original)
        while isinstance(outermost, PROXY):
            if outermost.__wrapped__ is ours:
                outermost.__wrapped__ = self.original
            outermost = outermost.__wrapped__


def _look_like(original: Any, wrapper: Any) -> None:
    """Give ``wrapper`` what introspection reads of ``original``, beyond what ``functools.wraps`` copies."""
    with contextlib.suppress(TypeError, ValueError):  # another library's wrapper may have none
        wrapper.__signature__ = inspect.signature(original)  # getfullargspec does not follow __wrapped__
    wrapper.__kwdefaults__ = getattr(original, "__kwdefaults__", None)


def _chain(function: Any) -> Iterator[Any]:
    """Yield ``function`` and what it wraps, as far as that is visible."""
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        yield function
        partial = isinstance(function, (functools.partial, functools.partialmethod))
        inner = function.func if partial else getattr(function, "__wrapped__", None)
        function = getattr(function, "__func__", None) if inner is None else inner
