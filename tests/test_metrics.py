"""The metrics: what they count, and that Prometheus's own tool takes them without a word."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from brokers import free_port, required
from live import HOTDOG, scenes, until, watching
from prometheus_client.parser import text_string_to_metric_families
from sightings import sighting

from edge.board import Throttling
from edge.service.health import Failures, Vitals
from edge.service.web.metrics import MOST_LABELS, OTHERS, Metrics

VITALS = Vitals(
    up_s=5.0,
    fps=2.0,
    waiting="",
    idle=False,
    rest="",
    silent_s=0.2,
    has_result=True,
    unreadable=4,
    reopened=3,
    celsius=51.5,
    throttling=Throttling(under_voltage=True, throttled=False),
    model='odd "name"\n.tflite',
    version="0123456789ab",
    runtime="tflite-runtime 2.14.0",
    labels=("cup", "plate"),
    sinks={"stdout": Failures(2, 1)},
    trouble="",
)
BARE = replace(VITALS, celsius=None, throttling=None, sinks={})


def values(text: bytes) -> dict[str, float]:
    """Each series and its value."""
    rows = re.findall(r"^([a-z_]+(?:\{.*\})?) (\S+)$", text.decode(), re.MULTILINE)
    return {series: float(value) for series, value in rows}


def test_what_is_counted() -> None:
    metrics = Metrics(lambda *_: VITALS)
    for number in range(1, 11):
        metrics(sighting(number, changed=number == 4))
    metrics(replace(sighting(11, "plate"), dropped=7))
    metrics(sighting(5, "plate", changed=True).late())
    told = values(metrics.text())
    assert told['edge_classify_results_total{label="cup"}'] == 10
    assert told['edge_classify_results_total{label="plate"}'] == 1
    assert told['edge_classify_events_total{label="cup"}'] == 1
    assert told['edge_classify_events_total{label="plate"}'] == 1
    assert told["edge_classify_frames_dropped_total"] == 7
    assert told["edge_classify_invoke_seconds_count"] == 11
    assert told["edge_classify_invoke_seconds_sum"] == pytest.approx(0.022)
    assert told['edge_classify_invoke_seconds_bucket{le="0.001"}'] == 0
    assert told['edge_classify_invoke_seconds_bucket{le="0.0025"}'] == 11
    assert told['edge_classify_end_to_end_seconds_bucket{le="0.005"}'] == 11


def test_what_is_looked_up() -> None:
    metrics = Metrics(lambda *_: replace(VITALS, silent_s=60.0))
    told = values(metrics.text())
    assert told['edge_classify_zone_state{state="lost"}'] == 1
    assert told['edge_classify_zone_state{state="live"}'] == 0
    assert told["edge_classify_fresh"] == 0 and told["edge_classify_frames_per_second"] == 2
    assert told["edge_classify_camera_reopened_total"] == 3
    assert told["edge_classify_temperature_celsius"] == 51.5
    assert told['edge_classify_throttled{condition="under_voltage"}'] == 1
    assert told['edge_classify_throttled{condition="throttled"}'] == 0
    assert 'edge_classify_throttled{condition="soft_limit"}' not in told  # it is not told
    assert told['edge_classify_sink_failures_total{sink="stdout"}'] == 2
    assert told['edge_classify_events_lost_total{sink="stdout"}'] == 1
    assert "edge_classify_frame_age_seconds" not in told  # there was none


def test_what_the_machine_does_not_tell_is_left_out() -> None:
    text = Metrics(lambda *_: BARE).text()
    assert b"celsius" not in text and b"throttled" not in text


def test_a_label_that_was_not_seen_has_a_zero() -> None:
    metrics = Metrics(lambda *_: VITALS)
    metrics(sighting(1, "cup"))
    told = values(metrics.text())
    for name, cup in (("results", 1), ("events", 0)):
        assert told[f'edge_classify_{name}_total{{label="cup"}}'] == cup
        assert told[f'edge_classify_{name}_total{{label="plate"}}'] == 0
        assert told[f'edge_classify_{name}_total{{label="unknown"}}'] == 0


def test_a_thousand_labels_make_no_endless_text() -> None:
    labels = tuple(f"label {number}" for number in range(1000))
    metrics = Metrics(lambda *_: replace(VITALS, labels=labels))
    assert len(metrics.text()) < 30_000
    for number, label in enumerate(labels, start=1):
        metrics(sighting(number, label, changed=True))
    told = values(metrics.text())
    assert told['edge_classify_results_total{label="label 99"}'] == 1
    rest = 1000 - MOST_LABELS
    assert told[f'edge_classify_results_total{{label="{OTHERS}"}}'] == rest
    assert told[f'edge_classify_events_total{{label="{OTHERS}"}}'] == rest
    assert len([name for name in told if "results_total" in name]) == MOST_LABELS + 1
    assert len(metrics.text()) < 30_000


def test_trouble_is_told() -> None:
    vitals = replace(VITALS, waiting="camera 0: no frame yet", trouble="damaged")
    for looked_at, expected in ((VITALS, 0), (vitals, 1)):
        told = values(Metrics(lambda zone, looked_at=looked_at: looked_at).text())
        assert told["edge_classify_source_waiting"] == expected
        assert told["edge_classify_model_refused"] == expected
        assert told["edge_classify_up_seconds"] == 5


@pytest.mark.parametrize("label", ['6" pizza', "back\\slash", "two\nlines", "crème brûlée", "{x}"])
def test_any_label_is_told_as_it_is(label: str) -> None:
    vitals = replace(VITALS, labels=(label,), model="of other bytes \udcff.tflite")
    metrics = Metrics(lambda *_: vitals)
    metrics(sighting(1, label))
    families = text_string_to_metric_families(metrics.text().decode())
    results = next(family for family in families if family.name == "edge_classify_results")
    assert {s.labels["label"]: s.value for s in results.samples} == {label: 1, "unknown": 0}


@pytest.mark.skipif(
    not (shutil.which("prometheus") and os.geteuid() == 0 and shutil.which("unshare")),
    reason="no prometheus, or not root: a name of its own needs a mount namespace",
)
def test_a_real_prometheus_scrapes_by_a_dns_name(tmp_path: Path) -> None:
    name, own = "cam.example.org", free_port()
    with watching(tmp_path, HOTDOG, "--fps", 10, "--web-hosts", name) as service:
        jobs = [
            {"job_name": job, "static_configs": [{"targets": [f"{host}:{service.port}"]}]}
            for job, host in (("ours", name), ("unknown", "other.example.org"))
        ]
        settings = {"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}
        (tmp_path / "prometheus.yml").write_text(json.dumps(settings))  # JSON is YAML
        (tmp_path / "hosts").write_text(f"127.0.0.1 localhost {name} other.example.org\n")
        script = f"""mount --bind hosts /etc/hosts && exec prometheus --config.file=prometheus.yml
            --storage.tsdb.path=data --web.listen-address=127.0.0.1:{own}"""
        words = ["unshare", "--mount", "sh", "-c", " ".join(script.split())]
        log = (tmp_path / "prometheus.log").open("w")
        process = subprocess.Popen(words, cwd=tmp_path, stdout=log, stderr=log)
        try:
            assert until(lambda: scraped(own, "up").keys() >= {"ours", "unknown"})
            assert until(lambda: scraped(own, "edge_classify_fresh").get("ours") == "1")
            assert scraped(own, "up") == {"ours": "1", "unknown": "0"}
        finally:
            process.terminate()
            process.wait(20)
            log.close()


def scraped(port: int, query: str) -> dict[str, str]:
    """A metric's value by its job, as Prometheus has it."""
    try:
        url = f"http://127.0.0.1:{port}/api/v1/query?query={query}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            found = json.load(answer)["data"]["result"]
    except OSError:
        return {}
    return {each["metric"]["job"]: each["value"][1] for each in found}


@pytest.mark.skipif(
    not shutil.which("promtool") and not required("EDGE_WEB_REQUIRED"),
    reason="no promtool: sudo apt install prometheus",
)
def test_promtool_has_nothing_to_say(tmp_path: Path) -> None:
    with watching(tmp_path, scenes(tmp_path / "scenes", 3), "--fps", 10) as service:
        service.after(20)
        _, text = service.get("/metrics")
        first = values(text)
        service.after(40)
        later = values(service.get("/metrics")[1])
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, timeout=30
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    odd = Metrics(lambda *_: VITALS).text()
    assert not subprocess.run(["promtool", "check", "metrics"], input=odd, timeout=30).returncode
    labels = [f'edge_classify_results_total{{label="{name}"}}' for name in ("hotdog", "nothotdog")]
    assert all(later[each] > first[each] > 0 for each in labels)
    assert 0 <= first["edge_classify_frame_age_seconds"] < 5
    assert later["process_cpu_seconds_total"] > first["process_cpu_seconds_total"]
