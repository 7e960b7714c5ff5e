"""Cold start: how long a fresh process takes to import the Functions app; a caller waits for it.

python -m bench.cold_start [--runs 10]
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEASURE = (
    "import time, logging; logging.disable(); start = time.perf_counter(), time.process_time(); "
    "import function_app; print(time.perf_counter() - start[0], time.process_time() - start[1])"
)


def measure(runs: int) -> None:
    """Import the app in `runs` fresh processes, after one that fills the caches, and print the times."""
    results = []
    for _ in range(runs + 1):
        output = subprocess.run(
            [sys.executable, "-c", MEASURE], cwd=ROOT, check=True, capture_output=True, text=True
        )
        results.append([float(value) for value in output.stdout.split()])
    wall, cpu = zip(*results[1:], strict=True)
    print(
        f"import function_app, {runs} fresh processes: median {statistics.median(wall):.3f} s, "
        f"max {max(wall):.3f} s, CPU median {statistics.median(cpu):.3f} s"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    measure(parser.parse_args().runs)
