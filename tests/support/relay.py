"""A relay on loopback that notes every byte that passes, connection by connection."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


NAME = "relay"
"""Of its threads, which end when the other side closes its connection."""


class Relay:
    """What clients sent through it: the bytes of each connection, in the order in which they were opened."""

    def __init__(self, port: int) -> None:
        self.target = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self.listener.getsockname()[1]
        self.sent: list[bytearray] = []
        self._open: list[socket.socket] = []

    def run(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            record = bytearray()
            self.sent.append(record)
            threading.Thread(target=self._carry, args=(client, record), name=NAME, daemon=True).start()

    def _carry(self, client: socket.socket, record: bytearray) -> None:
        with client, socket.create_connection(self.target) as server, selectors.DefaultSelector() as selector:
            self._open += [client, server]
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            try:
                while True:
                    for key, _ in selector.select():
                        source, other = key.fileobj, key.data
                        assert isinstance(source, socket.socket)
                        data = source.recv(65536)
                        if source is client:
                            record += data
                        if not data:
                            return
                        other.sendall(data)
            except (OSError, ValueError):
                return

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for each in self._open:
            each.close()


@contextmanager
def relay(port: int) -> Iterator[Relay]:
    """Run a relay to ``port`` for the length of the block."""
    running = Relay(port)
    thread = threading.Thread(target=running.run, name=NAME, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        running.close()
        thread.join()
