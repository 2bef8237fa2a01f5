"""Is Home Assistant told the truth? Called by test-ha.sh: home_assistant.py ROOT WORK

ROOT has Home Assistant in /opt/hass; WORK/config is its /config. A Mosquitto and edge-watch run
beside it; the camera is a folder of pictures, which goes and comes back as a camera does: the
service waits, exits and is started again as systemd does. One line a check, then the figures.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from brokers import Broker, publish
from live import HOTDOG, until

from edge.image.preprocess import encode_jpeg, read_image

PORT = 8123
CLIENT = f"http://127.0.0.1:{PORT}/"
STARTS_S = 300.0
MINUTES = float(os.environ.get("MINUTES", "10"))
EXPIRES_S = 60.0
MODEL = Path("models/hotdog-scratch.tflite")
LABEL, SCORE, RATE = (f"sensor.shed_{name}" for name in ("label", "score", "frames_per_second"))
PROBLEM, PICTURE = "binary_sensor.shed_problem", "image.shed_last_change"
SERVICE, CHANGE = "binary_sensor.shed_service", "event.shed_state_change"
PAUSE, SNAPSHOT, CLASSIFY, KEEP, THRESHOLD = (
    *("switch.shed_pause", "button.shed_take_a_snapshot", "button.shed_classify_now"),
    *("select.shed_save_the_next_frame_as", "number.shed_threshold"),
)
COMMANDS = ("--mqtt-commands", "pause,snapshot,classify,keep,threshold")
CONFIGURATION = """
logger:
  default: warning
api:
config:
counter:
  fired:
automation:
  - alias: A hot dog
    mode: queued
    max: 100
    triggers:
      - trigger: state
        entity_id: sensor.shed_label
        to: hotdog
    actions:
      - action: counter.increment
        target:
          entity_id: counter.fired
"""

failed: list[str] = []


def check(what: str, holds: object) -> None:
    """Print whether something holds."""
    print(f"{'ok  ' if holds else 'FAIL'}  {what}", flush=True)
    if not holds:
        failed.append(what)


def wait_for(what: str, holds: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """Print whether something comes to hold in time; return what it was."""
    try:
        found = until(holds, timeout_s)
    except AssertionError:
        found = None
    check(what, found)
    return found


class House:
    """Home Assistant, as its REST API has it."""

    def __init__(self, root: Path, work: Path) -> None:
        (work / "config" / "configuration.yaml").write_text(CONFIGURATION)
        command = ["chroot", root, "env", "-i", "PATH=/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8"]
        command += ["/opt/hass/bin/hass", "--skip-pip", "--config", "/config"]
        self._token = ""
        with (work / "hass.log").open("w") as log:
            self.process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
        until(self._answers, STARTS_S)
        self._sign_up()
        self.version = self.get("/api/config")["version"]

    def _answers(self) -> bool:
        with suppress(OSError):
            return self._ask("GET", "/api/onboarding")[0] == 200
        assert self.process.poll() is None, "Home Assistant has ended"
        return False

    def _ask(self, method: str, path: str, body: Any = None, form: bool = False) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        content = urlencode(body) if form else json.dumps(body) if body is not None else None
        connection.request(method, path, content, headers | {"Content-Type": kind})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        try:
            return answer.status, json.loads(text) if text else None
        except ValueError:
            return answer.status, text

    def _sign_up(self) -> None:
        """Be the first user, as somebody who has just installed it."""
        user = {"client_id": CLIENT, "name": "a", "username": "a", "password": "a-word-for-tests"}
        _, told = self._ask("POST", "/api/onboarding/users", user | {"language": "en"})
        asked = {"client_id": CLIENT, "grant_type": "authorization_code", "code": told["auth_code"]}
        self._signed(asked)

    def _signed(self, asked: dict[str, str]) -> None:
        self._token = ""
        _, told = self._ask("POST", "/auth/token", asked, form=True)
        self._token, self._refresh = told["access_token"], told.get("refresh_token", "")

    def get(self, path: str) -> Any:
        """Ask for a document; None where there is none. The token is good for half an hour."""
        status, told = self._ask("GET", path)
        assert status != 401, "the token has expired"
        return told if status == 200 else None

    def do(self, service: str, **data: Any) -> None:
        """Call a service, such as switch.turn_on."""
        status, told = self._ask("POST", f"/api/services/{service.replace('.', '/')}", data)
        assert status == 200, (service, status, told)

    def add_mqtt(self, port: int) -> None:
        """Add the integration, as its dialog does."""
        _, flow = self._ask("POST", "/api/config/config_entries/flow", {"handler": "mqtt"})
        path = f"/api/config/config_entries/flow/{flow['flow_id']}"
        status, told = self._ask("POST", path, {"broker": "127.0.0.1", "port": port})
        assert status == 200 and told["type"] == "create_entry", told

    def entity(self, name: str) -> dict[str, Any] | None:
        """An entity's state and attributes; None where there is none."""
        told: dict[str, Any] | None = self.get(f"/api/states/{name}")
        return told

    def state(self, name: str) -> str:
        """An entity's state; "" where there is no such entity."""
        return str((self.entity(name) or {"state": ""})["state"])

    def ours(self) -> list[str]:
        """The names of the entities that are not Home Assistant's own."""
        return sorted(
            entity["entity_id"]
            for entity in self.get("/api/states")
            if "shed" in entity["entity_id"]
        )

    @property
    def fired(self) -> int:
        """How often the automation has fired."""
        return int(self.state("counter.fired"))


class Device:
    """edge-watch, started again 10 s after it exits, as its unit says."""

    def __init__(self, work: Path, url: str) -> None:
        self._work, self._url = work, url
        self.photos = work / "photos"
        self.photos.mkdir()
        self.starts, self.options = 0, list[str]()
        self._process: subprocess.Popen[bytes] | None = None
        self._due_s = 0.0

    def show(self, picture: bytes) -> None:
        """Have the camera see something: the same in each frame."""
        new = self._work / "new.jpg"
        new.write_bytes(picture)
        new.rename(self.photos / "frame.jpg")

    def lose_camera(self) -> None:
        """Take the camera away."""
        self.photos.rename(self._work / "away")

    def find_camera(self) -> None:
        """Bring it back."""
        (self._work / "away").rename(self.photos)

    def start(self, *options: object) -> None:
        """Start it with options, which hold for later starts as well."""
        self.options = list(map(str, options))
        self._start()

    def _start(self) -> None:
        self.starts += 1
        words = [sys.executable, "-m", "edge", "watch", "--source", self.photos, "--repeat"]
        words += ["--fps", "5", "-m", MODEL, "--every", "0", "--mqtt", self._url]
        words += ["--mqtt-state-every-s", "2", *self.options]
        environment = os.environ | {"STATE_DIRECTORY": str(self._work / "state")}
        with (self._work / "watch.log").open("a") as log:
            self._process = subprocess.Popen(
                list(map(str, words)), stdout=log, stderr=log, env=environment
            )

    def look(self) -> None:
        """Do as systemd: start it again 10 s after it has exited."""
        if self._process and self._process.poll() is not None:
            self._process, self._due_s = None, time.monotonic() + 10
        if self._process is None and time.monotonic() >= self._due_s:
            self._start()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process
        self._process.send_signal(number)

    def end(self) -> None:
        """Tell it to end."""
        if self._process:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def forget(self) -> None:
        """Do as uninstall.sh."""
        words = [sys.executable, "-m", "edge", "watch", "--forget", "--mqtt", self._url]
        environment = os.environ | {"STATE_DIRECTORY": str(self._work / "state")}
        subprocess.run([*words, *self.options], check=True, env=environment, timeout=60)


def retained(broker: Broker) -> list[str]:
    """The topics of ours that the broker keeps."""
    words = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-t", "#"]
    words += ["--retained-only", "-W", "2", "-F", "%t"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    return sorted(topic for topic in done.stdout.split() if topic != "homeassistant/status")


def grass() -> bytes:
    """A picture that is no hot dog."""
    import numpy as np

    noise = np.random.default_rng(5).normal((70, 120, 50), 12, (480, 640, 3))
    return encode_jpeg(noise.clip(0, 255).astype(np.uint8))


def main() -> int:
    """Try all; return the exit status."""
    root, work = map(Path, sys.argv[1:])
    (work / "state").mkdir()
    hotdog = encode_jpeg(read_image(HOTDOG.read_bytes(), (480, 640)))
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
        device.start("--mqtt-device", "shed", "--mqtt-pictures", *COMMANDS)
        discovered(house)
        changes(house, device, hotdog)
        commands(house, work)
        seen, fired = lost(house, device)
        came_back(house, device)
        gone(house, device, broker)
        taken_back(house, device, broker)
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
    wait_for("commands have entities", lambda: all(map(house.entity, (PAUSE, KEEP, THRESHOLD))))
    print(f"      entities: {', '.join(house.ours())}", flush=True)


def changes(house: House, device: Device, hotdog: bytes) -> None:
    """A real change fires the automation: else the zero below would prove nothing."""
    check("no automation has fired yet", house.fired == 0)
    device.show(hotdog)
    wait_for("a hot dog fires the automation", lambda: house.fired == 1)
    wait_for("its picture is there", lambda: house.state(PICTURE) not in ("", "unknown"))
    event = house.entity(CHANGE) or {"attributes": {}}
    told = {name: event["attributes"].get(name) for name in ("event_type", "from", "to")}
    check(
        "and its event",
        told == {"event_type": "change", "from": "nothotdog", "to": "hotdog"}
        and event["attributes"].get("id"),
    )


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
    house.do("select.select_option", entity_id=KEEP, option="hotdog")
    wait_for("the select saves an example", lambda: list(state.glob("dataset/hotdog/*.jpg")))
    house.do("button.press", entity_id=CLASSIFY)
    wanted = ["pause", "pause", "threshold", "snapshot", "keep", "classify"]
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
    reason = (house.entity(PROBLEM) or {"attributes": {}})["attributes"].get("reason", "")
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
    publish(broker, "edge-classify/shed/state", '{"entity_state": "hotdog", "state_score": 0.9}')
    wait_for("said to be online: it has a value", lambda: house.state(LABEL) == "hotdog")
    wait_for(
        f"and none after {EXPIRES_S:.0f} s (expire_after)",
        lambda: house.state(LABEL) == "unavailable",
        EXPIRES_S + 30,
    )
    device.end()


def taken_back(house: House, device: Device, broker: Broker) -> None:
    """What is switched off leaves broker and house."""
    device.start("--mqtt-device", "shed")
    wait_for("without pictures: the image entity is gone", lambda: house.entity(PICTURE) is None)
    wait_for("without commands: the switch is gone", lambda: house.entity(PAUSE) is None)
    wait_for("and its message", lambda: "edge-classify/shed/snapshot" not in retained(broker))
    device.end()
    device.start("--mqtt-device", "barn")
    wait_for("renamed: the old entities are gone", lambda: not house.ours())
    wait_for("and all their messages", lambda: not any("shed" in t for t in retained(broker)))
    device.end()
    device.forget()
    left = retained(broker)
    check(f"uninstalled: messages that stay on the broker: {len(left)}", not left)


if __name__ == "__main__":
    sys.exit(main())
