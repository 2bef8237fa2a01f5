"""MQTT: a real edge-watch and a real Mosquitto, with passwords, TLS, restarts and a fleet."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from brokers import MOSQUITTO, Broker, Listener, publish, required
from conftest import ROOT, run
from live import HOTDOG, until
from model_copies import SMALL, with_thresholds
from sightings import sighting
from test_metrics import VITALS

from edge.commands import service as commands
from edge.errors import ConfigurationError
from edge.image.preprocess import encode_jpeg
from edge.service.control import Control
from edge.service.mqtt import messages
from edge.service.mqtt.client import Client
from edge.service.mqtt.discovery import Described, discovery
from edge.service.mqtt.messages import OFFLINE, entity_state
from edge.service.mqtt.retained import Retained
from edge.service.mqtt.settings import Broker as Address
from edge.service.mqtt.settings import MqttSettings, _machine
from edge.service.mqtt.sink import MAX_PICTURE_BYTES, small_jpeg

MISSING = not (MOSQUITTO and shutil.which("mosquitto_sub"))
pytestmark = pytest.mark.skipif(
    MISSING and not required("EDGE_MQTT_REQUIRED"),
    reason="no Mosquitto: sudo apt install mosquitto mosquitto-clients",
)
# Each frame is another state than the one before: an event for each.
JUMPY = ("--steady-frames", 1, "--steady-smoothing", 1, "--steady-hold-s", 0, "-t", 0)
MODEL = ROOT / "models" / "hotdog-scratch.tflite"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    (folder / "0.jpg").write_bytes(HOTDOG.read_bytes())
    (folder / "1.jpg").write_bytes(encode_jpeg(np.full((48, 64, 3), (70, 120, 50), np.uint8)))
    return folder


class Service:
    """A running edge-watch: its events as it prints them, and what it complains of."""

    def __init__(self, folder: Path, source: Path, url: str, *options: object, **env: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.out, self.err = folder / "stdout", folder / "stderr"
        words = [sys.executable, "-m", "edge", "watch", "--source", source, "--repeat"]
        words += ["-m", MODEL, "--every", 0, "--mqtt", url, *options]
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                list(map(str, words)), cwd=ROOT, stdout=out, stderr=err, env=os.environ | env
            )

    def frames(self) -> list[int]:
        """The frames of its events."""
        lines = self.out.read_text().splitlines()
        records = [json.loads(line) for line in lines if line.endswith("}")]
        return [record["frame"] for record in records if "frame" in record]

    def said(self, text: str) -> str:
        """Wait until it has said so, and return all that it has said."""
        until(lambda: text in self.err.read_text())
        return self.err.read_text()

    def end(self) -> list[int]:
        """Tell it to end, and return the frames of its events."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        return self.frames()


@contextmanager
def service(
    folder: Path, source: Path, url: str, *options: object, **env: str
) -> Iterator[Service]:
    running = Service(folder, source, url, *options, **env)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


# --- what is told


def test_states_events_and_availability(tmp_path: Path, source: Path) -> None:
    with Broker(tmp_path / "broker") as broker, Listener(broker, "#") as listener:
        options = (
            "--mqtt-device",
            "shed",
            "--fps",
            10,
            "--mqtt-state-every-s",
            0.2,
            "--mqtt-pictures",
        )
        with service(tmp_path / "s", source, broker.url, *JUMPY, *options) as running:
            until(lambda: len(listener.frames()) >= 10)
            frames = running.end()
        until(lambda: listener.messages("/availability")[-1][1] == "offline")
        assert listener.frames() == frames
        assert [text for _, text in listener.messages("/availability")] == ["online", "offline"]
        topic, event = listener.messages("/event")[1]
        assert topic == "edge-classify/shed/event"
        assert {event["from"], event["to"]} == {"hotdog", "nothotdog"} and event["device"] == "shed"
        assert (event["zone"], event["schema"]) == ("", 1)
        identities = [told["id"] for _, told in listener.messages("/event")]
        assert len(set(identities)) == len(identities)
        _, state = listener.messages("/state")[-1]
        assert state["label"] == state["state"] and 0 < state["fps"] < 12
        assert (state["events_lost"], state["model_problem"]) == (0, "")
        assert state["model"] == MODEL.name
        assert listener.messages("/snapshot")
        with Listener(broker, "edge-classify/+/snapshot", "-C", "1", "-N", "-F", "%x") as late:
            late.process.wait(20)
            assert late.file.read_text().startswith("ffd8")  # retained: a JPEG


def test_what_home_assistant_is_told(tmp_path: Path, source: Path) -> None:
    with Broker(tmp_path / "broker") as broker, Listener(broker, "homeassistant/#") as listener:
        options = ("--mqtt-device", "shed", "--fps", 5, "--mqtt-pictures")
        with service(tmp_path / "s", source, broker.url, *options):
            ((topic, told),) = until(lambda: listener.messages("/config"))
            assert topic == "homeassistant/device/shed/config"
            assert told["device"]["identifiers"] == ["edge_classify_shed"]
            assert set(told) == {"device", "origin", "components"}
            parts = {
                key: each for key, each in told["components"].items() if set(each) != {"platform"}
            }
            off = set(told["components"]) - set(parts)
            assert off >= {"pause_command", "keep_command", "threshold_command"}
            label, problem = parts["label"], parts["problem"]
            assert label["state_topic"] == "edge-classify/shed/state"
            assert label["value_template"] == "{{ value_json.entity_state }}"
            assert [each["topic"].rpartition("/")[2] for each in label["availability"]] == [
                *("availability", "health")
            ]
            assert label["options"] == ["hotdog", "nothotdog", "nothing"]
            assert parts["score"]["value_template"] == "{{ value_json.state_score }}"
            assert label["expire_after"] >= 30 and parts["score"]["state_class"] == "measurement"
            assert parts["event"]["event_types"] == ["change"]
            # It keeps its state while a service without a camera exits and is started again.
            assert "availability" not in problem
            assert problem["json_attributes_topic"] == "edge-classify/shed/health"
            assert parts["snapshot"]["image_topic"] == "edge-classify/shed/snapshot"
            assert len({each["unique_id"] for each in parts.values()}) == len(parts)
            for each in parts.values():
                assert set(each) <= HOME_ASSISTANT_KEYS
            before = len(listener.messages("/config"))
            publish(broker, "homeassistant/status", "online")
            until(lambda: len(listener.messages("/config")) == 2 * before)
            publish(broker, "homeassistant/status", "offline")


def test_a_label_with_a_threshold_of_its_own_has_a_number(tmp_path: Path) -> None:
    """In quotes that Home Assistant's templates read back, whatever the label."""
    jinja2 = pytest.importorskip("jinja2", reason="pip install jinja2")
    odd = 'Tom\'s "best" \\ {{ Grüße }} = %}'
    limits = {"hotdog": 0.5, odd: 0.25}
    described = Described("shed", "nothing", 30.0, False, False, ("threshold",))
    zones = [replace(VITALS, labels=tuple(limits), thresholds=limits)]
    (told,) = discovery(messages.Topics("base", "shed"), zones, described).values()
    parts = json.loads(told)["components"]
    numbers = {key: each for key, each in parts.items() if key.startswith("threshold_")}
    assert [len(each) > 1 for each in numbers.values()] == [True] * 3 + [False] * 14
    control = Control(labels={"": lambda: tuple(limits)})
    document = json.loads(messages.controls(control, "shed", zones[0]))
    for number, (label, limit) in enumerate(limits.items()):
        of = numbers[f"threshold_{number}_command"]
        assert (of["name"], of["command_topic"]) == (
            f"Threshold of {label}",
            "base/shed/command/threshold",
        )
        shown = jinja2.Template(of["value_template"]).render(value_json=document)
        assert float(shown) == limit
        control.do("threshold", jinja2.Template(of["command_template"]).render(value=0.75), "mqtt")
        assert control.thresholds[""][label] == 0.75
    many = {f"label {number}": 0.5 for number in range(17)}  # too many for numbers
    for accepted, given in ((("threshold",), many), ((), limits)):
        vitals = [replace(VITALS, labels=tuple(given), thresholds=given)]
        off = replace(described, commands=accepted)
        (told,) = discovery(messages.Topics("base", "shed"), vitals, off).values()
        parts = json.loads(told)["components"]
        assert parts["threshold_0_command"] == {"platform": "number"}  # which removes it


def test_a_new_model_is_introduced_with_its_labels(tmp_path: Path, source: Path) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(SMALL.read_bytes())
    with Broker(tmp_path / "broker") as broker, Listener(broker, "homeassistant/#") as listener:
        options = ("--mqtt-device", "shed", "--fps", 5, "-m", model, "--mqtt-commands", "threshold")

        def newest() -> dict[str, dict[str, object]]:
            return listener.messages("/config")[-1][1]["components"]

        with service(tmp_path / "s", source, broker.url, *options):
            until(lambda: listener.messages("/config"))
            assert newest()["label"]["options"] == ["hotdog", "nothotdog", "nothing"]
            assert set(newest()["threshold_0_command"]) == {"platform"}
            model.with_suffix(".new").write_bytes(with_thresholds(hotdog=0.6))
            model.with_suffix(".new").rename(model)
            until(lambda: newest()["threshold_0_command"].get("name") == "Threshold of hotdog")


# Of https://www.home-assistant.io/integrations/: sensor.mqtt, binary_sensor.mqtt, event.mqtt and
# image.mqtt; make test-ha holds them to Home Assistant itself
HOME_ASSISTANT_KEYS = {
    *("availability", "availability_mode", "content_type", "device_class", "entity_category"),
    *("expire_after", "icon", "image_topic", "json_attributes_topic", "name", "options"),
    *("event_types", "payload_off", "payload_on"),
    *("platform", "state_class", "state_topic", "suggested_display_precision", "unique_id"),
    *("unit_of_measurement", "value_template"),
}


# --- whether it can be relied on


def health_states(listener: Listener) -> list[str]:
    return [told["state"] for _, told in listener.messages("/health")]


def test_a_zone_is_available_from_its_first_frame_until_none_is_fresh(
    tmp_path: Path, source: Path
) -> None:
    camera = tmp_path / "camera"
    with Broker(tmp_path / "broker") as broker, Listener(broker, "#") as listener:
        options = ("--give-up-s", 300, "--fps", 5, "--mqtt-device", "shed")
        with service(tmp_path / "s", camera, broker.url, *options):
            until(lambda: listener.messages("/availability"))
            kinds = [topic.rpartition("/")[2] for topic, _ in listener.messages()]
            assert kinds.index("health") < kinds.index("availability")
            until(lambda: listener.messages("/health")[-1][1]["problem"])  # after 10 s
            _, lost = listener.messages("/health")[-1]
            assert lost["state"] == "lost" and "no such file or folder" in lost["reason"]
            assert not listener.messages("/state")
            shutil.copytree(source, camera)
            until(lambda: health_states(listener)[-1] == "live")
            until(lambda: listener.messages("/state"))
            shutil.rmtree(camera)
            until(lambda: health_states(listener)[-1] == "lost")
            assert [text for _, text in listener.messages("/availability")] == ["online"]


def test_a_hung_loop_is_lost_while_its_connection_lives(tmp_path: Path, source: Path) -> None:
    """A reader of stdout that takes nothing stops the loop, not the client's threads."""
    folder = tmp_path / "s"
    folder.mkdir()
    os.mkfifo(folder / "stdout")
    reading = os.open(folder / "stdout", os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, 4096)
    options = ("--every", 1, "--fps", 20, "--mqtt-device", "shed")
    with (
        Broker(tmp_path / "broker") as broker,
        Listener(broker, "#") as listener,
        service(folder, source, broker.url, *options),
    ):
        until(lambda: health_states(listener)[-1] == "live")
        until(lambda: health_states(listener)[-1] == "lost")
        _, lost = listener.messages("/health")[-1]
        assert lost["problem"] and lost["reason"].startswith("no result for 1")
        os.set_blocking(reading, True)
        threading.Thread(target=take_all, args=[reading], daemon=True).start()
        until(lambda: health_states(listener)[-1] == "live")
        assert [text for _, text in listener.messages("/availability")] == ["online"]


def take_all(reading: int) -> None:
    while os.read(reading, 4096):
        pass
    os.close(reading)


def test_what_is_switched_off_is_taken_back(tmp_path: Path, source: Path) -> None:
    state = str(tmp_path)
    options = ("--fps", 5, *JUMPY)

    def kept(broker: Broker) -> set[str]:
        with Listener(broker, "#", "--retained-only", "-W", "2") as late:
            late.process.wait(30)
            return {topic.partition("/")[2] for topic, text in late.messages() if text}

    with Broker(tmp_path / "broker") as broker, Listener(broker, "#") as listener:
        earlier = Retained(tmp_path / commands.RETAINED, broker.url.replace("//", "//pi@") + "/x")
        earlier.add("x/old/snapshot")  # of another user and base, at the same broker
        publish(broker, "x/old/snapshot", "-", "--retain")
        first = ("--mqtt-device", "old", "--mqtt-pictures")
        with service(tmp_path / "1", source, broker.url, *options, *first, STATE_DIRECTORY=state):
            until(lambda: listener.messages("/snapshot") and listener.messages("/state"))
            until(lambda: len(listener.messages("/event")) > 2)
        assert {"old/snapshot", "old/state", "device/old/config"} <= kept(broker)
        second = ("--mqtt-device", "new", "--mqtt-discovery", "")
        with service(tmp_path / "2", source, broker.url, *options, *second, STATE_DIRECTORY=state):
            until(lambda: listener.messages("new/state"))
        assert kept(broker) == {"new/availability", "new/health", "new/state"}
        done = forgetting(tmp_path, "--mqtt", broker.url)
        assert (done.returncode, kept(broker)) == (0, set()), done.stderr
        assert "3 retained messages were removed" in done.stderr


def forgetting(state: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run edge-watch --forget."""
    words = [sys.executable, "-m", "edge", "watch", "--forget", *options]
    env = os.environ | {"STATE_DIRECTORY": str(state)}
    return subprocess.run(words, env=env, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("url", ["", "mqtt://127.0.0.2:9"], ids=["off", "another"])
def test_a_broker_that_is_left_is_named_and_forgets_by_command(
    tmp_path: Path, source: Path, url: str
) -> None:
    note = tmp_path / commands.RETAINED
    with Broker(tmp_path / "broker") as broker, Listener(broker, "#") as listener:
        Retained(note, broker.url).add("a/b")
        publish(broker, "a/b", "-", "--retain")
        remedy = f"remove them: edge-watch --forget --mqtt {broker.url}\n"
        line = f"mqtt {broker.url}: keeps 1 retained messages of this device; {remedy}"
        with service(tmp_path / "s", source, url, STATE_DIRECTORY=str(tmp_path)) as running:
            running.said(line)
        if url:
            done = forgetting(tmp_path, "--mqtt", url)
            assert done.returncode == 1 and done.stderr.endswith(line)
        done = forgetting(tmp_path)
        assert (done.returncode, json.loads(note.read_text())) == (0, {}), done.stderr
        assert done.stderr == "edge-watch: 1 retained messages were removed from 127.0.0.1\n"
        until(lambda: listener.messages("a/b")[-1] == ("a/b", ""))


def test_forgetting_without_a_broker_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mqtt-retained.json").write_text('{"mqtt://127.0.0.1:9": ["a/b"]}')
    done = forgetting(tmp_path, "--mqtt", "mqtt://127.0.0.1:9")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "1 retained messages (a/b) cannot be removed" in done.stderr


def test_two_services_of_one_name(tmp_path: Path, source: Path) -> None:
    options = ("--fps", 5, "--mqtt-device", "same")
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    with (
        closing(Status(tmp_path / "notify")) as status,
        Broker(tmp_path / "broker") as broker,
        Listener(broker, "#") as listener,
    ):
        with service(tmp_path / "1", source, broker.url, *options, **env) as stays:
            until(lambda: listener.messages("/state"))
            with service(tmp_path / "2", source, broker.url, *options) as goes:
                stays.said("another service uses this device's name; set another one (mqtt.device)")
                until(lambda: "another service has the name same" in status.newest())
                goes.end()
            until(lambda: "offline" in [text for _, text in listener.messages("/availability")])
            until(lambda: listener.messages("/availability")[-1][1] == "online")
            until(lambda: "another service" not in status.newest())
        assert stays.err.read_text().count("another service") == 1


class Status:
    """What a service reports to systemd."""

    def __init__(self, path: Path) -> None:
        self._socket, self._newest = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), ""
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def newest(self) -> str:
        with suppress(BlockingIOError):
            while text := self._socket.recv(4096).decode():
                self._newest = text
        return self._newest

    def close(self) -> None:
        self._socket.close()


def test_a_broker_that_refuses_large_messages(tmp_path: Path, source: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    folder = tmp_path / "noise"
    shutil.copytree(source, folder)
    (folder / "0.jpg").write_bytes(HOTDOG.read_bytes())
    (folder / "1.jpg").write_bytes(encode_jpeg(noise))
    with Broker(tmp_path / "broker", "max_packet_size 20000") as broker:
        options = (*JUMPY, "--fps", 4, "--mqtt-pictures")
        with service(tmp_path / "s", folder, broker.url, *options) as running:
            said = running.said("which may be over the broker's limit; no images for 10 minutes")
            running.said("works again")
            time.sleep(3)
            assert running.err.read_text().count("the connection was lost") == 1
        assert "(lower mqtt.pictures_max_px)" in said


@pytest.mark.parametrize("max_px", [640, 2000])
@pytest.mark.parametrize("size", [(480, 640), (800, 800), (3000, 4000), (50, 4000)])
def test_pictures_fit_every_broker(size: tuple[int, int], max_px: int) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8)
    assert len(small_jpeg(noise, max_px)) <= MAX_PICTURE_BYTES


@pytest.mark.parametrize(
    "state, entity",
    [
        *(("unknown", "nothing"), ("Unavailable", "Unavailable (label)"), ("none", "none (label)")),
        *(("cup", "cup"), (" none", " none (label)")),
        ("x" * 300, "x" * 255),
    ],
)
def test_states_as_home_assistant_can_have_them(state: str, entity: str) -> None:
    assert entity_state(state, "nothing") == entity


def test_the_score_beside_the_state_is_that_of_the_state(tmp_path: Path) -> None:
    seen = sighting(state="plate", score=0.6)
    steady = replace(seen, state="cup", state_score=0.7)
    told = json.loads(messages.state(steady, "shed", 0, VITALS, "nothing"))
    assert (told["entity_state"], told["state_score"]) == ("cup", 0.7)
    assert (told["label"], told["score"]) == ("plate", 0.6)


def test_the_name_of_the_device_outlives_the_host_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "id").write_text("0123456789abcdef0123456789abcdef\n")
    name = _machine(tmp_path / "id")
    assert len(name) == 8 and name == _machine(tmp_path / "id")
    assert _machine(tmp_path / "none") != name
    monkeypatch.setenv("EDGE_INSTANCE", "door")  # a second service on this machine
    assert _machine(tmp_path / "id") != name


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: a host name of its own is a namespace")
def test_another_host_name_is_the_same_device() -> None:
    words = [sys.executable, "-c", "from edge.service.mqtt.settings import *; "]
    words[-1] += "print(socket.gethostname(), MqttSettings().device_id)"
    script = 'hostname "$0" && exec "$@"'
    told = [
        subprocess.run(
            ["unshare", "--uts", "sh", "-c", script, name, *words],
            cwd=ROOT, check=True, capture_output=True, text=True,
        ).stdout.split()
        for name in ("shed", "barn")
    ]  # fmt: skip
    assert [name for name, _ in told] == ["shed", "barn"]
    if Path("/etc/machine-id").exists():
        assert told[0][1] == told[1][1]


@pytest.mark.parametrize("word", ["", "unknown", "None", "UNAVAILABLE", " unknown", "a\nb", " "])
def test_words_that_home_assistant_reserves(word: str) -> None:
    with pytest.raises(ConfigurationError, match=r"mqtt\.unknown"):
        MqttSettings(unknown=word)


def test_a_prefix_may_end_with_a_slash() -> None:
    assert MqttSettings(discovery="homeassistant/").prefix == "homeassistant"


def test_without_discovery_home_assistant_is_told_nothing(tmp_path: Path, source: Path) -> None:
    with Broker(tmp_path / "broker") as broker, Listener(broker, "#") as listener:
        with service(tmp_path / "s", source, broker.url, "--mqtt-discovery", ""):
            until(lambda: listener.messages("/state"))
        assert not listener.messages("/config") and not listener.messages("/snapshot")


def test_the_will_is_told_when_the_service_dies(tmp_path: Path, source: Path) -> None:
    with (
        Broker(tmp_path / "broker") as broker,
        Listener(broker, "#") as listener,
        service(tmp_path / "s", source, broker.url, "--fps", 5) as running,
    ):
        until(lambda: listener.messages("/availability"))
        running.process.kill()
        until(lambda: listener.messages("/availability")[-1][1] == "offline")


# --- a broker that comes and goes


def test_a_broker_that_comes_later(tmp_path: Path, source: Path) -> None:
    broker = Broker(tmp_path / "broker")
    with service(tmp_path / "s", source, broker.url, *JUMPY, "--fps", 10) as running:
        said = running.said("connection refused; retrying; events are queued")
        until(lambda: len(running.frames()) >= 10)
        with broker, Listener(broker, "#") as listener:
            running.said("works again (0 events lost)")
            until(lambda: len(listener.frames()) >= 12)
            frames = running.end()
            until(lambda: listener.messages("/availability")[-1][1] == "offline")
            assert sorted(listener.frames()) == frames[-len(listener.frames()) :]
    assert said.count("\n") == 1


@pytest.mark.parametrize("kill", [False, True], ids=["restarted", "killed"])
def test_a_broker_that_is_started_again_under_load(
    tmp_path: Path, source: Path, kill: bool
) -> None:
    broker = Broker(tmp_path / "broker", "autosave_on_changes true" if kill else "")
    with ExitStack() as stack:
        stack.enter_context(broker)
        listener = stack.enter_context(Listener(broker, "edge-classify/+/event"))
        running = stack.enter_context(
            service(tmp_path / "s", source, broker.url, *JUMPY, "--fps", 20)
        )
        until(lambda: len(listener.frames()) >= 20)
        broker.end(kill=kill)
        running.said("retrying; events are queued")
        until(lambda: len(running.frames()) >= 60)
        broker.start()
        running.said("works again (0 events lost)")
        until(lambda: len(set(listener.frames())) >= 80)
        frames = running.end()
        if kill:  # what it had acknowledged and not passed on died with it
            until(lambda: frames[-1] in listener.frames())
            missing = set(frames) - set(listener.frames())
            assert len(missing) <= 20 and max(missing, default=0) < frames[60]
        else:
            until(lambda: set(listener.frames()) == set(frames))


def test_the_queue_is_bounded_and_what_is_lost_is_counted(tmp_path: Path, source: Path) -> None:
    broker = Broker(tmp_path / "broker")
    options = (*JUMPY, "--fps", 20, "--mqtt-queue", 5, "--mqtt-state-every-s", 0.1)
    with service(tmp_path / "s", source, broker.url, *options) as running:
        until(lambda: len(running.frames()) >= 40)
        with broker, Listener(broker, "#") as listener:  # there before the service is back
            running.said("works again (")
            until(lambda: len(listener.frames()) >= 15)
            frames = running.end()
            until(lambda: listener.messages("/availability")[-1][1] == "offline")
            _, state = listener.messages("/state")[-1]
            heard = sorted(set(listener.frames()))
            assert state["events_lost"] == len(frames) - len(heard) > 20
            assert heard == frames[-len(heard) :]


def test_twenty_services_at_once(tmp_path: Path, source: Path) -> None:
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(tmp_path / "broker"))
        listener = stack.enter_context(Listener(broker, "edge-classify/+/event"))
        fleet = {
            name: stack.enter_context(
                service(
                    *(tmp_path / name, source, broker.url, *JUMPY, "--fps", 2, "--threads", 1),
                    *("--mqtt-device", name),
                )
            )
            for name in (f"pi-{number}" for number in range(20))
        }
        for running in fleet.values():
            until(lambda running=running: len(running.frames()) >= 10, 240)
        for running in fleet.values():
            running.process.send_signal(signal.SIGTERM)
        expected = {name: running.end() for name, running in fleet.items()}
        until(lambda: len(listener.messages()) >= sum(map(len, expected.values())))
        heard: dict[str, list[int]] = {}
        for topic, told in listener.messages():
            heard.setdefault(topic.split("/")[1], []).append(told["frame"])
        assert heard == expected


# --- who may


def asking_broker(folder: Path, secret: str) -> Broker:
    """A broker that only the user pi may use."""
    folder.mkdir()
    passwords = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "pi", secret], check=True)
    passwords.chmod(0o600)
    return Broker(folder, "allow_anonymous false", f"password_file {passwords}")


def test_forgetting_logs_in_as_the_installed_service_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "s3cret-and-long"
    monkeypatch.setattr(commands, "INSTALLED", dict.fromkeys(commands.INSTALLED, str(tmp_path)))
    (tmp_path / "mqtt-password").write_text(f"{secret}\n")
    with asking_broker(tmp_path / "broker", secret) as broker:
        url = f"mqtt://pi@127.0.0.1:{broker.port}"
        Retained(tmp_path / commands.RETAINED, url).add("edge-classify/shed/state")
        login = ["-h", "127.0.0.1", "-p", str(broker.port), "-u", "pi", "-P", secret]
        words = ["mosquitto_pub", *login, "-t", "edge-classify/shed/state", "-r", "-m", "hotdog"]
        subprocess.run(words, check=True)
        assert commands.forget(MqttSettings(url=url), {}) == 1
        listen = ["mosquitto_sub", *login, "-t", "#", "--retained-only", "-W", "1"]
        assert subprocess.run(listen, capture_output=True).stdout == b""


def test_passwords(tmp_path: Path, source: Path) -> None:
    secret = "s3cret-and-long"
    (tmp_path / "password").write_text(f"{secret}\n")
    with (
        asking_broker(tmp_path / "broker", secret) as broker,
        Listener(broker, "#", "-u", "pi", "-P", secret) as listener,
    ):
        url = f"mqtt://pi@127.0.0.1:{broker.port}"
        options = ("--mqtt-password-file", tmp_path / "password")
        with service(tmp_path / "good", source, url, *options) as running:
            until(lambda: listener.messages("/state"))
            assert running.err.read_text() == ""
        with service(
            tmp_path / "env", source, url, "--mqtt-device", "two", EDGE_MQTT_PASSWORD=secret
        ):
            until(lambda: listener.messages("two/state"))
        with service(tmp_path / "wrong", source, url, EDGE_MQTT_PASSWORD="wrong-one") as running:
            said = running.said("not authorized; retrying; events are queued")
            time.sleep(5)  # several attempts
            assert running.err.read_text() == said and said.count("\n") == 1
            assert "wrong-one" not in said
    printed = run("-m", "edge", "watch", "--mqtt", url, *map(str, options), "--print-config")
    assert printed.returncode == 0 and secret not in printed.stdout


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, what it has signed for 127.0.0.1, the same but expired; another authority."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    (folder / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("ca", "other"):
        words = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", *words)
    openssl(
        "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "csr", "-subj", "/CN=x"
    )
    for name, days in (("good", "30"), ("expired", "-1")):
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-extfile", "san", "-CAcreateserial")
        openssl("x509", "-req", "-in", "csr", *signed, "-days", days, "-out", f"{name}.pem")
    return folder


@pytest.mark.parametrize(
    "certificate, authority, host, said",
    [
        ("good", "ca", "127.0.0.1", ""),
        ("good", "other", "127.0.0.1", "its certificate is rejected (unable to get local issuer"),
        ("good", "", "127.0.0.1", "its certificate is rejected (unable to get local issuer"),
        ("good", "ca", "localhost", "its certificate is rejected (Hostname mismatch"),
        ("expired", "ca", "127.0.0.1", "its certificate is rejected (certificate has expired)"),
    ],
)
def test_tls(
    tmp_path: Path,
    source: Path,
    certificates: Path,
    certificate: str,
    authority: str,
    host: str,
    said: str,
) -> None:
    settings = (f"certfile {certificates / certificate}.pem", f"keyfile {certificates / 'key'}")
    with Broker(tmp_path / "broker", *settings) as broker:
        url = f"mqtts://{host}:{broker.port}"
        options = ("--mqtt-ca-file", certificates / f"{authority}.pem") if authority else ()
        with service(tmp_path / "s", source, url, *options) as running:
            if said:
                assert said in running.said("retrying").replace("\n", " ")
            else:
                log = tmp_path / "broker" / "log"
                until(lambda: "New client connected" in log.read_text())
                assert running.err.read_text() == ""


def test_a_broker_without_tls_where_it_is_wanted(tmp_path: Path, source: Path) -> None:
    with (
        Broker(tmp_path / "broker") as broker,
        service(tmp_path / "s", source, broker.url.replace("mqtt:", "mqtts:")) as running,
    ):
        assert running.said("retrying").count("\n") == 1
        assert running.process.poll() is None


def test_a_host_that_is_none(tmp_path: Path, source: Path) -> None:
    with service(tmp_path / "s", source, "mqtt://nowhere.invalid", "--fps", 5) as running:
        said = running.said("retrying")
        assert said.startswith("edge-watch: mqtt nowhere.invalid:1883: ") and said.count("\n") == 1


# --- settings


@pytest.mark.parametrize(
    "url, address",
    [
        ("mqtt://broker", Address("broker", 1883, False, "", "edge-classify")),
        ("mqtts://pi@broker.local", Address("broker.local", 8883, True, "pi", "edge-classify")),
        (
            "mqtt://a%40b@10.0.0.1:99/house/cats/",
            Address("10.0.0.1", 99, False, "a@b", "house/cats"),
        ),
        ("mqtt://[::1]:1884", Address("::1", 1884, False, "", "edge-classify")),
    ],
)
def test_urls(url: str, address: Address) -> None:
    assert MqttSettings(url=url).broker == address


@pytest.mark.parametrize(
    "url",
    [
        *("broker", "http://broker", "mqtt://", "mqtt://broker:x", "mqtt://broker:0"),
        *("mqtt://broker/a/#", "mqtt://broker/+/a", "mqtt://broker/?a=b", "mqtt://broker/$SYS"),
    ],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"mqtt\.url"):
        MqttSettings(url=url)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="must not hold the password") as raised:
        MqttSettings(url="mqtt://pi:s3cret@broker")
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("device", ["a/b", "#", "+", "ä", "x" * 65, "a b"])
def test_devices_that_are_none(device: str) -> None:
    with pytest.raises(ConfigurationError, match=r"mqtt\.device"):
        MqttSettings(device=device)


def test_a_password_file_that_cannot_be_read(tmp_path: Path) -> None:
    settings = MqttSettings(password_file=str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match=r"cannot be read .*write the secret into it"):
        settings.password({})


def test_certificates_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("nothing")
    done = run(
        *("-m", "edge", "watch", "--source", str(HOTDOG), "--mqtt", "mqtts://broker.invalid"),
        *("--mqtt-ca-file", str(tmp_path / "ca")),
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"edge-watch: mqtt.ca_file {tmp_path / 'ca'}: ")


def client(broker: Broker) -> Client:
    """A client that contradicts whoever says that it is offline, as the service does."""
    made = Client(
        Address("127.0.0.1", broker.port, "", False, "t"),
        "",
        ca_file="",
        availability="t/availability",
        queue=10,
        retained=Retained(None, broker.url),
        report=lambda line: None,
    )
    made.heard = lambda topic, payload: made.soon(made.say_online) if payload == OFFLINE else None
    made.start(("t/availability",))
    return made


def test_a_service_that_ends_never_contradicts_its_own_good_bye(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker, Listener(broker, "t/availability") as listener:
        for _ in range(20):  # the broker sends the good-bye back while the connection closes
            ending = client(broker)
            until(lambda: listener.messages() and listener.messages()[-1][1] == "online")
            ending.close()
            until(lambda: listener.messages()[-1][1] == "offline")
        time.sleep(0.2)
        assert [text for _, text in listener.messages()] == ["online", "offline"] * 20


def test_a_good_bye_that_the_broker_does_not_acknowledge_leaves_the_will(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker, Listener(broker, "t/availability") as listener:
        ending = client(broker)
        until(listener.messages)
        assert broker.process
        broker.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        ending.close()
        assert time.monotonic() - began < 5
        broker.process.send_signal(signal.SIGCONT)
        until(lambda: listener.messages()[-1][1] == "offline")


# --- commands


def test_commands_are_followed_and_recorded(tmp_path: Path, source: Path) -> None:
    with Broker(tmp_path / "broker") as broker, Listener(broker, "edge-classify/#") as listener:
        named = ("pause", "threshold", "keep", "snapshot", "classify")
        options = ("--mqtt-device", "shed", "--mqtt-commands", ",".join(named), "--fps", 5)
        options += ("--web-dataset", tmp_path / "kept", "-t", 0.1)
        state = str(tmp_path / "state")
        (tmp_path / "state").mkdir()

        def controls() -> dict[str, object]:
            heard = listener.messages("/controls")
            return heard[-1][1] if heard else {}

        def command(name: str, text: str) -> None:
            publish(broker, f"edge-classify/shed/command/{name}", text)

        def zone() -> object:
            heard = listener.messages("/health")
            return heard[-1][1]["state"] if heard else ""

        with service(tmp_path / "s", source, broker.url, *options, STATE_DIRECTORY=state) as one:
            until(lambda: zone() == "live" and controls())
            assert controls() == {
                **{"schema": 1, "device": "shed", "zone": "", "paused": False},
                **{"threshold": 0.1, "thresholds": {}, "keep": None, "ignored": 0},
            }
            command("pause", "ON")
            until(lambda: controls()["paused"] and zone() == "paused")
            health = listener.messages("/health")[-1][1]
            assert (health["problem"], health["reason"]) == (False, "")
            command("pause", "OFF")
            until(lambda: not controls()["paused"] and zone() == "live")
            command("threshold", "0.9")
            until(lambda: controls()["threshold"] == 0.9)
            command("keep", "hotdog")
            until(lambda: len(list((tmp_path / "kept" / "hotdog").glob("*.jpg"))) == 1)
            command("snapshot", "PRESS")
            until(lambda: len(list((tmp_path / "state" / "snapshots").glob("*.jpg"))) == 1)
            for name, text in (("pause", "perhaps"), ("reboot", "now"), ("keep", "cat")):
                command(name, text)
            command("pause", "ON")
            until(lambda: controls()["paused"])
            assert controls()["ignored"] == 3
            until(lambda: one.out.read_text().count('"command": "pause"') == 3)
            one.end()
            lines = [json.loads(line) for line in one.out.read_text().splitlines()]
        told = [(line["command"], line["value"]) for line in lines if "command" in line]
        assert told == [
            *(("pause", True), ("pause", False), ("threshold", 0.9), ("keep", "hotdog")),
            *(("snapshot", None), ("pause", True)),
        ]
        with service(tmp_path / "t", source, broker.url, *options, STATE_DIRECTORY=state):
            until(lambda: len(listener.messages("/availability")) >= 3)
            until(lambda: zone() == "paused")  # for privacy: it was, when it ended
            command("pause", "OFF")
            until(lambda: zone() == "live")


def test_commands_are_off_unless_they_are_named(tmp_path: Path, source: Path) -> None:
    with Broker(tmp_path / "broker") as broker, Listener(broker, "#") as listener:
        options = ("--mqtt-device", "shed", "--fps", 5, "--mqtt-commands", "classify")
        with service(tmp_path / "s", source, broker.url, *options):
            ((_, told),) = until(lambda: listener.messages("/config"))
            parts = told["components"]
            topic = parts["classify_command"]["command_topic"]
            assert topic == "edge-classify/shed/command/classify"
            assert parts["pause_command"] == {"platform": "switch"}  # which removes it
            assert parts["snapshot"] == {"platform": "image"}
            publish(broker, "edge-classify/shed/command/pause", "ON")
            publish(broker, "edge-classify/shed/command/classify", "now")
            until(lambda: listener.messages("/controls")[-1][1]["ignored"] == 1)
            assert listener.messages("/controls")[-1][1]["paused"] is False


@pytest.mark.parametrize("words", ["reboot", "pause,reboot"])
def test_a_command_that_is_none_is_one_line(words: str) -> None:
    done = run(
        *("-m", "edge", "watch", "--mqtt", "mqtt://127.0.0.1", "--mqtt-commands", words, "--check")
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "edge-watch: mqtt.commands: must be one or more of pause, snapshot,"
    )


ZONES = """
[[zone]]
name = "all"
[[zone]]
name = "corner"
roi = [0.0, 0.0, 0.25, 0.25]
"""


def test_each_zone_has_topics_commands_and_a_device_of_its_own(
    tmp_path: Path, source: Path
) -> None:
    path, state = tmp_path / "watch.toml", tmp_path / "state"
    path.write_text(ZONES)
    state.mkdir()
    with Broker(tmp_path / "broker") as broker, Listener(broker, "#") as listener:
        named = "pause,threshold"
        options = ("--mqtt-device", "shed", "--mqtt-commands", named, "--fps", 5, *JUMPY)
        more = ("--config", path, "--mqtt-state-every-s", 0.2)
        env = {"STATE_DIRECTORY": str(state)}
        with service(tmp_path / "s", source, broker.url, *options, *more, **env) as one:
            until(lambda: len(listener.messages("all/event")) > 2)
            until(lambda: listener.messages("corner/state"))
            for zone in ("all", "corner"):
                assert listener.messages(f"shed/{zone}/health")[-1][1]["state"] == "live"
                assert listener.messages(f"shed/{zone}/state")[-1][1]["zone"] == zone
            assert not listener.messages("shed/state")
            cards = {topic: told for topic, told in listener.messages("/config") if told}
            prefix = "homeassistant/device/shed"
            assert set(cards) == {f"{prefix}/{part}config" for part in ("", "all/", "corner/")}
            corner, device = cards[f"{prefix}/corner/config"], cards[f"{prefix}/config"]
            assert corner["device"]["via_device"] == device["device"]["identifiers"][0]
            label = corner["components"]["label"]
            assert label["state_topic"] == "edge-classify/shed/corner/state"
            assert label["availability"][1]["topic"] == "edge-classify/shed/corner/health"
            assert set(device["components"]["label"]) == {"platform"}  # of a service before
            pause, limit = "pause_command", "threshold_command"
            assert "command_topic" in device["components"][pause]
            assert pause not in corner["components"]
            topic = corner["components"][limit]["command_topic"]
            assert topic == "edge-classify/shed/corner/command/threshold"
            publish(broker, topic, "0.75")
            publish(broker, "edge-classify/shed/command/threshold", "0.5")  # of no zone
            until(lambda: listener.messages("corner/controls")[-1][1]["threshold"] == 0.75)
            assert listener.messages("all/controls")[-1][1]["threshold"] != 0.75
            publish(broker, "edge-classify/shed/command/pause", "OFF")
            until(lambda: listener.messages("shed/controls")[-1][1]["ignored"] == 1)
            until(lambda: '"command": "pause"' in one.out.read_text())
            one.end()
        lines = [json.loads(line) for line in one.out.read_text().splitlines()]
        told = [line for line in lines if "command" in line]
        assert [(line["command"], line.get("zone")) for line in told] == [
            *(("threshold", "corner"), ("pause", None)),
        ]
        # A zone that is left out goes, with its device; the threshold of the other stays.
        path.write_text(ZONES.replace('"all"', '"other"'))
        with service(tmp_path / "t", source, broker.url, *options, *more, **env):
            until(lambda: listener.messages("other/state"))
            until(lambda: (f"{prefix}/all/config", "") in listener.messages(f"{prefix}/all/config"))
            assert listener.messages("corner/controls")[-1][1]["threshold"] == 0.75


def test_what_describes_the_others_is_taken_back_first() -> None:
    kept, described = Retained(None, "mqtt://b"), "homeassistant/device/shed/config"
    for topic in ("edge-classify/shed/health", described, "edge-classify/shed/state"):
        kept.add(topic)
    assert kept.but() == [described, "edge-classify/shed/health", "edge-classify/shed/state"]
    assert kept.but({described, "edge-classify/shed/state"}) == ["edge-classify/shed/health"]
