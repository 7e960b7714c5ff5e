"""`make bench`: every benchmark, one after the other, on the machine named first."""

import os
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ("bench.cold_start", "bench.answer", "bench.ivr", "bench.finalise", "bench.media")


def main() -> int:
    """Run all and return the number of those that failed."""
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} CPUs", flush=True)
    failed = 0
    for name in BENCHMARKS:
        print(f"\n{name}", flush=True)
        failed += subprocess.run([sys.executable, "-m", name], cwd=ROOT, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
