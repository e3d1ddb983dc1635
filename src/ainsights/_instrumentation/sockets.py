"""Sockets as ``responses.connect()`` of openai before 3.54 uses them, wrapped: what passes was sent, or has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import wrapt

from ainsights._instrumentation.socket_events import before_send, closed, dropped, not_sent, received

if TYPE_CHECKING:
    from ainsights._instrumentation.lanes import Lanes

    Proxy = wrapt.ObjectProxy[Any]
else:
    Proxy = wrapt.ObjectProxy  # generic to type checkers only, before wrapt 2


class Socket(Proxy):
    """A socket, which records what passes; in all else the socket itself."""

    def __init__(self, socket: Any, lanes: Lanes) -> None:
        super().__init__(socket)
        self._self_lanes = lanes

    def send(self, message: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = before_send(self._self_lanes, message)
        try:
            return self.__wrapped__.send(message, *args, **kwargs)
        except BaseException as error:
            not_sent(self._self_lanes, exchange, error)
            raise

    def recv(self, *args: Any, **kwargs: Any) -> Any:
        try:
            message = self.__wrapped__.recv(*args, **kwargs)
        except BaseException as error:
            dropped(self._self_lanes, error)
            raise
        received(self._self_lanes, message)
        return message

    def close(self, *args: Any, **kwargs: Any) -> Any:
        closed(self._self_lanes)
        return self.__wrapped__.close(*args, **kwargs)


class AsyncSocket(Socket):
    """The same of an asynchronous client."""

    async def send(self, message: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = before_send(self._self_lanes, message)
        try:
            return await self.__wrapped__.send(message, *args, **kwargs)
        except BaseException as error:
            not_sent(self._self_lanes, exchange, error)
            raise

    async def recv(self, *args: Any, **kwargs: Any) -> Any:
        try:
            message = await self.__wrapped__.recv(*args, **kwargs)
        except BaseException as error:
            dropped(self._self_lanes, error)
            raise
        received(self._self_lanes, message)
        return message
