"""Metrics in Prometheus's text format, by its own client library.

The loop only counts; the text is made when a client requests it, in the
server's thread.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from edge.board import Throttling
from edge.classifier.classify import UNKNOWN
from edge.service.health import Vital, Vitals
from edge.service.sighting import Sighting
from edge.service.zones.state import CameraProblem, ZoneState

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
# Seconds: from a small model on a workstation to a large one on a Pi Zero.
INVOKE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
END_TO_END = (*INVOKE, 5.0, 10.0)
# A monitor keeps a series for each label of each device: the labels seen first have theirs, the
# others share one.
MOST_LABELS = 100
OTHERS = "(others)"


class Metrics(Collector):
    """Counts in the service's loop, in a microsecond; the rest is read on request."""

    def __init__(self, vitals: Vital, zones: Sequence[str] = ("",)) -> None:
        """Args: what reads the health of the service; the names of its zones."""
        self._vitals = vitals
        self._zones = {zone: _Counts() for zone in zones}
        self._dropped, self._number = 0, 0  # frames; a frame's are counted once for all zones
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def __call__(self, sighting: Sighting) -> None:
        """Count a `Sighting`; a late one counts for its state change only."""
        self._zones[sighting.zone].add(sighting)
        if sighting.frame is not None and sighting.number != self._number:
            self._number = sighting.number
            self._dropped += sighting.dropped

    def text(self) -> bytes:
        """All of it now, in Prometheus's text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield each that the machine has: what zones have, a sample for each of them."""
        merged: dict[str, Metric] = {}
        vitals = [self._vitals(zone) for zone in self._zones]
        for zone, counts in zip(vitals, self._zones.values(), strict=True):
            for family in counts.families(zone):
                if zone.name:
                    family.samples = [_of_zone(sample, zone.name) for sample in family.samples]
                known = merged.setdefault(family.name, family)
                if known is not family:
                    known.samples += family.samples
        yield from merged.values()
        yield _counter("frames_dropped", "Frames dropped by the source.", self._dropped)
        if vitals[0].camera_checked:
            yield _camera(vitals[0])
        yield from _service(vitals[0])
        yield from _board(vitals[0])
        yield from _sinks(vitals[0])


class _Counts:
    """What is counted of one zone."""

    def __init__(self) -> None:
        self._results: Counter[str] = Counter()
        self._events: Counter[str] = Counter()
        self._invoke, self._whole = _Times(INVOKE), _Times(END_TO_END)
        self._captured_ns: int | None = None  # the newest frame's, by time.monotonic_ns()

    def add(self, sighting: Sighting) -> None:
        """Count a `Sighting`."""
        if sighting.change:
            _count(self._events, sighting.change.after)
        if sighting.frame is None:
            return
        _count(self._results, sighting.result.label)
        self._invoke.add(sighting.result.invoke_ms / 1000)
        self._whole.add(sighting.age_ms / 1000)
        self._captured_ns = sighting.frame.captured_ns

    def families(self, vitals: Vitals) -> Iterator[Metric]:
        """Yield them, without the zone's name."""
        yield _labelled("results", "Classified frames, by label.", self._results, vitals.labels)
        meaning = "State changes, by the new state."
        yield _labelled("events", meaning, self._events, vitals.labels)
        yield self._invoke.family("invoke_seconds", "Latency of the model's invoke, in seconds.")
        yield self._whole.family("end_to_end_seconds", "Time from capture to result, in seconds.")
        is_live = float(vitals.zone.state is ZoneState.LIVE)
        yield _gauge("fresh", "Whether there is a fresh result.", is_live)
        if self._captured_ns is not None:
            age_s = (time.monotonic_ns() - self._captured_ns) / 1e9
            yield _gauge("frame_age_seconds", "Age of the newest classified frame.", age_s)
        yield _state(vitals)
        yield _gauge("frames_per_second", "Classified frames per second, recently.", vitals.fps)
        refused = float(bool(vitals.trouble))
        yield _gauge("model_refused", "Whether a new model was rejected.", refused)
        yield InfoMetricFamily(
            "edge_classify_model",
            "The model in use; version is the start of its SHA-256.",
            {"name": _plain(vitals.model), "version": vitals.version, "runtime": vitals.runtime},
        )


def _of_zone(sample: Sample, zone: str) -> Sample:
    """Prometheus takes a series without a zone for the unnamed one."""
    return sample._replace(labels={"zone": zone, **sample.labels})


class _Times:
    """How many times were how long."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Args: of the buckets, in seconds; what is longer than the last has one as well."""
        self._bounds, self._counts = bounds, [0] * (len(bounds) + 1)
        self._sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum_s += seconds

    def family(self, name: str, text: str) -> HistogramMetricFamily:
        """What the client makes text of."""
        bounds = [*map(str, self._bounds), "+Inf"]
        buckets = list(zip(bounds, map(float, accumulate(list(self._counts))), strict=True))
        return HistogramMetricFamily(f"edge_classify_{name}", text, buckets, self._sum_s)


def _count(counts: Counter[str], label: str) -> None:
    counts[label if label in counts or len(counts) < MOST_LABELS else OTHERS] += 1


def _labelled(
    name: str, text: str, counts: Mapping[str, int], labels: Iterable[str]
) -> CounterMetricFamily:
    """The counts, and 0 for what has not been seen: rates are then right from the first one on."""
    there = dict(counts)
    for label in (UNKNOWN, *labels):
        if len(there) >= MOST_LABELS:
            break
        there.setdefault(label, 0)
    family = CounterMetricFamily(f"edge_classify_{name}", text, labels=("label",))
    for label, count in there.items():
        family.add_metric((_plain(label),), count)
    return family


def _state(vitals: Vitals) -> GaugeMetricFamily:
    """The zone's state."""
    text = "Whether the zone is in this state."
    family = GaugeMetricFamily("edge_classify_zone_state", text, labels=("state",))
    for state in ZoneState:
        family.add_metric((state,), float(state is vitals.zone.state))
    return family


def _camera(vitals: Vitals) -> GaugeMetricFamily:
    text = "Whether the camera's view has this problem."
    family = GaugeMetricFamily("edge_classify_camera_problem", text, labels=("problem",))
    for problem in CameraProblem:
        family.add_metric((problem,), float(problem is vitals.camera))
    return family


def _service(vitals: Vitals) -> Iterator[Metric]:
    yield _gauge("up_seconds", "Seconds since the service started.", vitals.up_s)
    waiting = float(bool(vitals.waiting) and not vitals.idle)
    yield _gauge("source_waiting", "Whether the service waits for a frame.", waiting)
    text = "Images that could not be read."
    yield _counter("unreadable_pictures", text, vitals.unreadable)
    yield _counter("camera_reopened", "How often the camera was reopened.", vitals.reopened)


def _board(vitals: Vitals) -> Iterator[Metric]:
    if vitals.celsius is not None:
        yield _gauge(
            "temperature_celsius",
            "Temperature of the processor, in degrees Celsius.",
            vitals.celsius,
        )
    if vitals.throttling is not None:
        yield _throttling(vitals.throttling)


def _throttling(throttling: Throttling) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "edge_classify_throttled",
        "Whether the firmware reports this condition now.",
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
        "edge_classify_events_lost", "Events that could not be delivered.", labels=("sink",)
    )
    for name, sink in vitals.sinks.items():
        failures.add_metric((_plain(name),), sink.failures)
        lost.add_metric((_plain(name),), sink.lost)
    yield failures
    yield lost


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"edge_classify_{name}", text, value)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"edge_classify_{name}", text, value)


def _plain(text: str) -> str:
    """The text as UTF-8 can have it: a file's name may be of other bytes."""
    return text.encode("utf-8", "replace").decode()
