"""Is Home Assistant told the truth? Called by test-ha.sh: home_assistant.py ROOT WORK

ROOT has Home Assistant in /opt/hass; WORK/config is its /config. A Mosquitto and edge-watch run
beside it; the camera is a folder of pictures, which goes and comes back as a camera does: the
service waits, exits and is started again as systemd does. One line a check, then the figures.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from brokers import Broker, publish
from house import House, check, failed, wait_for
from house_device import PAGE, SHED, Device, announced, content_of, heat, retained
from house_scenes import grass, hotdog
from house_zones import check_jpeg, zones

from edge import __version__

# Its own complaints of this machine, such as a missing libturbojpeg, are none of ours.
LOGGED = re.compile(r" (?:WARNING|ERROR) .*\[homeassistant\.(?:components\.mqtt|helpers\.template)")
MINUTES = float(os.environ.get("MINUTES", "10"))
EXPIRES_S = 60.0
LABEL, SCORE, RATE = (f"sensor.shed_{name}" for name in ("label", "score", "frames_per_second"))
PROBLEM, PICTURE = "binary_sensor.shed_problem", "image.shed_last_change"
SERVICE, CHANGE = "binary_sensor.shed_service", "event.shed_state_change"
TEMPERATURE = "sensor.shed_temperature"
PAUSE, SNAPSHOT, CLASSIFY, KEEP, THRESHOLD = COMMANDS = (
    *("switch.shed_pause", "button.shed_take_a_snapshot", "button.shed_classify_now"),
    *("select.shed_save_the_next_frame_as", "number.shed_threshold"),
)
NAMES = {LABEL, SCORE, RATE, PROBLEM, PICTURE, SERVICE, CHANGE, TEMPERATURE, *COMMANDS}
CATEGORIES = dict.fromkeys((RATE, TEMPERATURE, PROBLEM, SERVICE), "diagnostic") | {
    THRESHOLD: "config"
}


def main() -> int:
    """Try all; return the exit status."""
    root, work = map(Path, sys.argv[1:])
    (work / "state").mkdir()
    configuration = work / "one.toml"
    configuration.write_text(PAGE)
    heat(48.5)
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(work / "broker"))
        began = time.monotonic()
        house = House(root, work)
        stack.callback(house.process.kill)
        print(f"Home Assistant {house.version}, up in {time.monotonic() - began:.0f} s", flush=True)
        house.add_mqtt(broker.port)
        device = Device(work, broker.url)
        stack.callback(device.end)
        device.show(grass())
        device.start(*SHED, "--config", configuration)
        discovered(house)
        changes(house, device)
        commands(house, work)
        house.check_all_are(announced(broker), NAMES)
        seen, fired = lost(house, device)
        came_back(house, device)
        gone(house, device, broker)
        taken_back(house, device, broker)
        zones(house, device, broker, work)
        left = retained(broker)
        check(f"uninstalled: messages that stay at the broker: {len(left)}", not left)
        lines = (work / "hass.log").read_text().splitlines()
        faults = [line for line in lines if LOGGED.search(line)]
        check(f"Home Assistant has logged no fault {faults[:3] or ''}", not faults)
    print(f"\n| camera off for {MINUTES:g} min, {device.starts} starts | measured | wanted |")
    print(f"|---|---|---|\n| automations `to: hotdog` fired | {fired} | 0 |")
    print(f"| states of the label's sensor | {', '.join(sorted(seen))} | unavailable |")
    if failed:
        print(f"\n{len(failed)} failed", file=sys.stderr)
        print((work / "hass.log").read_text()[-3000:], file=sys.stderr)
    return 1 if failed or fired else 0


def discovered(house: House) -> None:
    """The entities are there, by discovery alone."""
    wait_for("the label appears by discovery", lambda: house.state(LABEL) == "nothotdog", 120)
    label = house.entity(LABEL) or {"attributes": {}}
    check(
        "it is an enum of the model's labels and nothing",
        sorted(label["attributes"].get("options", [])) == ["hotdog", "nothing", "nothotdog"],
    )
    check(
        "score and rate are numbers", all(float(house.state(name)) >= 0 for name in (SCORE, RATE))
    )
    wait_for("there is no problem", lambda: house.state(PROBLEM) == "off")
    check("the service is connected", house.state(SERVICE) == "on")
    wait_for("commands have entities", lambda: all(map(house.entity, COMMANDS)))
    wait_for("the temperature is there", lambda: house.state(TEMPERATURE) == "48.5")
    unit = house.attributes(TEMPERATURE).get("unit_of_measurement")
    check(f"in {unit}", unit == "°C")
    heat(51.25)
    wait_for("and changes", lambda: house.state(TEMPERATURE) in ("51.2", "51.25", "51.3"))
    wait_for("the rate is measured", lambda: 3 < float(house.state(RATE)) < 6)
    ours = house.ours()
    found = {name: each["entity_category"] for name, each in ours.items()}
    check(
        "what is for diagnosis is called so",
        {name: category for name, category in found.items() if category} == CATEGORIES,
    )
    card = house.cards()["shed"]
    known = {key: card[key] for key in ("configuration_url", "sw_version", "manufacturer", "model")}
    check(
        f"one device has them {known}",
        {each["device_id"] for each in ours.values()} == {card["id"]}
        and known["configuration_url"] == "http://127.0.0.1:8090/"
        and known["sw_version"] == __version__,
    )
    page = content_of(card["configuration_url"])
    check("its page is at that URL", b"<html" in page)
    print(f"      entities: {', '.join(sorted(ours))}", flush=True)


def changes(house: House, device: Device) -> None:
    """A real change fires the automation: else the zero below would prove nothing."""
    check("no automation has fired yet", house.fired == 0)
    device.show(hotdog())
    wait_for("a hot dog fires the automation", lambda: house.fired == 1)
    wait_for("its picture is there", lambda: house.state(PICTURE) not in ("", "unknown"))
    check_jpeg("which is a JPEG", house.get(f"/api/image_proxy/{PICTURE}"))
    event = house.attributes(CHANGE)
    known = {name: event.get(name) for name in ("event_type", "from", "to")}
    check(
        f"and its event {event.get('id')}",
        known == {"event_type": "change", "from": "nothotdog", "to": "hotdog"} and event.get("id"),
    )
    check_jpeg(f"whose picture is at {event.get('image')}", content_of(event.get("image", "")))


def commands(house: House, work: Path) -> None:
    """Each entity that people press drives the service."""
    house.do("switch.turn_on", entity_id=PAUSE)
    wait_for("the switch pauses it", lambda: house.state(PAUSE) == "on")
    time.sleep(15)  # longer than a result is fresh
    check("paused: the label stands", house.state(LABEL) == "hotdog")
    check("and it is no problem", house.state(PROBLEM) == "off")
    house.do("switch.turn_off", entity_id=PAUSE)
    wait_for("and resumes it", lambda: house.state(PAUSE) == "off")
    house.do("number.set_value", entity_id=THRESHOLD, value=0.42)
    wait_for("the number sets the threshold", lambda: house.state(THRESHOLD) == "0.42")
    state = work / "state"
    house.do("button.press", entity_id=SNAPSHOT)
    wait_for("the button saves a snapshot", lambda: list(state.glob("snapshots/*.jpg")))
    house.do("switch.turn_on", entity_id=PAUSE)  # so that the frame is not there at once
    house.do("select.select_option", entity_id=KEEP, option="hotdog")
    wait_for("the select shows the label that is waited for", lambda: house.state(KEEP) == "hotdog")
    house.do("switch.turn_off", entity_id=PAUSE)
    wait_for("and saves an example", lambda: list(state.glob("dataset/hotdog/*.jpg")))
    wait_for("one alone", lambda: house.state(KEEP) == "unknown")
    house.do("button.press", entity_id=CLASSIFY)
    wanted = ["pause", "pause", "threshold", "snapshot", "pause", "keep", "pause", "classify"]
    wait_for("each is in the record", lambda: recorded(work) == wanted)


def recorded(work: Path) -> list[str]:
    """The commands that the service has printed."""
    lines = (work / "watch.log").read_text().splitlines()
    records = [json.loads(line) for line in lines if line.startswith("{")]
    return [record["command"] for record in records if "command" in record]


def lost(house: House, device: Device) -> tuple[set[str], int]:
    """The camera is off: what the label's sensor shows meanwhile, and how often all fired."""
    before = house.fired
    device.lose_camera()
    wait_for(
        "the camera is off: the label is unavailable", lambda: house.state(LABEL) == "unavailable"
    )
    wait_for("a problem is shown", lambda: house.state(PROBLEM) == "on")
    reason = house.attributes(PROBLEM).get("reason", "")
    check(f"with the reason ({reason})", "photos" in reason)
    seen, problems, end = set[str](), 0, time.monotonic() + 60 * MINUTES
    looks = 0
    while time.monotonic() < end:
        device.look()
        seen.add(house.state(LABEL))
        problems += house.state(PROBLEM) == "on"
        looks += 1
        time.sleep(0.25)
    check("all the time", seen == {"unavailable"})
    fired = house.fired - before
    check("no automation has fired", fired == 0)
    print(
        f"      problem was on in {problems} of {looks} looks, {device.starts} starts", flush=True
    )
    return seen, fired


def came_back(house: House, device: Device) -> None:
    """The camera is back, and sees a hot dog."""
    device.find_camera()

    def live() -> bool:
        device.look()
        return house.state(LABEL) == "hotdog"

    wait_for("the camera is back: the label is too", live)
    wait_for("and no problem", lambda: house.state(PROBLEM) == "off")


def gone(house: House, device: Device, broker: Broker) -> None:
    """A service that is killed, and one that a broker takes for alive."""
    device.signal(signal.SIGKILL)
    wait_for("killed: the label is unavailable", lambda: house.state(LABEL) == "unavailable")
    check("the service is not connected", house.state(SERVICE) == "off")
    publish(broker, "edge-classify/shed/availability", "online")  # by a bridge that is behind
    publish(broker, "edge-classify/shed/health", '{"state": "live", "problem": false}')
    state = {"entity_state": "hotdog", "state_score": 0.9, "fps": 5.0, "temperature_c": 50.0}
    publish(broker, "edge-classify/shed/state", json.dumps(state))
    wait_for("said to be online: it has a value", lambda: house.state(LABEL) == "hotdog")
    wait_for(
        f"and none after {EXPIRES_S:.0f} s (expire_after)",
        lambda: house.state(LABEL) == "unavailable",
        EXPIRES_S + 30,
    )
    device.end()


def taken_back(house: House, device: Device, broker: Broker) -> None:
    """What is switched off leaves broker and house."""
    heat(None)
    device.start("--mqtt-device", "shed")
    wait_for("without pictures: the image entity is gone", lambda: house.entity(PICTURE) is None)
    wait_for("without commands: the switch is gone", lambda: house.entity(PAUSE) is None)
    wait_for("without a thermometer: so is it", lambda: house.entity(TEMPERATURE) is None)
    wait_for(
        "and the picture's message", lambda: "edge-classify/shed/snapshot" not in retained(broker)
    )
    device.end()
    device.start("--mqtt-device", "barn")
    wait_for(
        "renamed: the old entities are gone", lambda: not any("shed" in n for n in house.ours())
    )
    wait_for("and all their messages", lambda: not any("shed" in t for t in retained(broker)))
    device.end()
    device.forget()
    heat(48.5)


if __name__ == "__main__":
    sys.exit(main())
