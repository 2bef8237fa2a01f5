"""What the service is made of, by its configuration: source, model, pace, sinks."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from edge.commands import complain
from edge.commands.keys import toml
from edge.errors import ConfigurationError, EdgeError
from edge.service.configuration import Configuration
from edge.service.control import KEEP, Control
from edge.service.health import Vital
from edge.service.models import ModelStore
from edge.service.mqtt.retained import Retained
from edge.service.mqtt.settings import INSTANCE_VARIABLE, MqttSettings
from edge.service.sighting import Sink
from edge.service.sinks.actions import Action
from edge.service.sinks.dataset import Dataset
from edge.service.sinks.folders import FolderError
from edge.service.sinks.history.reader import Reader
from edge.service.sinks.history.sink import History
from edge.service.sinks.history.store import Store
from edge.service.sinks.jsonlines import JsonLines
from edge.service.sinks.kept import Kept
from edge.service.sinks.latest import Latest
from edge.service.sinks.notify_settings import NotifySettings
from edge.service.sinks.results import Results
from edge.service.sinks.snapshots import Snapshots, SnapshotSettings
from edge.service.web.settings import WebSettings
from edge.service.zones.opening import model_paths
from edge.service.zones.settings import ZoneSettings
from edge.service.zones.zone import Zone

NAME = "edge-watch"
RETAINED, COMMANDED = "mqtt-retained.json", "commands.json"
# As systemd passes it to the service by the unit; a command beside it looks in the same places.
INSTALLED = {
    "STATE_DIRECTORY": "/var/lib/edge-classify",
    "CREDENTIALS_DIRECTORY": "/etc/edge-classify",
}


def say(line: str) -> None:
    """Write a line to the journal."""
    complain(NAME, line)


@dataclass(frozen=True)
class Service:
    """State that sinks show besides results."""

    vitals: Vital
    zones: tuple[Zone, ...]
    control: Control  # what commands change


def make_sinks(configuration: Configuration, service: Service) -> Iterator[Sink]:
    """Return the sinks. Raises: ConfigurationError."""
    yield JsonLines(_unbuffered(sys.stdout), configuration.every)
    runtime = systemd_folder("RUNTIME_DIRECTORY")
    latest = configuration.latest or (runtime and f"{runtime}/latest.json")
    if latest:
        yield Latest(Path(latest))
    if configuration.results.file:
        yield Results(configuration.results)
    snapshots = Snapshots(_snapshot_settings(configuration))
    yield snapshots
    history, state = configuration.history, systemd_folder("STATE_DIRECTORY")
    if history.on:
        yield History(Store(history.path(state), history), say, snapshots.file_of)
    dataset = _dataset(configuration.web)
    if KEEP in configuration.mqtt.commands:
        regions = {zone.name: zone.settings.box for zone in service.zones}
        yield Kept(dataset, service.control, regions)
    if configuration.web.listen:
        reader = history_reader(configuration, state) if history.on else None
        yield _web(configuration, service, dataset, reader)
    if configuration.mqtt.url:
        yield _mqtt(configuration.mqtt, service, configuration.web.page)
    if configuration.notify.on:
        yield _notify(configuration.notify)
    for action in configuration.action:  # closed first: a program must end before we do
        yield Action(action, say)


def unwritable(configuration: Configuration) -> Iterator[EdgeError]:
    """Try to write to each folder that the configuration names, and yield what went wrong."""
    for folder in configuration.folders:
        try:
            folder.check()
        except FolderError as error:
            if isinstance(error.__cause__, PermissionError) and folder.is_of_service():
                say(
                    f"{folder.path}: not checked, only the service can write to it; "
                    "run: sudo edge-doctor"
                )
            else:
                yield error


def tell_folders(configuration: Configuration) -> None:
    """Report at the start the folders that cannot be written, and how to see the images."""
    faults = list(unwritable(configuration))
    for fault in faults:
        say(str(fault))
    for folder in configuration.folders:
        copy = folder.how_to_see() if folder.key == "snapshots.folder" else ""
        if copy and folder.path not in {Path(fault.subject) for fault in faults}:
            say(f"images are kept in {folder.path}; to see them: {copy}")


def systemd_folder(name: str) -> str:
    """The folder that systemd has made for the service; "" outside of it."""
    return os.environ.get(name, "").partition(":")[0]


def commands_of(
    configuration: Configuration, models: Sequence[ModelStore], ask: Callable[[], None]
) -> Control:
    """What commands change; remembered only while they are accepted: else it stays paused."""
    web = configuration.web
    state = systemd_folder("STATE_DIRECTORY")
    has_any = configuration.mqtt.commands or (web.listen and web.token())
    path = Path(state) / COMMANDED if state and has_any else None
    by_path = dict(zip(model_paths(configuration), models, strict=True))

    def labels_of(zone: ZoneSettings) -> Callable[[], Collection[str]]:
        return lambda: zone.labels or by_path[zone.model].model.labels

    labels = {zone.name: labels_of(zone) for zone in configuration.zones}
    return Control(path, ask=ask, labels=labels, report=say)


def _dataset(settings: WebSettings) -> Dataset:
    folder = settings.dataset or f"{systemd_folder('STATE_DIRECTORY') or '.'}/dataset"
    return Dataset(
        Path(folder), max_files=settings.dataset_max_files, max_bytes=settings.dataset_max_mb * 1e6
    )


def history_reader(configuration: Configuration, state: str) -> Reader:
    """Return what reads the history; `state` is the service's state folder, "" for none."""
    images = configuration.snapshots.folder or f"{state or '.'}/snapshots"
    return Reader(configuration.history.path(state), Path(images))


def state_of_service(environment: Mapping[str, str] = os.environ) -> str:
    """Return the state folder, as a command beside the service finds it; "" if none is there."""
    state = places(environment)["STATE_DIRECTORY"]
    return state if os.path.lexists(state) else ""


def _web(
    configuration: Configuration, service: Service, dataset: Dataset, reader: Reader | None
) -> Sink:
    with needing("web"):
        from edge.service.web.regions import Regions
        from edge.service.web.sink import Web
        from edge.service.web.station import Station
    settings, regions = configuration.web, Regions(configuration, service.zones, toml)
    station = Station(
        settings, service.vitals, service.zones, service.control, dataset, reader, regions
    )
    return Web(settings, station, say)


def _mqtt(settings: MqttSettings, service: Service, page: str) -> Sink:
    with needing("mqtt"):
        from edge.service.mqtt.sink import Mqtt

    return Mqtt(
        settings,
        service.vitals,
        say,
        remembered(),
        control=service.control,
        zones=[zone.name for zone in service.zones],
        url=page,
    )


def _notify(settings: NotifySettings) -> Sink:
    with needing("notify"):
        from edge.service.sinks.notify import Notify

    return Notify(settings, say)


def remembered() -> Path | None:
    """The file that names what a broker keeps of ours; None without a state folder."""
    state = systemd_folder("STATE_DIRECTORY")
    return Path(state) / RETAINED if state else None


def forget(settings: MqttSettings, environment: Mapping[str, str] = os.environ) -> int:
    """Have the broker forget what it keeps of ours. Raises: EdgeError."""
    with needing("mqtt"):
        from edge.service.mqtt import forget as forgetting
    found = places(environment)
    remembered = Path(found["STATE_DIRECTORY"]) / RETAINED
    return forgetting.forget(settings, remembered, settings.password(found))


def kept_elsewhere(
    settings: MqttSettings, environment: Mapping[str, str] = os.environ
) -> dict[str, list[str]]:
    """Return, by its URL, what each broker keeps of ours that is not, or no longer, in use."""
    path = Path(places(environment)["STATE_DIRECTORY"]) / RETAINED
    return Retained(path, settings.url).elsewhere


def say_kept_elsewhere(settings: MqttSettings) -> bool:
    """Report it, with the remedy; return whether there is any."""
    left = kept_elsewhere(settings)
    for url, topics in left.items():
        fault = f"keeps {len(topics)} retained messages of this device"
        say(f"mqtt {url}: {fault}; remove them: edge-watch --forget --mqtt {url}")
    return bool(left)


def places(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with the folders of the installed service, where it has none."""
    instance = environment.get(INSTANCE_VARIABLE, "")
    state = f"{INSTALLED['STATE_DIRECTORY']}-{instance}" if instance else ""
    own = {"STATE_DIRECTORY": state} if state else {}
    return INSTALLED | own | dict(environment)


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Check that a package is installed. Raises: ConfigurationError, with the remedy."""
    try:
        yield
    except ModuleNotFoundError as error:
        remedy = f"pip install 'edge-classify[{extra}]', or sudo deploy/install.sh --with {extra}"
        raise ConfigurationError(f"--{extra}", f"needs {error.name}", remedy) from error


def _unbuffered(stream: TextIO) -> TextIO:
    """Return a stream that keeps nothing: what failed would be written along with the next try."""
    raw = io.FileIO(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(raw, "utf-8", write_through=True)


def _snapshot_settings(configuration: Configuration) -> SnapshotSettings:
    """The settings; where snapshots are off, those that SIGUSR1 alone makes use of."""
    if configuration.snapshots.folder:
        return configuration.snapshots
    state = systemd_folder("STATE_DIRECTORY") or "."
    return SnapshotSettings(folder=f"{state}/snapshots", on=())
