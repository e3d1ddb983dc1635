"""What ainsights adds to the start of a process: time and memory of whole processes, in turns.

python benchmarks/startup.py [rounds]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

PROGRAMS = {
    "python": "pass",
    "import ainsights": "import ainsights",
    "import openai": "import openai",
    "import openai; instrument()": "import openai, ainsights; ainsights.instrument(api_key='k')",
    "instrument(); import openai": "import ainsights; ainsights.instrument(api_key='k'); import openai",
}
PEAK = "; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    seconds: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    kilobytes: dict[str, list[int]] = {name: [] for name in PROGRAMS}
    for turn in range(rounds + 1):
        for name, program in PROGRAMS.items():
            began = time.perf_counter()
            ran = subprocess.run([sys.executable, "-c", program + PEAK], capture_output=True, check=True, text=True)
            if turn:  # the first turn warms the disk's cache
                seconds[name].append(time.perf_counter() - began)
                kilobytes[name].append(int(ran.stdout))
    base_time = statistics.median(seconds["import openai"])
    base_memory = statistics.median(kilobytes["import openai"])
    print(f"{'whole process':<32}{'ms':>8}{'spread':>14}{'ratio':>8}{'MB':>8}{'added':>8}")
    for name, figures in seconds.items():
        middle, memory = statistics.median(figures), statistics.median(kilobytes[name])
        spread = f"{min(figures) * 1000:.0f}–{max(figures) * 1000:.0f}"
        added = f"{(memory - base_memory) / 1024:+.1f}"
        print(f"{name:<32}{middle * 1000:>8.0f}{spread:>14}{middle / base_time:>8.2f}{memory / 1024:>8.1f}{added:>8}")


if __name__ == "__main__":
    main()
