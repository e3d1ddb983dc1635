"""``ainsights demo``: a user's program from its calls to the stored insights, on this machine alone."""

from __future__ import annotations

import codecs
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ainsights._cli import demo_explorer
from ainsights._logging import sanitize
from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

    import httpx
    from rich.console import Console

    from ainsights.server import Endpoint

EXTRA = {"duckdb", "fastapi", "jinja2", "markupsafe", "rich", "starlette", "uvicorn", "zstandard"}
LONGEST_RUN = 120
"""Seconds that the quickstart may take."""

LONGEST_WAIT = 10.0
"""Seconds that the endpoint may take to index what is stored."""

WIDE = 140
"""Characters of a line where the output is not a terminal."""

NARROW = 100
"""Characters of a line below which a table would have no room for the texts."""

OTHER_COLUMNS = 76
"""Characters of a line of the table without its two texts."""

PROXIES = {"http_proxy", "https_proxy", "all_proxy"}

MOCK_MODELS = {
    "OPENAI_API_KEY": "sk-demo",
    "QUICKSTART_MODEL": "gpt-4o-mini",
    "QUICKSTART_TOOLS_MODEL": "mock:tools",
    "QUICKSTART_BAD_MODEL": "mock:status=404",
}
"""What the quickstart asks of the mock model API."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``demo`` to those of ``ainsights``."""
    parser = subparsers.add_parser(
        "demo",
        help="run a small program and show the insights it leaves",
        description="Run examples/quickstart.py against a mock model API and a local Insights endpoint, "
        "both started for it on this machine, and show what was stored. On a terminal it goes on with the Insight "
        "Explorer on a generated sample, until Ctrl-C.",
    )
    parser.add_argument("--live", action="store_true", help="use the real model API, with your OPENAI_API_KEY")
    parser.add_argument(
        "--no-serve", action="store_true", help="end after the table, also on a terminal: without the Explorer"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo; return the exit status."""
    try:
        from ainsights import mock_openai, server  # noqa: PLC0415  extras
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        raise ConfigurationError("the demo needs the server extra: pip install 'ainsights[server]'") from None
    if args.live and not os.environ.get("OPENAI_API_KEY"):
        raise ConfigurationError("--live needs OPENAI_API_KEY: the key of your model API")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ainsights-demo-")))
        endpoint = stack.enter_context(server.running(server.Options(directory / "insights.db")))
        print(f"Insights endpoint: {endpoint.url}")
        model_api = {} if args.live else dict(MOCK_MODELS)
        if not args.live:
            model_api["OPENAI_BASE_URL"] = stack.enter_context(mock_openai.serving()).base_url
            print(f"Mock model API: {model_api['OPENAI_BASE_URL']}")
        script = quickstart()
        print(f"Running {script.name}, plain openai code and one line of ainsights:\n", flush=True)
        status = _run(script, _environ(endpoint, model_api))
        stored = _stored(endpoint)
        _show(stored)
    if status or not stored:
        print(f"\nThe program ended with status {status}, {len(stored)} insights were stored.", file=sys.stderr)
        return 1
    print(NEXT)
    if demo_explorer.is_wanted(no_serve=args.no_serve):
        demo_explorer.show()
    return 0


NEXT = """
What next:
  1. Add the one line to your program:    import ainsights; ainsights.instrument()
  2. Keep an endpoint of your own:        ainsights serve
     or send to your platform:            export AINSIGHTS_API_KEY=...
"""


def quickstart() -> Path:
    """Return where the quickstart is: in a directory of its own when installed, among the examples in a checkout.

    Python lets a script import what lies beside it, before the standard library's modules of the same name.
    """
    packaged = Path(__file__).with_name("example") / "quickstart.py"
    return packaged if packaged.exists() else Path(__file__).parents[3] / "examples" / "quickstart.py"


def _run(script: Path, environ: dict[str, str]) -> int:
    """Run ``script``, print what it prints, and return its exit status."""
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    command = [sys.executable, "-u", str(script)]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, bufsize=0)  # noqa: S603  our own example
    watchdog = threading.Timer(LONGEST_RUN, process.kill)
    watchdog.start()
    try:
        with process:
            while process.stdout and (data := process.stdout.read(4096)):
                print(decode(data), end="", flush=True)
        return process.wait()
    finally:  # a reader of ours that has seen enough ends the script too, without a traceback of its own
        watchdog.cancel()
        process.kill()


def _environ(endpoint: Endpoint, model_api: dict[str, str]) -> dict[str, str]:
    """Return the environment of the script: without the user's settings and, on this machine alone, proxies."""
    ours = {
        "AINSIGHTS_BASE_URL": endpoint.url,
        "AINSIGHTS_API_KEY": endpoint.api_key,
        "PYTHONIOENCODING": "utf-8",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AINSIGHTS_", "REQUESTY_"))}
    if model_api:
        inherited = {name: value for name, value in inherited.items() if name.lower() not in PROXIES}
    return inherited | ours | model_api


def _stored(endpoint: Endpoint) -> list[dict[str, Any]]:
    import httpx  # noqa: PLC0415  start-up of the other commands stays light

    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    with httpx.Client(base_url=endpoint.url, headers=headers, trust_env=False) as client:
        _await_index(client)
        listed = client.get("/insights", params={"limit": 100, "order": "time asc"}).raise_for_status().json()["items"]
        paths = [f"/insights/{quote(item['id'], safe='')}" for item in listed]
        return [client.get(path).raise_for_status().json() for path in paths]


def _await_index(client: httpx.Client) -> None:
    """Wait until all that is stored can be found: a fraction of a second."""
    deadline = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < deadline:
        status = client.get("/status").raise_for_status().json()
        if status["index"]["indexed_seq"] >= status["store"]["last_seq"]:
            return
        time.sleep(0.05)


def _show(stored: list[dict[str, Any]]) -> None:
    from rich.console import Console  # noqa: PLC0415  an extra

    console = Console()
    if not console.is_terminal:
        console.width = int(os.environ.get("COLUMNS") or WIDE)
    print("\nWhat the endpoint stored")
    rows = [_row(item) for item in stored]
    if console.width < NARROW:
        _print_list(rows, console.width)
    else:
        _print_table(rows, console)


def _row(item: dict[str, Any]) -> dict[str, str]:
    """Return the columns of an insight, as plain text."""
    columns = {
        "time": str(item["time"])[11:19],
        "model": item["model"],
        "status": item["status"],
        "user": item["user"] or "",
        "ms": f"{item['latency'] or 0:.1f}",
        "tokens": item["tokens"] or "",
        "asked": item["question"],
        "answered": _answered(item["body"]["response"]),
    }
    return {name: sanitize(" ".join(str(value).split())) for name, value in columns.items()}


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _print_list(rows: list[dict[str, str]], width: int) -> None:
    for row in rows:
        tokens = f"{row['tokens']} tokens" if row["tokens"] else ""
        parts = (row["time"], row["model"], row["status"], row["user"], f"{row['ms']} ms", tokens)
        lines = ["  ".join(filter(None, parts)), *(f"  {name:8}  {row[name]}" for name in ("asked", "answered"))]
        print("", *(_shorten(line, width) for line in lines), sep="\n")


def _print_table(rows: list[dict[str, str]], console: Console) -> None:
    from rich import box  # noqa: PLC0415  an extra
    from rich.table import Table  # noqa: PLC0415  the same
    from rich.text import Text  # noqa: PLC0415  the same

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, width in {"time": 8, "model": 20, "status": 6, "user": 4}.items():
        table.add_column(heading, no_wrap=True, min_width=width)
    for heading in ("ms", "tokens"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=6)
    for heading in ("asked", "answered"):
        table.add_column(heading, no_wrap=True)
    width = (console.width - OTHER_COLUMNS) // 2
    for row in rows:
        colour = "green" if row["status"] == "ok" else "red"
        texts = {name: _shorten(text, width) for name, text in row.items()}
        table.add_row(*(Text(text, colour if name == "status" else "") for name, text in texts.items()))
    console.print(table)


def _answered(response: dict[str, Any]) -> str:
    if response.get("error"):
        return str(response["error"].get("message"))
    message = response["choices"][0]["message"] if response.get("choices") else {}
    calls = [f"{call['function']['name']}({call['function']['arguments']})" for call in message.get("tool_calls") or []]
    return message.get("content") or " ".join(calls)
