"""openai's own tests of chat completions, responses and streams, without ainsights and with it: each must end the same.

    python tests/openai_suite.py [--version X.Y.Z] [--checkout DIRECTORY]

The tests come from openai's source distribution and run in a virtual environment made for them; both are gone
afterwards. Those that want openai's mock server get the mock one. Those that play back recorded streams, which
source distributions lack, play streams of the mock one instead: they fail, but must fail with the same words.
Exit status: 0 the same, 1 not the same, 2 the tests could not be had or could not run, which is no pass.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from support.cases import CASES
from support.endpoints import Endpoint, running_endpoint

from ainsights.mock_openai import serving

HERE = Path(__file__).parent
NEEDS_A_SERVER = (
    "tests/api_resources/beta/test_responses.py",
    "tests/api_resources/chat/test_completions.py",
    "tests/api_resources/responses",
    "tests/api_resources/test_completions.py",
    "tests/api_resources/test_responses.py",
)
FILES = (
    "tests/lib/chat",
    "tests/lib/responses",
    "tests/lib/test_generated_websocket_compression.py",
    "tests/lib/test_responses_input_file_history.py",
    "tests/lib/test_responses_tool_runner.py",
    "tests/lib/test_websocket_connection_policy.py",
    "tests/lib/test_websocket_entry_cleanup.py",
    "tests/lib/test_websocket_recovery_lifecycle.py",
    "tests/lib/test_azure.py",
    "tests/lib/test_azure_deployment_path.py",
    "tests/test_client.py",
    "tests/test_httpx2_respx.py",
    "tests/test_large_payload_contract.py",
    "tests/test_lazy_imports.py",
    "tests/test_legacy_response.py",
    "tests/test_module_client.py",
    "tests/test_request_body_routing_order.py",
    "tests/test_response.py",
    "tests/test_response_svg_reasoning.py",
    "tests/test_send_queue.py",
    "tests/test_send_queue_reconnect.py",
    "tests/test_sse_framing.py",
    "tests/test_status_error_messages.py",
    "tests/test_stream_mode.py",
    "tests/test_streaming.py",
    "tests/test_utils/test_logging.py",
    "tests/test_websocket_connection_options.py",
    "tests/test_websocket_initial_backlog.py",
    "tests/test_websocket_raw_reconnect_wire.py",
    "tests/test_websocket_recovery_regressions.py",
    "tests/test_websocket_terminal_flush.py",
)
REQUIREMENTS = [
    *("aiohttp", "azure-identity", "dirty-equals", "httpx-aiohttp", "inline-snapshot", "nest-asyncio"),
    *("pytest", "pytest-asyncio", "pytest-xdist", "respx", "rich", "time-machine", "trio", "websockets>=13,<16"),
]
OLDER_ONES = 5
"""So many earlier releases are tried where a source distribution has no tests."""
LONGEST = 900
"""Seconds that one run of the tests may take."""

ADDRESS = re.compile(r"0x[0-9a-f]+|(?<=127\.0\.0\.1:)\d+|(?<=localhost:)\d+")
"""What differs from run to run in the message of a failing test."""

DIFFERENT, UNAVAILABLE = 1, 2


class Unavailable(Exception):  # noqa: N818  not an error of the program
    """The tests can't be had, or can't run."""


class Outcome(NamedTuple):
    """How a test ended, and its message."""

    ended: str
    words: str = ""


class Run(NamedTuple):
    """How each test ended, and the statistics of ainsights if it was installed."""

    outcomes: dict[str, Outcome]
    stats: dict[str, Any]


def command(*args: str, **options: Any) -> str:
    """Run a program and return what it prints."""
    done = subprocess.run(args, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise Unavailable(f"{' '.join(args[:4])} … failed:\n{(done.stdout + done.stderr).strip()[-2000:]}")
    return done.stdout


def sources(version: str, into: Path) -> tuple[str, Path]:
    """Return the version and the unpacked sources of ``version``, or of the last one before it that brings tests."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    for candidate in (version, *earlier(version, pip)):
        target = into / candidate
        command(*pip, "download", "--no-binary", "openai", "--no-deps", f"openai=={candidate}", "-d", str(target))
        with tarfile.open(next(target.glob("*.tar.gz"))) as archive:
            archive.extractall(target, filter="data")
        root = next(path for path in target.iterdir() if path.is_dir())
        if (root / "tests" / "conftest.py").exists():
            return candidate, root
        print(f"openai {candidate}: its source distribution brings no tests")
    raise Unavailable("no source distribution with tests was found")


def earlier(version: str, pip: tuple[str, ...]) -> list[str]:
    """Return the releases before ``version``, the latest first; looked up only when they are needed."""
    listed = re.search(r"Available versions: (.*)", command(*pip[:3], "index", "versions", "openai"))
    every = listed[1].split(", ") if listed else []
    return every[every.index(version) + 1 :][:OLDER_ONES] if version in every else []


def environment(version: str, into: Path) -> Path:
    """Return the interpreter of a new virtual environment with openai, its tests' needs and ainsights."""
    command(sys.executable, "-m", "venv", str(into))
    python = into / "bin" / "python"
    needs = [f"openai=={version}", *REQUIREMENTS, str(HERE.parent)]
    command(str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q", *needs)
    return python


def stand_in(root: Path) -> int:
    """Write a stream of the mock server for each recording that the tests name and ``root`` lacks."""
    recordings = root / ".inline-snapshot" / "external"
    streamed = itertools.cycle(case for case in CASES if case.stream and not case.fails)
    text = "".join(path.read_text() for path in sorted((root / "tests" / "lib" / "chat").glob("*.py")))
    missing = [
        name for name in re.findall(r'external\("([0-9a-f]+)\*\.bin"\)', text) if not [*recordings.glob(f"{name}*")]
    ]
    recordings.mkdir(parents=True, exist_ok=True)
    with serving() as model:
        for name, case in zip(dict.fromkeys(missing), streamed, strict=False):
            answer = httpx.post(f"{model.base_url}/chat/completions", json=case.arguments(), timeout=30)
            (recordings / f"{name:0<64}.bin").write_bytes(answer.content)
    return len(missing)


class Suite:
    """openai's tests, ready to run."""

    def __init__(self, python: Path, root: Path, scratch: Path) -> None:
        self.python, self.root, self.scratch = python, root, scratch
        shutil.copy(HERE / "support" / "openai_plugin.py", scratch)

    def run(self, insights: Endpoint | None) -> Run:
        """Run all of it; sending to ``insights``, or without ainsights."""
        outcomes: dict[str, Outcome] = {}
        total: Counter[str] = Counter()
        totals: dict[str, Any] = {"failures": {}, "dropped": {}, "last_error": None, "flushed": True}
        with serving() as model:
            for files, more in ((FILES, {}), (NEEDS_A_SERVER, {"TEST_API_BASE_URL": model.base_url})):
                found = [name for name in files if (self.root / name).exists()]
                ended, stats = self._pytest(found, insights, more)
                outcomes |= ended
                total.update({name: stats[name] for name in ("captured", "delivered", "queued_events") if stats})
                for name in ("failures", "dropped"):
                    totals[name] |= stats.get(name, {})
                totals["last_error"] = stats.get("last_error") or totals["last_error"]
                totals["flushed"] &= stats.get("flushed", True)
        return Run(outcomes, {**total, **totals} if insights else {})

    def _pytest(self, files: list[str], insights: Endpoint | None, more: dict[str, str]) -> Run:
        report, stats = self.scratch / "report.xml", self.scratch / "stats.json"
        for path in (report, stats):
            path.unlink(missing_ok=True)
        ours = ("OPENAI_", "AINSIGHTS_", "REQUESTY_", "PYTEST_", "PYTHONPATH", "TEST_API_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more
        plugin: list[str] = []
        if insights is not None:
            plugin = ["-p", "openai_plugin"]
            env |= {"PYTHONPATH": str(self.scratch), "AINSIGHTS_SUITE_STATS": str(stats)}
            env |= {"AINSIGHTS_BASE_URL": insights.url, "AINSIGHTS_API_KEY": "key"}
        options = (
            "-o",
            "addopts=",
            "-o",
            "asyncio_default_fixture_loop_scope=session",
        )  # 1.55 does not name the latter
        args = [str(self.python), "-m", "pytest", "-vv", *options, "--tb=line", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*args, *plugin, f"--junitxml={report}", *files],
            cwd=self.root,
            env=env,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        if done.returncode not in (0, 1) or not report.exists() or (plugin and not stats.exists()):
            raise Unavailable(f"pytest stopped with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")
        return Run(read(report), json.loads(stats.read_text()) if plugin else {})


def read(report: Path) -> dict[str, Outcome]:
    """Return how each test of a junit report ended."""
    outcomes: dict[str, Outcome] = {}
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        ended = [child for child in case if child.tag in {"failure", "error", "skipped"}]
        now = Outcome("+".join(child.tag for child in ended) or "passed", words(ended))
        outcomes[name] = Outcome(*map("+".join, zip(outcomes[name], now, strict=True))) if name in outcomes else now
    return outcomes


def words(children: list[ET.Element]) -> str:
    """Return the message of a test, without what differs from run to run."""
    return ADDRESS.sub("…", " ".join(child.get("message", "") for child in children))


def compare(bare: Run, ours: Run, insights: Endpoint) -> list[str]:
    """Return what is different, or wrong with what ainsights did meanwhile."""
    names = sorted(bare.outcomes.keys() | ours.outcomes.keys())
    missing = Outcome("missing")
    ended = [(name, bare.outcomes.get(name, missing), ours.outcomes.get(name, missing)) for name in names]
    wrong = [f"{name}: without {without}, with {beside}" for name, without, beside in ended if without != beside]
    stats, stored = ours.stats, insights.times_stored
    if stats["failures"] or stats["dropped"] or stats["queued_events"] or not stats["flushed"]:
        wrong.append(f"not all went well inside ainsights: {stats}")
    if not stats["captured"] == stats["delivered"] == len(stored) == stored.total():
        wrong.append(f"{stats['captured']} captured, {stored.total()} stored, {len(stored)} of them distinct")
    return wrong


def main() -> int:
    """Run the comparison; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--version", default=importlib.metadata.version("openai"), help="of openai (default: ours)")
    parser.add_argument("--checkout", type=Path, help="a git checkout of that version, which has recordings too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running_endpoint() as insights:
        scratch = Path(name)
        try:
            version, root = (
                (args.version, args.checkout) if args.checkout else sources(args.version, scratch / "openai")
            )
            stood_in = 0 if args.checkout else stand_in(root)
            python = environment(version, scratch / "venv")
            suite = Suite(python, root.resolve(), scratch)
            bare, ours = suite.run(None), suite.run(insights)
        except (Unavailable, OSError, subprocess.TimeoutExpired) as error:
            print(f"openai's tests could not run, so nothing is shown: {error}", file=sys.stderr)
            return UNAVAILABLE
        print(f"openai {version}, {len(bare.outcomes)} tests, {stood_in} recorded streams replaced by mock ones")
        report(bare, ours, insights)
        wrong = compare(bare, ours, insights)
    print(*wrong or ["the same with ainsights as without"], sep="\n")
    return DIFFERENT if wrong else 0


def report(bare: Run, ours: Run, insights: Endpoint) -> None:
    """Print the counts."""
    for title, run in (("without ainsights", bare), ("with ainsights", ours)):
        counts = Counter(outcome.ended for outcome in run.outcomes.values())
        print(f"{title:<20}{', '.join(f'{n} {ended}' for ended, n in sorted(counts.items()))}")
    failing = [name for name, outcome in bare.outcomes.items() if outcome.ended not in {"passed", "skipped"}]
    files = Counter(name.partition("::")[0] for name in failing)
    print("fail by themselves:", ", ".join(f"{n} of {name}" for name, n in sorted(files.items())) or "none")
    print(f"events: {insights.times_stored.total()} stored, {len(insights.times_stored)} distinct")
    print(f"ainsights.stats(): {ours.stats}")


if __name__ == "__main__":
    sys.exit(main())
