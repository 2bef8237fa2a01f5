"""Two zones beside Home Assistant, and a camera that is covered, for home_assistant.py."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from brokers import Broker
from house import NO_STATE, House, check, wait_for
from house_device import MODEL, PAGE, SHED, Device, announced, content_of, retained
from house_scenes import SIDE, covered, halves
from model_copies import with_thresholds
from PIL import Image

PLATE, TABLE = ZONES = ("plate", "table")
# The zone "table" is classified every 100 s, so that only a command makes it sooner.
CONFIGURATION = f"""{PAGE}
[health]
on = true

[[zone]]
name = "plate"
roi = [0.0, 0.0, 0.5, 1.0]

[[zone]]
name = "table"
roi = [0.5, 0.0, 0.5, 1.0]
fps = 0.01
steady = {{ smoothing = 1.0, frames = 1, hold_s = 0.0 }}
"""
OF_ZONE = (
    *("sensor.shed_{}_label", "sensor.shed_{}_score", "sensor.shed_{}_frames_per_second"),
    *("binary_sensor.shed_{}_problem", "event.shed_{}_state_change", "image.shed_{}_last_change"),
    *("select.shed_{}_save_the_next_frame_as", "number.shed_{}_threshold"),
    *("number.shed_{}_threshold_of_hotdog", "number.shed_{}_threshold_of_nothotdog"),
)
LABEL, SCORE, RATE, PROBLEM, CHANGE, PICTURE, KEEP, THRESHOLD, *OF_LABEL = OF_ZONE
LIMITS = {"hotdog": 0.5, "nothotdog": 0.6}  # of the model file
PAUSE, SNAPSHOT, CLASSIFY = (
    *("switch.shed_pause", "button.shed_take_a_snapshot", "button.shed_classify_now"),
)
LEARNED_S = 25.0  # after which the view is known
NOTICED_S = 40.0  # hold_s, and what a busy machine takes


def zones(house: House, device: Device, broker: Broker, work: Path) -> None:
    """Try all of it, after a service with one zone that has no name."""
    configuration = work / "zones.toml"
    configuration.write_text(CONFIGURATION)
    device.start(*SHED)
    wait_for("one zone: its label is there", lambda: house.state("sensor.shed_label"), 120)
    device.end()
    device.show(*halves(hotdog_is_left=True))
    model = work / "model.tflite"
    model.write_bytes(with_thresholds(MODEL, **LIMITS))
    device.start(*SHED, "--config", configuration, "--model", model)
    discovered(house)
    health(house, device)
    changes(house, device)
    commands(house, work)
    limits(house, device)
    house.check_all_are(announced(broker), names())
    device.end()
    device.start(*SHED)
    wait_for("without zones: their devices are gone", lambda: set(house.cards()) == {"shed"})
    wait_for("and the label is there", lambda: house.state("sensor.shed_label") not in NO_STATE)
    left = [topic for topic in retained(broker) if any(zone in topic for zone in ZONES)]
    check(f"and no message of theirs stays at the broker {left or ''}", not left)
    device.end()
    device.forget()


def names() -> set[str]:
    """The entities that there must be."""
    of_zones = {name.format(zone) for name in OF_ZONE for zone in ZONES}
    own = {"sensor.shed_temperature", "binary_sensor.shed_service", PAUSE, SNAPSHOT, CLASSIFY}
    return of_zones | own


def both(holds: Callable[[str], Any]) -> bool:
    """Whether it holds for both zones."""
    return all(holds(zone) for zone in ZONES)


def labels(house: House) -> tuple[str, ...]:
    """The labels that the zones show."""
    return tuple(house.state(LABEL.format(zone)) for zone in ZONES)


def limits_of(house: House, zone: str) -> tuple[str, ...]:
    """What the numbers for a zone's labels show."""
    return tuple(house.state(number.format(zone)) for number in OF_LABEL)


def discovered(house: House) -> None:
    """Each zone is a device by way of the one with the camera, with what is its own."""
    wait_for("zones have labels", lambda: labels(house) == ("hotdog", "nothotdog"), 120)
    wait_for("and the label of all is gone", lambda: house.entity("sensor.shed_label") is None)
    wait_for("each is a device", lambda: set(house.cards()) == {"shed", "shed plate", "shed table"})
    cards = house.cards()
    camera, parts = cards["shed"], [cards[f"shed {zone}"] for zone in ZONES]
    check("by way of the camera's", all(one["via_device_id"] == camera["id"] for one in parts))
    check("score", both(lambda zone: 0 <= float(house.state(SCORE.format(zone))) <= 1))
    wait_for("the one rate", lambda: 3 < float(house.state(RATE.format(PLATE))) < 6)
    check("and the other", float(house.state(RATE.format(TABLE))) < 1)
    wait_for("no problem", lambda: both(lambda zone: house.state(PROBLEM.format(zone)) == "off"))
    check("each label has its own threshold", both(lambda z: limits_of(house, z) == ("0.5", "0.6")))
    check("of which the highest is the zone's", house.state(THRESHOLD.format(PLATE)) == "0.6")


def health(house: House, device: Device) -> None:
    """The camera is covered, and is no longer."""
    time.sleep(LEARNED_S)
    began = time.monotonic()
    device.show(*covered())
    wait_for(
        "covered: both have a problem",
        lambda: both(lambda zone: house.state(PROBLEM.format(zone)) == "on"),
        NOTICED_S,
    )
    print(f"      after {time.monotonic() - began:.1f} s", flush=True)
    for zone in ZONES:
        told = house.attributes(PROBLEM.format(zone))
        wanted = {"camera": "covered", "reason": "the camera is covered"}
        known = {name: told.get(name) for name in (*wanted, "zone", "problem")}
        check(f"{zone} has it by name {known}", known == wanted | {"zone": zone, "problem": True})
    check("the labels stand", not set(labels(house)) & set(NO_STATE))
    check("the service is connected", house.state("binary_sensor.shed_service") == "on")
    began = time.monotonic()
    device.show(*halves(hotdog_is_left=True))
    wait_for(
        "uncovered: neither has a problem",
        lambda: both(lambda zone: house.state(PROBLEM.format(zone)) == "off"),
        NOTICED_S,
    )
    print(f"      after {time.monotonic() - began:.1f} s", flush=True)
    check("nor a reason", both(lambda zone: not house.attributes(PROBLEM.format(zone))["camera"]))
    wait_for("the labels are as before", lambda: labels(house) == ("hotdog", "nothotdog"))


def changes(house: House, device: Device) -> None:
    """What changes in a zone is an event of that zone, with its picture; a command is followed."""
    before = {zone: house.attributes(CHANGE.format(zone)).get("id") for zone in ZONES}
    device.show(*halves(hotdog_is_left=False))
    wait_for("the plate changes", lambda: labels(house) == ("nothotdog", "nothotdog"))
    time.sleep(5)
    check("the table does not: it is not its turn", house.state(LABEL.format(TABLE)) == "nothotdog")
    house.do("button.press", entity_id=CLASSIFY)
    wait_for("classified now: it does", lambda: labels(house) == ("nothotdog", "hotdog"), 10)
    for zone, to in zip(ZONES, labels(house), strict=True):
        told = house.attributes(CHANGE.format(zone))
        known = {name: told.get(name) for name in ("event_type", "zone", "to")}
        check(f"{zone} has its event", known == {"event_type": "change", "zone": zone, "to": to})
        check("of another id", told["id"] not in (None, before[zone]))
        check_jpeg(f"the event's picture {told['image']}", content_of(told["image"]))
        shown = house.get(f"/api/image_proxy/{PICTURE.format(zone)}")
        check_jpeg("the picture of its last change", shown)


def check_jpeg(what: str, content: object) -> None:
    """Check that it is the whole frame, as a JPEG."""
    try:
        with Image.open(io.BytesIO(content if isinstance(content, bytes) else b"")) as image:
            image.load()
            size = image.size if image.format == "JPEG" else None
    except OSError:
        size = None
    check(f"{what} {size}", size)


def commands(house: House, work: Path) -> None:
    """A zone's commands are for it alone, and the camera's for both."""
    plate, table = (THRESHOLD.format(zone) for zone in ZONES)
    before = house.state(plate)
    house.do("number.set_value", entity_id=table, value=0.55)
    wait_for("the table's threshold is set", lambda: house.state(table) == "0.55")
    check("and the plate's is as it was", house.state(plate) == before)
    house.do("number.set_value", entity_id=plate, value=0.45)
    wait_for(
        "so is the plate's", lambda: (house.state(plate), house.state(table)) == ("0.45", "0.55")
    )
    wait_for("for all its labels", lambda: limits_of(house, PLATE) == ("0.45", "0.45"))
    house.do("switch.turn_on", entity_id=PAUSE)
    wait_for("paused", lambda: house.state(PAUSE) == "on")
    time.sleep(15)  # longer than a result of the plate is fresh
    for zone, label in zip(ZONES, ("nothotdog", "hotdog"), strict=True):
        house.do("select.select_option", entity_id=KEEP.format(zone), option=label)
        wait_for(f"{zone} is to save a frame", lambda: house.state(KEEP.format(zone)) == label)  # noqa: B023
    check("the labels stand", labels(house) == ("nothotdog", "hotdog"))
    house.do("switch.turn_off", entity_id=PAUSE)
    wait_for("and go on", lambda: house.state(PAUSE) == "off")
    for zone, label in zip(ZONES, ("nothotdog", "hotdog"), strict=True):
        found = wait_for(
            f"{zone} has saved it",
            lambda: list((work / "state" / "dataset" / label).glob(f"*{zone}*.jpg")),  # noqa: B023
        )
        size = Image.open(found[0]).size if found else ()
        check(f"its part alone {size}", size == (SIDE, SIDE))
    wait_for("no other is to be", lambda: both(lambda z: house.state(KEEP.format(z)) == "unknown"))
    snapshots = work / "state" / "snapshots"
    known = set(snapshots.glob("*.jpg"))
    house.do("button.press", entity_id=SNAPSHOT)
    wait_for("a snapshot is saved", lambda: set(snapshots.glob("*.jpg")) - known)


def limits(house: House, device: Device) -> None:
    """The threshold of one label is for it alone, in one zone."""
    for zone, values in ((TABLE, (0.35, 0.65)), (PLATE, (1.0, 0.25))):
        for number, value in zip(OF_LABEL, values, strict=True):
            house.do("number.set_value", entity_id=number.format(zone), value=value)
        wanted = tuple(map(str, values))
        wait_for(f"{zone}: each label's is {wanted}", lambda: limits_of(house, zone) == wanted)  # noqa: B023
    check("the other zone's are as they were", limits_of(house, TABLE) == ("0.35", "0.65"))
    device.show(*halves(hotdog_is_left=True))  # less sure than 1
    wait_for("the plate is no hot dog", lambda: labels(house) == ("nothing", "hotdog"))
    house.do("button.press", entity_id=CLASSIFY)
    wait_for("the table is as before", lambda: labels(house) == ("nothing", "nothotdog"))
    house.do("number.set_value", entity_id=OF_LABEL[0].format(PLATE), value=0.5)
    wait_for("with another threshold it is", lambda: labels(house) == ("hotdog", "nothotdog"))
