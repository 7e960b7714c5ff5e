"""What the Functions app counts, as OpenTelemetry instruments; where they go is the process's own configuration.

Attributes hold names from fixed lists and ids of accounts, never numbers, digits or words.
"""

from opentelemetry.metrics import Meter, get_meter

METER_NAME = "acs-voice-gateway"


class Metrics:
    """The instruments of one process; `meter` is the global provider's unless given."""

    def __init__(self, meter: Meter | None = None) -> None:
        meter = meter or get_meter(METER_NAME)
        self.events = meter.create_counter(
            "gateway.events",
            description="Event Grid events, by `outcome` and the `status` that their delivery got",
        )
        self.calls = meter.create_counter(
            "gateway.calls",
            description="Calls that rang, by `account` and `outcome`: each once, by whoever finished its claim",
        )
        self.calls_without_store = meter.create_counter(
            "gateway.calls.without_store",
            description="Calls that were not answered because the store was away, by `account` and `outcome`",
        )
        self.calls_forgotten = meter.create_counter(
            "gateway.calls.forgotten",
            description="Calls of the last minute that a process forgot, because they were too many",
        )
        self.credentials_refused = meter.create_counter(
            "gateway.credentials.refused",
            description="Deliveries with credentials that are not good, by `reason`",
        )
        self.accounts_overlapping = meter.create_counter(
            "gateway.accounts.overlapping",
            description="Calls that a second account's subscription delivered too, by `account`",
        )
        self.upkeep_done = meter.create_counter(
            "gateway.upkeep.done",
            description="What upkeep closed, deleted or had to leave, by `part` and `what`",
        )
        self.upkeep_parts = meter.create_counter(
            "gateway.upkeep.parts", description="Parts of upkeep that ran, by `part` and `end`"
        )
        self.dead_letters = meter.create_gauge(
            "gateway.deadletters", description="Events that Event Grid gave up, as upkeep last counted them"
        )
        self.dead_letters_oldest = meter.create_gauge(
            "gateway.deadletters.oldest", unit="s", description="The age of the oldest of them"
        )
        self.tokens_refused = meter.create_counter(
            "gateway.tokens.refused", description="Callbacks whose token is not good, by `reason`"
        )
        self.signals = meter.create_counter(
            "gateway.signals",
            description="Signals to pods, by `outcome`: a failed one costs the pod a moment",
        )
