"""Zones: parts of one frame, each with a state, labels and a rate of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from live import HOTDOG
from model_copies import SMALL, relabelled, with_thresholds
from sightings import Taker

from edge.classifier.classify import UNKNOWN
from edge.classifier.model import Model
from edge.image.preprocess import Pixels, encode_jpeg, part, read_image, resize
from edge.service.control import Control
from edge.service.process.guard import MemoryGuard
from edge.service.process.pace import Pace, PaceSettings
from edge.service.process.systemd import Notifier
from edge.service.sighting import Sighting
from edge.service.sinks.dataset import Dataset
from edge.service.sinks.kept import Kept
from edge.service.sinks.latest import Latest
from edge.service.watch import Unreadable, watch
from edge.service.zones.settings import ZoneSettings
from edge.service.zones.steady import SteadySettings
from edge.service.zones.zone import Zone
from edge.sources.frame import Frame, Waiting

AT_ONCE = SteadySettings(smoothing=1.0, frames=1, hold_s=0.0)
LEFT, RIGHT, LOW = (0.0, 0.0, 0.5, 0.5), (0.5, 0.0, 0.5, 0.5), (0.0, 0.5, 1.0, 0.5)
SIZE = (480, 640)


class Store:
    """A model that stays, as `ModelStore` has it."""

    trouble = ""

    def __init__(self, model: Model) -> None:
        self.model, self.version = model, "0"

    def poll(self) -> bool:
        return False


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with Model(SMALL) as opened:
        yield opened


def hotdog() -> Pixels:
    return resize(read_image(HOTDOG), (SIZE[0] // 2, SIZE[1] // 2))


def scene(*places: tuple[float, ...]) -> Pixels:
    """Draw grass with a hot dog in some places."""
    random = np.random.default_rng(5)
    pixels = random.normal((70, 120, 50), 12, (*SIZE, 3)).clip(0, 255).astype(np.uint8)
    for place in places:
        part(pixels, place)[:] = hotdog()
    return pixels


def zone(name: str, roi: tuple[float, ...] = (), **more: object) -> ZoneSettings:
    return ZoneSettings(name, roi, **more)


def watched(settings: ZoneSettings, model: Model, control: Control | None = None) -> Zone:
    return Zone(settings, Store(model), control, steady=AT_ONCE)


def frames(*pictures: object, every_s: float = 0.5) -> Iterator[Frame]:
    began, began_ns = datetime.now(UTC), time.monotonic_ns()
    for number, picture in enumerate(pictures):
        at = began + timedelta(seconds=number * every_s)
        yield Frame("camera", picture, at, began_ns + round(number * every_s * 1e9))


def run(
    source: object,
    zones: list[Zone],
    *sinks: object,
    control: Control | None = None,
    helper: Executor | None = None,
) -> int:
    lines: list[str] = []
    with closing(Notifier({})) as notifier:
        return watch(
            source,
            zones,
            sinks,
            notifier,
            Pace(PaceSettings(), lambda: None, lines.append),
            control=control or Control(),
            guard=MemoryGuard(0),
            unreadable=Unreadable(lines.append),
            helper=helper,
        )


def seen(source: object, settings: list[ZoneSettings], model: Model) -> list[Sighting]:
    found: list[Sighting] = []
    run(source, [watched(each, model) for each in settings], Taker(found.append))
    return found


THREE = [zone("left", LEFT), zone("right", RIGHT), zone("low", LOW)]


@pytest.mark.parametrize("encoded", [False, True], ids=["pixels", "jpeg"])
def test_each_zone_is_right_by_its_part_of_the_frame(model: Model, encoded: bool) -> None:
    pictures = [scene(LEFT), scene(RIGHT), scene(LEFT, RIGHT), scene()]
    source = frames(*map(encode_jpeg, pictures)) if encoded else frames(*pictures)
    found = seen(source, THREE, model)
    assert [(each.number, each.zone, each.state) for each in found] == [
        (1, "left", "hotdog"), (1, "right", "nothotdog"), (1, "low", "nothotdog"),
        (2, "left", "nothotdog"), (2, "right", "hotdog"), (2, "low", "nothotdog"),
        (3, "left", "hotdog"), (3, "right", "hotdog"), (3, "low", "nothotdog"),
        (4, "left", "nothotdog"), (4, "right", "nothotdog"), (4, "low", "nothotdog"),
    ]  # fmt: skip
    assert all(each.as_dict()["zone"] == each.zone for each in found)
    assert all(each.frame and each.frame.picture is not None for each in found)


def test_a_region_is_classified_as_its_pixels_are_by_themselves(model: Model) -> None:
    picture = scene(RIGHT)
    (found,) = seen(frames(picture), [zone("right", RIGHT)], model)
    alone = model.scores(np.ascontiguousarray(part(picture, RIGHT)))
    assert np.array_equal(found.result.scores, alone)


def test_real_photos_are_right_in_each_place(hotdog_photos: Path, model: Model) -> None:
    """Photos of the test set, two to a frame: each zone has the label of its photo by itself."""
    hot, other = (sorted((hotdog_photos / name).iterdir())[:40] for name in ("hotdog", "nothotdog"))
    size = (SIZE[0] // 2, SIZE[1] // 2)
    right = photos = 0
    for one, two in zip(hot, other, strict=True):
        pixels = [resize(read_image(path), size) for path in (one, two)]
        frame = scene()
        for place, each in zip((LEFT, RIGHT), pixels, strict=True):
            part(frame, place)[:] = each
        found = seen(frames(frame), THREE[:2], model)
        for sighting, each in zip(found, pixels, strict=True):
            assert np.array_equal(sighting.result.scores, model.scores(each))
        best = [sighting.result.categories[0].label for sighting in found]
        right += sum(a == b for a, b in zip(best, ("hotdog", "nothotdog"), strict=True))
        photos += 2
    print(f"{right} of {photos} photos right in their zone, and all as by themselves")
    assert right >= 0.85 * photos


def test_a_frame_is_decoded_once_at_the_scale_that_suffices(model: Model) -> None:
    """What the sinks get stays as it came."""
    jpeg = encode_jpeg(resize(scene(LEFT), (1920, 2560)))
    several = seen(frames(jpeg), THREE, model)
    (alone,) = seen(frames(jpeg), THREE[:1], model)
    assert all(each.frame and each.frame.picture is jpeg for each in several)
    assert abs(several[0].result.scores - alone.result.scores).max() < 0.02


class Helper(ThreadPoolExecutor):
    """A second thread as the service's, which counts what it is given."""

    count = 0

    def submit(self, work: Callable[..., object], *args: object) -> Future[object]:
        self.count += 1
        return super().submit(work, *args)


@pytest.mark.parametrize("encoded", [False, True], ids=["pixels", "jpeg"])
def test_a_second_thread_changes_no_bit_and_no_order(model: Model, encoded: bool) -> None:
    pictures = [scene(LEFT), scene(RIGHT), scene(LEFT, RIGHT), scene()] * 5
    sent = [encode_jpeg(each) if encoded else each for each in pictures]
    settings = [*THREE, zone("all"), zone("slow", LEFT, fps=0.5)]
    found: list[list[Sighting]] = [[], []]
    with Helper(1) as helper:
        for to, by in zip(found, (None, helper), strict=True):
            zones = [watched(each, model) for each in settings]
            source = frames(*sent)
            assert run(source, zones, Taker(to.append), helper=by) == len(sent)
        assert helper.count == len(found[0]) - len(sent)  # the first zone of a frame does without
    for one, other in zip(*found, strict=True):
        assert (one.number, one.zone, one.state) == (other.number, other.zone, other.state)
        assert one.result.categories == other.result.categories
        assert np.array_equal(one.result.scores, other.result.scores)
        assert other.frame and one.frame and other.frame.picture is one.frame.picture
        assert other.age_ms == pytest.approx(one.age_ms, abs=30_000)


def test_one_zone_has_no_second_thread(model: Model) -> None:
    with Helper(1) as helper:
        found: list[Sighting] = []
        zones = [watched(zone("left", LEFT), model)]
        run(frames(scene(LEFT)), zones, Taker(found.append), helper=helper)
        assert helper.count == 0 and len(found) == 1


def test_a_frame_that_fails_in_a_second_thread_fails_for_each_zone(model: Model) -> None:
    """And the next frame is classified."""
    found: list[Sighting] = []
    zones = [watched(each, model) for each in THREE]
    bad = np.zeros((48, 64), np.uint8)  # grey
    with Helper(1) as helper:
        run(frames(bad, scene(LEFT)), zones, Taker(found.append), helper=helper)
    assert [each.zone for each in found] == ["left", "right", "low"]


def test_a_zone_has_the_labels_that_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "three.tflite"
    path.write_bytes(relabelled(["hotdog", "other"]))
    with Model(path) as model:
        found = seen(frames(scene(LEFT)), [zone("left", LEFT, labels=("other",))], model)
    (one,) = found
    assert [category.label for category in one.result.categories] == ["other"]
    assert one.state == UNKNOWN and one.result.scores.shape == (2,)


def test_zones_have_rates_of_their_own(model: Model) -> None:
    slow = [zone("all"), zone("slow", LEFT, fps=0.5)]
    found = seen(frames(*[scene()] * 21), slow, model)  # ten seconds, two frames a second
    assert [each.number for each in found if each.zone == "all"] == list(range(1, 22))
    assert [each.number for each in found if each.zone == "slow"] == [1, 5, 9, 13, 17, 21]


def test_a_slow_zone_is_classified_at_once_after_a_rest(model: Model) -> None:
    found: list[Sighting] = []
    zones = [watched(each, model) for each in (zone("all"), zone("slow", fps=0.001))]

    def source() -> Iterator[Frame | Waiting]:
        first, *later = frames(scene(), scene(), scene())
        yield first
        yield Waiting("paused", idle=True, rest="paused")
        yield from later

    run(source(), zones, Taker(found.append), control=Control())
    assert [each.number for each in found if each.zone == "slow"] == [1, 2]


def test_a_command_classifies_every_zone_now(model: Model) -> None:
    control = Control(labels={"all": tuple, "slow": tuple})
    found: list[Sighting] = []
    zones = [watched(each, model, control) for each in (zone("all"), zone("slow", fps=0.001))]

    def source() -> Iterator[Frame]:
        for number, each in enumerate(frames(scene(), scene(), scene())):
            if number == 2:
                control.do("classify", "now", "page")
            yield each

    run(source(), zones, Taker(found.append), control=control)
    assert [each.number for each in found if each.zone == "slow"] == [1, 3]


def test_a_threshold_by_command_may_be_of_one_label(tmp_path: Path) -> None:
    path, control = tmp_path / "model.tflite", Control(labels={"": lambda: ("hotdog",)})
    path.write_bytes(with_thresholds(hotdog=0.6, nothotdog=0.4))
    found: list[Sighting] = []

    def source(zone: Zone) -> Iterator[Frame | Waiting]:
        assert (zone.threshold, zone.thresholds) == (0.6, {"hotdog": 0.6, "nothotdog": 0.4})
        yield from frames(hotdog())
        control.do("threshold", "hotdog=1.0", "mqtt")
        assert (zone.threshold, zone.thresholds) == (1.0, {"hotdog": 1.0, "nothotdog": 0.4})
        yield Waiting("for the command")
        yield from frames(hotdog(), scene())
        control.do("threshold", "hotdog=auto", "mqtt")
        assert zone.thresholds == {"hotdog": 0.6, "nothotdog": 0.4}
        yield Waiting("for the command")
        yield from frames(hotdog())

    with Model(path) as opened:
        zone = watched(ZoneSettings(), opened, control)
        run(source(zone), [zone], Taker(found.append), control=control)
    assert [each.result.label for each in found] == ["hotdog", UNKNOWN, "nothotdog", "hotdog"]


def test_a_threshold_by_command_is_for_its_zone_alone(model: Model) -> None:
    control = Control(labels={"left": tuple, "right": tuple})
    zones = [watched(each, model, control) for each in THREE[:2]]
    found: list[Sighting] = []

    def source() -> Iterator[Frame | Waiting]:
        control.do("threshold", "1.0", "mqtt", "left")
        yield Waiting("for the command")
        yield from frames(scene(LEFT, RIGHT))

    run(source(), zones, Taker(found.append), control=control)
    assert [each.state for each in found] == [UNKNOWN, "hotdog"]
    assert [each.threshold == 1.0 for each in zones] == [True, False]


def test_what_is_kept_for_training_is_the_zones_part(model: Model, tmp_path: Path) -> None:
    control = Control(labels={each.name: lambda: ("hotdog",) for each in THREE})
    zones = [watched(each, model, control) for each in THREE]
    dataset = Dataset(tmp_path / "kept", max_files=9, max_bytes=1e9)
    kept = Kept(dataset, control, {each.name: each.settings.box for each in zones})
    control.do("keep", "hotdog", "mqtt", "right")
    run(frames(scene(RIGHT), scene()), zones, kept, control=control)
    (path,) = (tmp_path / "kept").glob("hotdog/*-right.jpg")
    saved = read_image(path).astype(int)
    assert saved.shape == (240, 320, 3)
    assert abs(saved - hotdog().astype(int)).mean() < 5


def test_the_newest_result_has_a_file_for_each_zone(model: Model, tmp_path: Path) -> None:
    zones = [watched(each, model) for each in THREE]
    run(frames(scene(RIGHT)), zones, Latest(tmp_path / "latest.json"))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["latest-left.json", "latest-low.json", "latest-right.json"]
    assert '"zone": "right"' in (tmp_path / "latest-right.json").read_text()
