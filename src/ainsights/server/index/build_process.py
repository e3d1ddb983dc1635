"""A process that derives events and writes a shard of the text index, so that a rebuild uses every processor.

It is started with a command of its own instead of by multiprocessing, which would import the user's main module again.
Parent and child exchange pickled tuples over the child's standard input and output::

    ("shard", path)            begin a shard in a new file
    ("bodies", bodies, path)   add these; append their columns to that file, if one is given
    ("end",)                   finish the shard
                               each is answered by the number of events, or by the text of an error
"""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ainsights.server.events import build_event
from ainsights.server.index.encoding import encode
from ainsights.server.index.shards import Shard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from ainsights.server.store import StoredBody

_COMMAND = "import sys; sys.path[:] = sys.argv[1:]; from ainsights.server.index.build_process import main; main()"


class BuildError(Exception):
    """The process failed."""


class BuildProcess:
    """The parent's side. Use it as a context manager, from one thread."""

    def __init__(self, conversation_keys: Sequence[str]) -> None:
        self._keys = tuple(conversation_keys)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-c", _COMMAND, *sys.path]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603  ourselves
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process:
            with suppress(OSError):
                process.communicate()  # it ends when its input does
            process.wait()

    def begin(self, path: Path) -> None:
        """Begin a shard in a new file."""
        self._call("shard", str(path))

    def add(self, bodies: Sequence[StoredBody], columns: Path | None) -> None:
        """Add bodies to the shard, and append their columns to the file ``columns``."""
        self._call("bodies", [tuple(body) for body in bodies], self._keys, columns and str(columns))

    def end(self) -> None:
        """Finish the shard."""
        self._call("end")

    def _call(self, *message: Any) -> None:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise BuildError("the process has not been started")
        try:
            pickle.dump(message, process.stdin, protocol=5)
            process.stdin.flush()
            error = pickle.load(process.stdout)  # noqa: S301  our own child
        except (OSError, EOFError, pickle.PickleError) as failure:
            raise BuildError(f"the process that builds the index ended: {failure!r}") from failure
        if error:
            raise BuildError(error)


class _Builder:
    """The child's side."""

    def __init__(self) -> None:
        self._shard: Shard | None = None

    def shard(self, path: str) -> None:
        self._shard = Shard(Path(path))

    def bodies(self, bodies: Sequence[tuple[int, str, float, bytes]], keys: Sequence[str], columns: str | None) -> None:
        events = [build_event(*body, conversation_keys=keys) for body in bodies]
        if self._shard:
            self._shard.add((event.seq, event.question, event.answer) for event in events)
        if columns:
            with Path(columns).open("ab") as file:
                file.write(encode(events) + b"\n")

    def end(self) -> None:
        if self._shard:
            self._shard.optimize()
            self._shard.close()


def main() -> None:
    """Serve the parent until it closes our input."""
    gc.disable()  # nothing here refers to itself, and looking for what does takes a tenth of the time
    reader, writer = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    builder = _Builder()
    with suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        while True:
            _answer(builder, pickle.load(reader), writer)  # noqa: S301  our own parent


def _answer(builder: _Builder, message: tuple[Any, ...], writer: IO[bytes]) -> None:
    error = None
    try:
        getattr(builder, message[0])(*message[1:])
    except Exception as failure:  # noqa: BLE001  the parent raises it
        error = repr(failure)
    pickle.dump(error, writer)
    writer.flush()
