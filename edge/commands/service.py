"""What the service is made of, by its configuration: source, model, pace, sinks."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from edge.classifier.facts import reframe
from edge.classifier.model import Model
from edge.classifier.selection import ModelChoice, choose_model
from edge.classifier.trial import Trying
from edge.commands import complain
from edge.errors import ConfigurationError, EdgeError
from edge.service.configuration import Configuration
from edge.service.control import KEEP, Control
from edge.service.health import Vital
from edge.service.intake.gate import Gated, Rest
from edge.service.intake.masks import Masked
from edge.service.intake.motion import Moving
from edge.service.intake.schedule import Schedule
from edge.service.models import ModelCopies, ModelRequirements, ModelStore
from edge.service.mqtt.settings import INSTANCE_VARIABLE, MqttSettings
from edge.service.sighting import Sink
from edge.service.sinks.dataset import Dataset
from edge.service.sinks.folders import FolderError
from edge.service.sinks.history.reader import Reader
from edge.service.sinks.history.sink import History
from edge.service.sinks.history.store import Store
from edge.service.sinks.jsonlines import JsonLines
from edge.service.sinks.kept import Kept
from edge.service.sinks.latest import Latest
from edge.service.sinks.results import Results
from edge.service.sinks.snapshots import Snapshots, SnapshotSettings
from edge.service.web.settings import WebSettings
from edge.service.zones.settings import ZoneSettings
from edge.service.zones.zone import Zone
from edge.sources.address import CAMERA, CLIP
from edge.sources.camera_format import CameraSettings, sensor_rate
from edge.sources.frame import Source

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


def open_source(configuration: Configuration) -> Source:
    """Where frames come from. Raises: SourceError."""
    address = configuration.address
    if address.is_live:
        from edge.sources.opening import open_camera

        return open_camera(address, _camera_settings(configuration), say)
    if address.kind == CLIP:
        from edge.sources.video.clip import ClipSource, Sampling

        sampling = Sampling(fps=configuration.pace.fps)
        return ClipSource(Path(address.text), sampling, repeat=configuration.repeat)
    from edge.sources.follow import Follow
    from edge.sources.replay import Replay

    path, give_up_s = Path(configuration.source), configuration.give_up_s
    if configuration.repeat:
        return Replay(path, repeat=True, give_up_s=give_up_s)
    return Follow(path, give_up_s=give_up_s) if configuration.follow else Replay(path)


def _camera_settings(configuration: Configuration) -> CameraSettings:
    """The [camera] settings, with the frame rate that its sensor needs."""
    if configuration.address.kind != CAMERA:
        return configuration.camera
    compared = configuration.motion.fps if configuration.motion.on else 0.0
    fps = configuration.pace.fps
    return sensor_rate(configuration.camera, max(fps, compared) if fps else 0.0)


def model_choice(configuration: Configuration, path: str) -> ModelChoice:
    """Which runtime and threads a model is to have; "" is the common one or the default."""
    model = Path(path) if path else None
    return choose_model(model, configuration.runtime, configuration.threads)


def model_requirements(configuration: Configuration, path: str) -> ModelRequirements:
    """What a model must be besides right."""
    zones = [zone for zone in configuration.zones if zone.model == path]
    named = {label: f"zone.labels ({zone.name})" for zone in zones for label in zone.labels}
    if len(model_paths(configuration)) == 1:
        named |= dict.fromkeys(configuration.snapshots.labels, "snapshots.labels")
    fps = configuration.pace.fps * len(zones)
    # Twice the time that there is: during its trial the running model takes its share.
    return ModelRequirements(named, 2 * 1000 / fps if fps else None)


def model_paths(configuration: Configuration) -> list[str]:
    """The models of the zones, each once; "" is the one that ships."""
    return list(dict.fromkeys(zone.model for zone in configuration.zones))


def load_models(configuration: Configuration, *, verbose: bool) -> Iterator[ModelStore]:
    """Load the models, each once however many zones use it.

    Raises: ModelError, RuntimeMissingError, ConfigurationError.
    """
    for path in model_paths(configuration):
        yield _load_model(configuration, path, verbose=verbose)


def model_options(configuration: Configuration, path: str) -> dict[str, Any]:
    """What the file lacks: the common model's is in the configuration, a zone's own has all."""
    return configuration.facts if path == configuration.model else {}


def _load_model(configuration: Configuration, path: str, *, verbose: bool) -> ModelStore:
    how, facts = model_choice(configuration, path), model_options(configuration, path)

    def open_model(file: Path) -> Model:
        model = Model(
            file, num_threads=how.num_threads, runtime=how.runtime, verbose=verbose, **facts
        )
        if path == configuration.model:
            reframe(model, configuration.framing)
        for line in (*model.warnings, *(model.notes if verbose else ())):
            say(f"{model.path}: {line}")
        return model

    def start_trial(file: Path) -> Trying:
        return Trying(file, runtime=how.runtime, num_threads=how.num_threads, options=facts)

    state = _systemd_folder("STATE_DIRECTORY")
    of_zone = "" if path == configuration.model else f"-{_first_zone(configuration, path)}"
    copies = ModelCopies(Path(state) / f"models{of_zone}") if state else None
    requirements = model_requirements(configuration, path)
    return ModelStore(how.path, open_model, start_trial, requirements, say, copies=copies)


def _first_zone(configuration: Configuration, path: str) -> str:
    return next(zone.name for zone in configuration.zones if zone.model == path)


def make_zones(
    configuration: Configuration, models: Sequence[ModelStore], control: Control
) -> tuple[Zone, ...]:
    """Return the zones; the models are those of `load_models`."""
    by_path = dict(zip(model_paths(configuration), models, strict=True))
    return tuple(
        Zone(zone, by_path[zone.model], control, steady=zone.steady_within(configuration.steady))
        for zone in configuration.zones
    )


@dataclass(frozen=True)
class Service:
    """State that sinks show besides results."""

    vitals: Vital
    zones: tuple[Zone, ...]
    control: Control  # what commands change


def make_sinks(configuration: Configuration, service: Service) -> Iterator[Sink]:
    """Return the sinks. Raises: ConfigurationError."""
    yield JsonLines(_unbuffered(sys.stdout), configuration.every)
    runtime = _systemd_folder("RUNTIME_DIRECTORY")
    latest = configuration.latest or (runtime and f"{runtime}/latest.json")
    if latest:
        yield Latest(Path(latest))
    if configuration.results.file:
        yield Results(configuration.results)
    snapshots = Snapshots(_snapshot_settings(configuration))
    yield snapshots
    history, state = configuration.history, _systemd_folder("STATE_DIRECTORY")
    if history.on:
        yield History(Store(history.path(state), history), say, snapshots.file_of)
    dataset = _dataset(configuration.web)
    if KEEP in configuration.mqtt.commands:
        regions = {zone.name: zone.settings.box for zone in service.zones}
        yield Kept(dataset, service.control, regions)
    if configuration.web.listen:
        reader = history_reader(configuration, state) if history.on else None
        yield _web(configuration.web, service, dataset, reader)
    if configuration.mqtt.url:
        yield _mqtt(configuration.mqtt, service, configuration.web.page)


def unwritable(configuration: Configuration) -> Iterator[EdgeError]:
    """Try to write to each folder that the configuration names, and yield what went wrong."""
    for folder in configuration.folders:
        try:
            folder.check()
        except FolderError as error:
            if isinstance(error.__cause__, PermissionError) and folder.is_of_service():
                say(f"{folder.path}: not checked, it is the service's; sudo edge-doctor checks it")
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


def _systemd_folder(name: str) -> str:
    """The folder that systemd has made for the service; "" outside of it."""
    return os.environ.get(name, "").partition(":")[0]


def commands_of(
    configuration: Configuration, models: Sequence[ModelStore], ask: Callable[[], None]
) -> Control:
    """What commands change; remembered only while they are accepted: else it stays paused."""
    web = configuration.web
    state = _systemd_folder("STATE_DIRECTORY")
    has_any = configuration.mqtt.commands or (web.listen and web.token())
    path = Path(state) / COMMANDED if state and has_any else None
    by_path = dict(zip(model_paths(configuration), models, strict=True))

    def labels_of(zone: ZoneSettings) -> Callable[[], Collection[str]]:
        return lambda: zone.labels or by_path[zone.model].model.labels

    labels = {zone.name: labels_of(zone) for zone in configuration.zones}
    return Control(path, ask=ask, labels=labels, report=say)


def rests(configuration: Configuration, control: Control) -> Callable[[], Rest | None]:
    """Return what gives the reason for which no frame is to be classified now."""
    schedule = Schedule(configuration.schedule)

    def rest() -> Rest | None:
        return Rest("paused", "paused by a command") if control.paused else schedule.rest()

    return rest


def gated(
    configuration: Configuration, control: Control, rest: Callable[[], Rest | None]
) -> Source:
    """The source, with all that decides which of its frames are classified."""

    def opened() -> Source:
        source = open_source(configuration)
        if configuration.privacy.masks:
            roi = configuration.camera.roi if configuration.address.is_live else ()
            source = Masked(source, configuration.privacy, roi)
        if not configuration.motion.on:
            return source
        return Moving(source, configuration.motion, control.sleep, lambda: control.wants_now)

    return Gated(opened, rest, control.sleep)


def _dataset(settings: WebSettings) -> Dataset:
    folder = settings.dataset or f"{_systemd_folder('STATE_DIRECTORY') or '.'}/dataset"
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


def _web(settings: WebSettings, service: Service, dataset: Dataset, reader: Reader | None) -> Sink:
    with needing("web"):
        from edge.service.web.sink import Web
        from edge.service.web.station import Station
    station = Station(settings, service.vitals, service.zones, service.control, dataset, reader)
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


def remembered() -> Path | None:
    """The file that names what a broker keeps of ours; None without a state folder."""
    state = _systemd_folder("STATE_DIRECTORY")
    return Path(state) / RETAINED if state else None


def forget(settings: MqttSettings, environment: Mapping[str, str] = os.environ) -> int:
    """Have the broker forget what it keeps of ours. Raises: EdgeError."""
    with needing("mqtt"):
        from edge.service.mqtt import forget as forgetting
    found = places(environment)
    remembered = Path(found["STATE_DIRECTORY"]) / RETAINED
    return forgetting.forget(settings, remembered, settings.password(found))


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
    state = _systemd_folder("STATE_DIRECTORY") or "."
    return SnapshotSettings(folder=f"{state}/snapshots", on=())
