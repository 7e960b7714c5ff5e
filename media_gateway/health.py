"""What `/readyz` says: each thing that this process needs, and its state."""

from dataclasses import dataclass

import msgspec

from media_gateway.calls import Calls
from media_gateway.heartbeat import Heartbeat
from media_gateway.keys import KeyKeeper
from media_gateway.pod import Pod
from media_gateway.saturation import LoadWatch
from shared.release import release

RELEASE = release()
"""Read at the start: a report is made on the event loop."""


@dataclass(frozen=True, slots=True)
class Health:
    """Answers from memory."""

    pod: Pod
    calls: Calls
    keys: KeyKeeper
    heartbeat: Heartbeat
    load: LoadWatch

    def report(self) -> tuple[bool, bytes]:
        """Return whether a new call may be sent here, and a JSON document that says why or why not."""
        checks = {
            "keys": "ok" if self.keys.is_loaded else "not loaded",
            "storage": "ok" if self.heartbeat.is_fresh else "no answer",
            "room": "stopping" if self.calls.is_draining else "ok" if self.calls.has_room else "full",
            "load": "saturated" if self.load.is_saturated else "ok",
        }
        is_ready = all(state == "ok" for state in checks.values())
        document = {
            "status": "ready" if is_ready else "not ready",
            "checks": checks,
            "release": RELEASE,
            "pod": self.pod.name,
            "calls": len(self.calls),
            "capacity": self.calls.capacity,
            "load_percent": self.load.percent,
            "counters": dict(sorted(self.pod.counters.items())),
        }
        return is_ready, msgspec.json.encode(document)
