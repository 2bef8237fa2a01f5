"""What a monitor asks for: Prometheus's text format, by its own client library."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from edge.board import Throttling
from edge.vitals import Vitals
from edge.watch import Sighting

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
# Seconds: from a small model on a workstation to a large one on a Pi Zero.
INVOKE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
END_TO_END = (*INVOKE, 5.0, 10.0)


class Metrics:
    """Counts in the service's loop, in some microseconds; the rest is looked up when asked for."""

    def __init__(self, vitals: Callable[[], Vitals], fresh: Callable[[], bool]) -> None:
        """Args: how the service fares, and whether its newest result is fresh."""
        # When each series began is told in lines of their own, which nobody asks for.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._results = Counter(
            "edge_classify_results", "Frames by their label.", ("label",), registry=self._registry
        )
        self._events = Counter(
            "edge_classify_events",
            "Changes of the steady state, by what it became.",
            ("label",),
            registry=self._registry,
        )
        self._invoke = Histogram(
            "edge_classify_invoke_seconds",
            "Time of the model's invoke.",
            buckets=INVOKE,
            registry=self._registry,
        )
        self._whole = Histogram(
            "edge_classify_end_to_end_seconds",
            "Age of a frame at its result.",
            buckets=END_TO_END,
            registry=self._registry,
        )
        self._state = _State(vitals, fresh)
        self._registry.register(self._state)
        ProcessCollector(registry=self._registry)

    def __call__(self, sighting: Sighting) -> None:
        """Count a sighting; one that comes late counts as its change alone."""
        if sighting.change:
            self._events.labels(sighting.change.after).inc()
        if sighting.frame is None:
            return
        self._results.labels(sighting.result.label).inc()
        self._invoke.observe(sighting.result.invoke_ms / 1000)
        self._whole.observe(sighting.age_ms / 1000)
        self._state.dropped += sighting.dropped
        self._state.captured_ns = sighting.frame.captured_ns

    def text(self) -> bytes:
        """All of it now, in Prometheus's text format."""
        return generate_latest(self._registry)


class _State(Collector):
    """What the service's parts know themselves."""

    def __init__(self, vitals: Callable[[], Vitals], fresh: Callable[[], bool]) -> None:
        self.dropped = 0
        self.captured_ns: int | None = None  # the newest frame's, by time.monotonic_ns()
        self._vitals, self._fresh = vitals, fresh

    def collect(self) -> Iterator[Metric]:
        """Yield each, where the machine tells it."""
        vitals = self._vitals()
        yield _gauge("fresh", "Whether there is a fresh result.", float(self._fresh()))
        yield _gauge("frames_per_second", "Classified frames, of late.", vitals.fps)
        if self.captured_ns is not None:
            age_s = (time.monotonic_ns() - self.captured_ns) / 1e9
            yield _gauge("frame_age_seconds", "Age of the newest classified frame.", age_s)
        yield _counter("frames_dropped", "Frames that the source let go.", self.dropped)
        yield _counter("camera_reopened", "Times the camera was opened again.", vitals.reopened)
        if vitals.celsius is not None:
            yield _gauge("temperature_celsius", "Of the processor.", vitals.celsius)
        if vitals.throttling is not None:
            yield _throttling(vitals.throttling)
        yield from _sinks(vitals)
        yield InfoMetricFamily(
            "edge_classify_model",
            "The model in use; version is of its file's sha256 the beginning.",
            {"name": vitals.model, "version": vitals.version, "runtime": vitals.runtime},
        )


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"edge_classify_{name}", text, value)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"edge_classify_{name}", text, value)


def _throttling(throttling: Throttling) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "edge_classify_throttled",
        "Whether the firmware says so now, of heat and a weak supply.",
        labels=("condition",),
    )
    for name in ("under_voltage", "frequency_capped", "throttled", "soft_limit"):
        value = getattr(throttling, name)
        if value is not None:
            family.add_metric((name,), float(value))
    return family


def _sinks(vitals: Vitals) -> Iterator[CounterMetricFamily]:
    failures = CounterMetricFamily(
        "edge_classify_sink_failures", "Failed deliveries.", labels=("sink",)
    )
    lost = CounterMetricFamily(
        "edge_classify_events_lost", "Changes that could not wait any longer.", labels=("sink",)
    )
    for name, sink in vitals.sinks.items():
        failures.add_metric((name,), sink.failures)
        lost.add_metric((name,), sink.lost)
    yield failures
    yield lost
