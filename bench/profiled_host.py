"""The Functions host under the profiler: `python -m bench.profiled_host FILE --root ... --port ...`."""

import cProfile
import os
import sys

from emulator.__main__ import main

profiler = cProfile.Profile()
leave = os._exit


def dump_and_leave(code: int) -> None:
    """Write the profile; the host leaves without running any hook."""
    profiler.disable()
    profiler.dump_stats(sys.argv[1])
    leave(code)


if __name__ == "__main__":
    os._exit = dump_and_leave  # type: ignore[assignment]
    profiler.enable()
    main(["functions", *sys.argv[2:]])
