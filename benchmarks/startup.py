"""What ainsights adds to the start of a process: time and memory of whole processes, and the first call, in turns.

python benchmarks/startup.py [rounds]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

INSTRUMENT = "import ainsights; ainsights.instrument(api_key='k', base_url='http://127.0.0.1:9', exit_timeout=0)"
PROGRAMS = {
    "python": "pass",
    "import ainsights": "import ainsights",
    "import openai": "import openai",
    "import openai; instrument()": "import openai, ainsights; ainsights.instrument(api_key='k')",
    "instrument(); import openai": "import ainsights; ainsights.instrument(api_key='k'); import openai",
}
PEAK = "; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"

FIRST_CALL = """
import time, openai
http = getattr(openai._base_client, "httpx2", None) or openai._base_client.httpx
MESSAGE = {"role": "assistant", "content": "hello"}
COMPLETION = {"id": "c", "object": "chat.completion", "created": 1, "model": "m",
              "choices": [{"index": 0, "finish_reason": "stop", "message": MESSAGE}]}
answer = lambda request: http.Response(200, json=COMPLETION)
client = openai.OpenAI(api_key="k", http_client=http.Client(transport=http.MockTransport(answer)))
call = lambda: client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
client.chat.completions  # openai loads it when it is first used
wall, cpu = time.perf_counter(), time.thread_time()
call()
print((time.thread_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000)
"""
"""Milliseconds of the caller's own thread, and of the clock, that a process's first call takes."""


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    whole_processes(rounds)
    first_call(rounds)


def whole_processes(rounds: int) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    kilobytes: dict[str, list[int]] = {name: [] for name in PROGRAMS}
    for turn in range(rounds + 1):
        for name, program in PROGRAMS.items():
            began = time.perf_counter()
            printed = run(program + PEAK)
            if turn:  # the first turn warms the disk's cache
                seconds[name].append(time.perf_counter() - began)
                kilobytes[name].append(int(printed))
    base_time = statistics.median(seconds["import openai"])
    base_memory = statistics.median(kilobytes["import openai"])
    print(f"{'whole process':<32}{'ms':>8}{'spread':>14}{'ratio':>8}{'MB':>8}{'added':>8}")
    for name, figures in seconds.items():
        middle, memory = statistics.median(figures), statistics.median(kilobytes[name])
        spread = f"{min(figures) * 1000:.0f}–{max(figures) * 1000:.0f}"
        added = f"{(memory - base_memory) / 1024:+.1f}"
        print(f"{name:<32}{middle * 1000:>8.0f}{spread:>14}{middle / base_time:>8.2f}{memory / 1024:>8.1f}{added:>8}")


def first_call(rounds: int) -> None:
    programs = {"bare": FIRST_CALL, "captured": INSTRUMENT + FIRST_CALL}
    figures: dict[str, list[tuple[float, ...]]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            figures[name].append(tuple(map(float, run(program).split())))
    print(f"\n{'first call, ms':<32}{'own CPU':>8}{'spread':>14}{'added':>8}{'clock':>8}{'added':>8}")
    bare_cpu, bare_wall = (statistics.median(column) for column in zip(*figures["bare"], strict=True))
    for name, measured in figures.items():
        cpus, walls = zip(*measured, strict=True)
        cpu, wall = statistics.median(cpus), statistics.median(walls)
        spread = f"{min(cpus):.1f}–{max(cpus):.1f}"
        print(f"{name:<32}{cpu:>8.1f}{spread:>14}{cpu - bare_cpu:>+8.1f}{wall:>8.1f}{wall - bare_wall:>+8.1f}")


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout


if __name__ == "__main__":
    main()
