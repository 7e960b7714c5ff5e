"""What the app counted during a test."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Sum

from shared.metrics import METER_NAME

Counted = tuple[str, str]
"""A counter's name and its attributes, as `outcome=answered status=200`."""


@dataclass
class CountedMetrics:
    """Reads the counters; `since` tells what was added after the last look."""

    reader: InMemoryMetricReader
    _before: Counter[Counted] = field(default_factory=Counter)

    def since(self) -> Counter[Counted]:
        """Return what was counted since this was last asked."""
        now = self._read()
        added = Counter({key: value - self._before[key] for key, value in now.items()})
        self._before = now
        return +added

    def _read(self) -> Counter[Counted]:
        data = self.reader.get_metrics_data()
        found: Counter[Counted] = Counter()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                if scope.scope.name != METER_NAME:
                    continue
                for metric in scope.metrics:
                    if not isinstance(metric.data, Sum):
                        continue  # a gauge
                    for point in metric.data.data_points:
                        labels = " ".join(f"{k}={v}" for k, v in sorted((point.attributes or {}).items()))
                        found[metric.name, labels] += int(point.value)
        return found


@pytest.fixture(scope="session")
def metric_reader() -> InMemoryMetricReader:
    """The reader of this process's one meter provider."""
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider(metric_readers=[reader], shutdown_on_exit=False))
    return reader


@pytest.fixture
def counted(metric_reader: InMemoryMetricReader) -> CountedMetrics:
    """What the app counts from now on; ask for it before the app starts."""
    found = CountedMetrics(metric_reader)
    found.since()
    return found
