"""How many requests a second the endpoint stores, beside the floor: an ASGI application that only answers 200.

Both run in processes of their own on this machine, on the same event loop and HTTP parser, in turns; the load comes
from a third process. ``python benchmarks/server/ingest.py [--count N] [--connections N] [--rounds N]``
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from ainsights import _listen

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__)
KEY = "key-of-the-benchmark"
SIZE = 1600


async def floor(_: Any, receive: Any, send: Any) -> None:
    """Read the body and answer."""
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"16")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"success":true}'})


def serve_floor() -> None:
    """Run the floor on the port that is printed."""
    listener = _listen.listen("127.0.0.1", 0)
    print(_listen.url_of(listener), flush=True)
    config = uvicorn.Config(floor, access_log=False, lifespan="off", ws="none", log_config=None)
    uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def process(*command: str, marker: str) -> Iterator[tuple[str, int]]:
    """Run a server; yield its URL and its process's number."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as server:
        try:
            assert server.stdout
            line = next(line for line in server.stdout if marker in line)
            yield line[line.index("http://") :].split(",")[0].split()[0], server.pid
        finally:
            server.terminate()


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used; 0 where the system doesn't count it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(url: str, pid: int, count: int, connections: int) -> dict[str, float]:
    """Put ``count`` insights."""
    command = [sys.executable, str(HERE.with_name("load.py")), url, KEY, str(count), str(connections), str(SIZE)]
    before = cpu_seconds(pid)
    result: dict[str, float] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    result["cpu_us"] = (cpu_seconds(pid) - before) / count * 1e6
    return result


def sync_ms(directory: str) -> float:
    """Return the median time of a small sync of the disk: what each commit waits for."""
    times = []
    with (Path(directory) / "sync").open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(b"x" * 40_000)
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def main() -> int:
    """Print the table; exit 1 if a put failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--floor", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    if args.floor:
        serve_floor()
        return 0
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        database = str(Path(directory) / "insights.db")
        command = [sys.executable, "-m", "ainsights", "serve", "--port", "0", "--db", database, "--api-key", KEY]
        servers = {
            "floor": stack.enter_context(process(sys.executable, str(HERE), "--floor", marker="http://")),
            "endpoint": stack.enter_context(process(*command, marker="endpoint at")),
        }
        print(f"{args.count} puts of {SIZE} B, {args.connections} connections; a sync: {sync_ms(directory):.2f} ms")
        print(f"{'':10}{'puts/s':>10}{'p50 ms':>10}{'p99 ms':>10}{'CPU µs':>10}{'of floor':>10}")
        ratios, failed = [], 0.0
        for _ in range(args.rounds):
            rates: dict[str, float] = {}
            for name, (url, pid) in servers.items():
                found = load(url, pid, args.count, args.connections)
                rates[name] = found["rate"]
                failed += found["failed"]
                columns = f"{found['rate']:10,.0f}{found['p50_ms']:10.2f}{found['p99_ms']:10.2f}{found['cpu_us']:10.0f}"
                print(f"{name:10}{columns}{rates[name] / rates['floor']:10.2f}")
            ratios.append(rates["endpoint"] / rates["floor"])
        print(f"median of the ratios: {statistics.median(ratios):.2f}; failed: {failed:.0f}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
