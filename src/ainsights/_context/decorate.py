"""Decorating: a function of any form, so that it runs within a block."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from contextlib import AbstractContextManager

    Make = Callable[[], AbstractContextManager[object]]

Function = TypeVar("Function", bound="Callable[..., Any]")


def decorate(function: Function, block: Make, generator_block: Make) -> Function:
    """Return ``function`` of the same form, signature and type, running within a block.

    Args:
        function: plain or ``async``, a generator or not; also a static or class method.
        block: makes the block of a call.
        generator_block: makes that of a generator's body, which is entered for each of its steps.

    Raises:
        ConfigurationError: the argument is not a function.
    """
    if isinstance(function, (staticmethod, classmethod)):
        return cast("Function", type(function)(decorate(function.__func__, block, generator_block)))
    if isinstance(function, type) or not callable(function):
        raise ConfigurationError(f"context(...) decorates functions, and {function!r} is none.")
    if inspect.isasyncgenfunction(function):
        wrapper = _yielding_async(function, generator_block)
    elif inspect.isgeneratorfunction(function):
        wrapper = _yielding(function, generator_block)
    elif inspect.iscoroutinefunction(function):
        wrapper = _awaiting(function, block)
    else:
        wrapper = _calling(function, block)
    return cast("Function", functools.wraps(function)(wrapper))


def _calling(function: Callable[..., Any], block: Make) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with block():
            return function(*args, **kwargs)

    return call


def _awaiting(function: Callable[..., Any], block: Make) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with block():
            return await function(*args, **kwargs)

    return call


def _yielding(function: Callable[..., Any], generator_block: Make) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        body, here = function(*args, **kwargs), generator_block()
        step: Callable[[], Any] = functools.partial(next, body)
        try:
            while True:
                try:
                    with here:
                        item = step()
                except StopIteration as end:
                    return end.value
                try:
                    sent = yield item
                except GeneratorExit:
                    with here:
                        body.close()
                    raise
                except BaseException as error:  # noqa: BLE001  the body handles it, or not
                    step = functools.partial(body.throw, error)
                else:
                    step = functools.partial(body.send, sent)
        finally:
            del step  # an exception in it holds this frame, which would hold it

    return call


def _yielding_async(function: Callable[..., Any], generator_block: Make) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        body, here = function(*args, **kwargs), generator_block()
        step: Callable[[], Any] = body.__anext__
        try:
            while True:
                try:
                    with here:
                        item = await step()
                except StopAsyncIteration:
                    return
                try:
                    sent = yield item
                except GeneratorExit:
                    with here:
                        await body.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001  the same
                    step = functools.partial(body.athrow, error)
                else:
                    step = functools.partial(body.asend, sent)
        finally:
            del step

    return call
