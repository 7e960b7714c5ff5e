"""A soak, not a test: pytest does not collect it. Run it on a quiet machine.

Calls come at an even rate through the Functions app in a process of its own, while an operator rotates both keys
again and again with the real command. Ages are scaled, so that every version comes to sign within the run. It fails
when a call is not answered, or when a callback is refused (of the last 1000 calls, which the emulator keeps).

    python -m tests.load.soak_rotation [--rate 50] [--seconds 30] [--rotate-every 5]
"""

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping

from bench.answer import one_call, stack
from emulator.calls import Happening
from emulator.service import Emulator
from shared.admin.__main__ import main as command_line

SETTINGS: Mapping[str, str] = {
    "TOKEN_KEY_SIGNING_AGE_S": "4",
    "TOKEN_KEY_REFRESH_S": "2",
}
SETTLE_S = 5.0
"""For the last callbacks to come."""


async def rotate(emulator: Emulator, every_s: float) -> None:
    """Rotate until cancelled, by the operator's command.

    In a thread: starting a process takes seconds of CPU, which on a small machine the app would lack.
    """
    os.environ.update(SETTINGS)
    os.environ["KEY_VAULT_URL"] = emulator.key_vault_url
    os.environ["KEY_VAULT_CA_FILE"] = str(emulator.key_vault_ca_file)
    os.environ["AZURE_CREDENTIAL"] = "local"
    while True:
        if await asyncio.to_thread(command_line, ["keys", "rotate"]):
            raise SystemExit("keys rotate failed")
        await asyncio.sleep(every_s)


async def soak(rate: float, seconds: float, rotate_every_s: float) -> Counter[str]:
    """Place `rate` calls a second for so many seconds while keys rotate; return how often what happened."""
    counts: Counter[str] = Counter()
    async with stack(**SETTINGS) as emulator:
        waits_ms: list[float] = []

        async def call() -> None:
            try:
                await one_call(emulator, waits_ms)
            except TimeoutError:
                counts["unanswered"] += 1

        rotating = asyncio.create_task(rotate(emulator, rotate_every_s))
        started = time.monotonic()
        async with asyncio.TaskGroup() as calls:
            for number in range(int(rate * seconds)):
                await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
                calls.create_task(call())
        rotating.cancel()
        await asyncio.sleep(SETTLE_S)
        await asyncio.gather(rotating, return_exceptions=True)
        counts["answered in time"] = len(waits_ms)
        for placed in emulator.calls:
            counts.update(_name(happening) for happening in placed.happenings)
    return counts


def _name(happening: Happening) -> str:
    """Name a failure with its status: a 401 is a key's fault, a time-out the machine's."""
    if "failed" not in happening.name:
        return happening.name
    return f"{happening.name} ({happening.detail.get('status') or happening.detail.get('outcome')})"


def main() -> int:
    """Soak, print what happened, and return 1 where a call or a callback was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rotate-every", type=float, default=5)
    arguments = parser.parse_args()
    counts = asyncio.run(soak(arguments.rate, arguments.seconds, arguments.rotate_every))
    print(", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    placed = int(arguments.rate * arguments.seconds)
    lost = sum(count for name, count in counts.items() if name == "unanswered" or "failed" in name)
    return 1 if lost or counts["answered in time"] != placed else 0


if __name__ == "__main__":
    sys.exit(main())
