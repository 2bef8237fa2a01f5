"""docs/formats.md names each key of each JSON document and each column of CSV, and no other."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, run
from live import HOTDOG, scenes, until, watching
from reports import report
from sightings import AT, sighting
from videos import write_video

from convert.data import splits
from convert.measure.scores import Accuracy
from convert.report.report import CrossValidated, card_json
from convert.steps import check
from edge.benchmark import drawn_picture
from edge.benchmark.compare import compare, record
from edge.benchmark.measure import Plan, measure
from edge.benchmark.rate import Interval
from edge.benchmark.report import findings
from edge.benchmark.soak import Moment
from edge.benchmark.tables import COLUMNS
from edge.benchmark.worker import Combination
from edge.board import Throttling
from edge.classifier import tuned
from edge.classifier.metadata import read_metadata
from edge.classifier.model import shipped_models
from edge.commands.doctor import _record
from edge.commands.keys import toml
from edge.commands.results.spans import BURST_COLUMNS
from edge.doctor.finding import Finding
from edge.names import BENCHMARK_SCHEMA, TUNED_SCHEMA
from edge.service.configuration import Configuration
from edge.service.control import Command, Control
from edge.service.health import Failures, Vitals
from edge.service.mqtt import messages
from edge.service.sinks.action_settings import ActionSettings
from edge.service.sinks.actions import Program
from edge.service.sinks.history.export import EVENT_COLUMNS, HOUR_COLUMNS, printed
from edge.service.sinks.history.reader import Query, Reader
from edge.service.sinks.history.rows import Event, Rows, Share
from edge.service.sinks.history.settings import HistorySettings
from edge.service.sinks.history.store import Store
from edge.service.web.regions import Regions
from edge.service.web.station import _health
from edge.service.zones.settings import ZoneSettings
from edge.service.zones.state import ZoneState, ZoneStatus

PAGE = ROOT / "docs" / "formats.md"


def sections() -> dict[str, set[str]]:
    """The keys in the tables of each section of the page, by its heading."""
    found: dict[str, set[str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            keys = found.setdefault(line.removeprefix("## "), set())
        elif line.startswith("| `"):
            keys |= set(re.findall(r"`([^`]+)`", line.split(" | ")[0]))
    return found


def paths(value: Any, at: str = "") -> Iterator[str]:
    """Yield the path of each value in a document: `a.b`, `a[].b`."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from paths(inner, f"{at}.{key}" if at else key)
    elif isinstance(value, list | tuple) and value:
        for inner in value:
            yield from paths(inner, f"{at}[]")
    else:
        yield at


def check_page(name: str, real: Iterable[str], also: Iterable[str] = ()) -> None:
    """Compare a section with the paths of real documents, in both directions."""
    own = sections()[name]
    keys, real = own | {key for other in also for key in sections()[other]}, set(real)

    def covers(key: str, path: str) -> bool:
        return bool(re.fullmatch(re.escape(key).replace(r"\*", ".+"), path))

    unknown = [p for p in real if not any(covers(k, p) or _holds(p, k) for k in keys)]
    assert unknown == [], f"{PAGE.name}, {name}: not documented"
    real |= {f"{path}[]" for path in real}  # an array may be empty here
    absent = [k for k in own if not any(covers(k, p) or _holds(k, p) for p in real)]
    assert absent == [], f"{PAGE.name}, {name}: no such key"


def _holds(outer: str, inner: str) -> bool:
    return inner.startswith((f"{outer}.", f"{outer}["))


def from_documents(*documents: Any, schema: int = 1) -> set[str]:
    for document in documents:
        assert document["schema"] == schema, document
    return {path for document in documents for path in paths(document)}


VITALS = Vitals(
    up_s=5.0,
    fps=2.0,
    waiting="",
    idle=False,
    rest="",
    silent_s=0.2,
    has_result=True,
    unreadable=0,
    reopened=0,
    celsius=51.5,
    throttling=Throttling(under_voltage=True, throttled_since_boot=True),
    model="model.tflite",
    version="0123456789ab",
    runtime="tflite-runtime 2.14.0",
    labels=("cup", "plate"),
    sinks={"stdout": Failures(2, 1)},
    trouble="",
)


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """What edge-classify prints in a format, with a summary of photos in folders."""
    photos = tmp_path_factory.mktemp("photos")
    (photos / "hotdog").mkdir()
    shutil.copy(HOTDOG, photos / "hotdog")
    (photos / "bad.jpg").write_bytes(b"no image")
    write_video(photos / "clip.mp4", seconds=2)

    def printed(form: str) -> str:
        options = ("--format", form, "--summary", "-r", "-k", "2")
        return run("-m", "edge", "classify", *options, str(photos)).stdout

    return printed


def test_edge_classify(classified: Callable[[str], str]) -> None:
    lines = [json.loads(line) for line in classified("jsonl").splitlines()]
    check_page("edge-classify", from_documents(*lines))
    array = json.loads(classified("json"))
    assert [set(paths(one)) for one in array] == [set(paths(one)) for one in lines]
    (header, *_) = csv.reader(io.StringIO(classified("csv")))
    check_page("edge-classify as CSV", header)
    check_page("edge-classify --bursts", {"schema", *BURST_COLUMNS})


def test_edge_watch_and_its_page(tmp_path: Path) -> None:
    source, latest, kept = scenes(tmp_path / "scenes"), tmp_path / "latest.json", tmp_path / "k"
    options = ("--latest", latest, "--snapshots-folder", kept)
    options += ("--results-file", tmp_path / "all.jsonl")
    with watching(tmp_path, source, "--fps", 20, "--steady-frames", 1, *options) as service:
        service.after(3)
        until(lambda: list(kept.glob("*.json")) and service.document("/events.json")["events"])
        page = {n: service.document(f"/{n}.json") for n in ("latest", "events", "history")}
        page["frame"] = service.document("/frame.json?after=0")
        regions = [service.document("/zones.json")]
        zone = ZoneSettings("door", (0.0, 0.0, 1.0, 0.5), threshold=0.5)
        regions.append(Regions(Configuration(zone=(zone,)), (), toml).document())
        regions += [json.loads(service.get("/zones/check", "POST", "[[zone]]")[1])]
    check_page("Regions of the live page", from_documents(*regions))
    records = [json.loads(line) for line in (tmp_path / "stdout").read_text().splitlines()]
    records += [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    records += [json.loads(path.read_text()) for path in (latest, *kept.glob("*.json"))]
    odd = replace(sighting(changed=True), zone="door", clock_is_set=False)
    check_page("edge-watch", from_documents(*records, odd.as_dict()), also=["edge-classify"])
    assert set(paths(page.pop("frame"))) <= from_documents(*records)
    health = {"schema": 1, "health": _health(VITALS)}  # of a machine with these sensors
    check_page("Live page", from_documents(*page.values(), health))


def test_history(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    seen = Event("door", AT.timestamp(), True, "cup", "plate", 0.9, 3.5)
    share = Share("door", 400_000, "cup", True, 30.0, 60)
    with closing(Store(path, HistorySettings())) as store:
        store.write(Rows((seen,), (share,)), AT.timestamp(), clock_is_set=True)
    text = "".join(printed(Reader(path, tmp_path), Query(), "json", lambda _: None))
    names = {"schema", "labels[]", "zones[]"}  # of events.json alone
    check_page("History", from_documents(json.loads(text)) | names)
    check_page("History as CSV", {*EVENT_COLUMNS, *HOUR_COLUMNS})


def test_mqtt() -> None:
    seen = replace(sighting(changed=True), clock_is_set=True)
    status = ZoneStatus(ZoneState.LIVE, "", False)
    check_page(
        "MQTT",
        from_documents(
            json.loads(messages.event(seen, "device", "id", VITALS)),
            json.loads(messages.state(seen, "device", 0, VITALS, "nothing")),
            json.loads(messages.health(status, "device", "run")),
            json.loads(
                messages.controls(Control(), "device", replace(VITALS, thresholds={"cup": 0.5}))
            ),
        ),
    )


def test_input_of_an_action(tmp_path: Path) -> None:
    change = replace(sighting(changed=True), clock_is_set=False, zone="door")
    settings = ActionSettings(command=("/bin/true",), image=True)
    given = json.loads(Program(settings, "action", print)._input(change, tmp_path))
    check_page("Input of an action", paths(given), also=["edge-watch", "edge-classify"])


def test_a_command_in_the_record() -> None:
    record = Command("threshold", 0.5, "mqtt", AT, zone="door", label="cup").as_dict()
    check_page("A command in the record", from_documents(record))


def test_edge_benchmark() -> None:
    (model,) = [path for path in shipped_models() if "scratch" in path.name]
    combination = Combination(model, "litert", 1)
    taken = measure(Plan((combination,), drawn_picture(), num_runs=5, cold_starts=1))
    measured = findings(taken, "edge-benchmark", "a drawn image")
    outcome = compare(measured, record(measured, None, raw=True))
    found = record(measured, replace(outcome, obstacles=("x",), differences=("x",)), raw=True)
    check_page("edge-benchmark", from_documents(found, schema=BENCHMARK_SCHEMA))
    check_page("edge-benchmark as CSV", COLUMNS)
    for name, kind in (("--soak", Moment), ("--rate", Interval)):
        columns = {field.name for field in fields(kind)}
        check_page(f"edge-benchmark {name}", {"schema", *columns})


def test_edge_benchmark_apply(tmp_path: Path) -> None:
    times = {"litert": {1: 2.0, 2: 1.5}}
    measured = tuned.Measured("a.tflite", "2026-03-01T12:00:00+00:00", {"litert": "2.3"}, times)
    path = tuned.keep({"0" * 64: measured}, "/a.tflite", path=tmp_path / "tuned.json")
    written = from_documents(json.loads(path.read_text()), schema=TUNED_SCHEMA)
    check_page("edge-benchmark --apply", written)


def test_edge_doctor() -> None:
    check_page("edge-doctor", from_documents(_record({"model": Finding("ok", "it works")})))


def test_check(drawn: Path, tmp_path: Path) -> None:
    for name in ("cup", "fish"):
        (tmp_path / name).mkdir()
        shutil.copy(min((drawn / name).iterdir()), tmp_path / name)
    found = check._as_json(check.check(tmp_path))
    check_page("convert check", from_documents(found))


def test_card() -> None:
    few = CrossValidated(5, "the whole training", {"the whole training": Accuracy(40, 50)})
    documents = [card_json(report(**more)) for more in ({}, {"validated": few})]
    check_page("card.json", from_documents(*documents))


def test_edge_json(converted: Path) -> None:
    made = [read_metadata(path.read_bytes(), path).edge for path in converted.glob("*.tflite")]
    check_page("edge.json", from_documents(*made))


def test_splits(converted: Path) -> None:
    for name in (splits.FILE, splits.PREDICTIONS):
        header, *_ = (converted / name).read_text().splitlines()
        check_page(name, header.split(","))
