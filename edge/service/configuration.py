"""The service's configuration: a TOML file, every key of which is also an option, but for tables.

The keys are the fields of the dataclasses below and of those that each part of the service has;
a value's type is its annotation, and its class checks its range.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
import keyword
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.classifier.facts import facts
from edge.errors import ConfigurationError, EdgeError, checked
from edge.image.framing import Framing
from edge.names import RUNTIMES
from edge.service.intake.health import HealthSettings
from edge.service.intake.masks import PrivacySettings
from edge.service.intake.motion import MotionSettings
from edge.service.intake.schedule import ScheduleSettings
from edge.service.mqtt.settings import MqttSettings
from edge.service.process.pace import PaceSettings
from edge.service.sinks.action_settings import ActionSettings, check_actions
from edge.service.sinks.folders import Folder
from edge.service.sinks.history.settings import HistorySettings
from edge.service.sinks.notify_settings import NotifySettings
from edge.service.sinks.results import ResultsSettings
from edge.service.sinks.snapshots import SnapshotSettings
from edge.service.web.settings import WebSettings
from edge.service.zones.settings import ZoneSettings, check_zones
from edge.service.zones.steady import SteadySettings
from edge.sources.address import CLIP, LIVE, Address, parse
from edge.sources.camera_format import CameraSettings

REMEDY = "see edge-watch --help, or start from edge-watch --print-config"


@dataclass(frozen=True)
class Configuration:
    """All settings of the service; `edge.commands.keys` describes each."""

    source: str = "camera"
    model: str = ""
    labels: str = ""
    normalize: str = ""
    output: str = ""
    input_size: str = ""
    resize: str = ""
    filter: str = ""
    roi: tuple[float, ...] = ()
    rotate: int = 0
    threads: int | None = None
    runtime: str = "auto"
    fps: float | None = None
    follow: bool = False
    repeat: bool = False
    threshold: float | None = None
    every: int = 1
    latest: str = ""
    give_up_s: float = 20.0
    max_temperature: float = 80.0
    max_memory_mb: int = 400
    camera: CameraSettings = field(default_factory=CameraSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    motion: MotionSettings = field(default_factory=MotionSettings)
    health: HealthSettings = field(default_factory=HealthSettings)
    privacy: PrivacySettings = field(default_factory=PrivacySettings)
    steady: SteadySettings = field(default_factory=SteadySettings)
    snapshots: SnapshotSettings = field(default_factory=SnapshotSettings)
    results: ResultsSettings = field(default_factory=ResultsSettings)
    history: HistorySettings = field(default_factory=HistorySettings)
    web: WebSettings = field(default_factory=WebSettings)
    mqtt: MqttSettings = field(default_factory=MqttSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)
    zone: tuple[ZoneSettings, ...] = field(default=(), metadata={"table": ZoneSettings})
    action: tuple[ActionSettings, ...] = field(default=(), metadata={"table": ActionSettings})

    def __post_init__(self) -> None:
        """Raises: ConfigurationError."""
        if self.runtime not in ("auto", *RUNTIMES):
            fault = f"must be one of auto, {', '.join(RUNTIMES)}. Received: {self.runtime!r}"
            raise ConfigurationError("runtime", fault, REMEDY)
        _ = self.address, self.facts, Framing(**self.framing)  # which are checked by that
        if self.privacy.masks and "ScalerCrop" in self.camera.controls:
            fault = "must not be set with privacy.masks: it moves the view below the masks"
            raise ConfigurationError("camera.controls ScalerCrop", fault, "use camera.roi")
        for name, least, most in (("threads", 1, 256), ("threshold", 0.0, 1.0), ("fps", 0.0, 1e3)):
            if getattr(self, name) is not None:
                checked(name, getattr(self, name), least, most)
        check_zones(self.zone, self.steady)
        check_actions(self.action, [zone.name for zone in self.zone])
        checked("every", self.every, 0, 1_000_000)
        checked("give_up_s", self.give_up_s, 0.0, 86400.0)
        checked("max_temperature", self.max_temperature, 0.0, 200.0)
        checked("max_memory_mb", self.max_memory_mb, 0, 1_000_000)

    @property
    def address(self) -> Address:
        """The source by kind. Raises: ConfigurationError."""
        return parse(self.source)

    @property
    def facts(self) -> dict[str, Any]:
        """Return Model's arguments that the file does not carry. Raises: ConfigurationError."""
        return facts(self.labels, self.normalize, self.output, self.input_size)

    @property
    def framing(self) -> dict[str, Any]:
        """The fields of Framing that are given."""
        names = ("resize", "filter", "roi", "rotate")
        return {name: value for name in names if (value := getattr(self, name))}

    @property
    def pace(self) -> PaceSettings:
        """Return the rate of the fastest zone; a camera's default is 2 frames per second."""
        rates = [self._fps if zone.fps is None else zone.fps for zone in self.zone] or [self._fps]
        return PaceSettings(max(rates) if all(rates) else 0.0, self.max_temperature)

    @property
    def _fps(self) -> float:
        usual = 2.0 if self.address.kind in (*LIVE, CLIP) else 0.0
        return usual if self.fps is None else self.fps

    @property
    def zones(self) -> tuple[ZoneSettings, ...]:
        """The zones with what holds for all of them: one without a name where none is given."""
        if not self.zone:
            return (ZoneSettings(model=self.model, threshold=self.threshold),)
        return tuple(map(self._completed, self.zone))

    def _completed(self, zone: ZoneSettings) -> ZoneSettings:
        fps = self._fps if zone.fps is None else zone.fps
        return dataclasses.replace(
            zone,
            roi=zone.roi or self.roi,
            model=zone.model or self.model,
            threshold=self.threshold if zone.threshold is None else zone.threshold,
            # That of the fastest is kept by the loop itself.
            fps=None if fps == self.pace.fps else fps,
        )

    @property
    def folders(self) -> list[Folder]:
        """The folders that it names for the service to write to."""
        kept = self.web.dataset if self.web.listen else ""
        file = Path(self.results.file)
        results = Folder("results.file", file.parent, file=file.name)
        history = self.history.file if self.history.on else ""
        named = (
            (self.snapshots.folder, Folder("snapshots.folder", Path(self.snapshots.folder), True)),
            (self.results.file, results),
            (history, Folder("history.file", Path(history).parent)),
            (self.latest, Folder("latest", Path(self.latest).parent)),
            (kept, Folder("web.dataset", Path(kept), True)),
        )
        return [folder for name, folder in named if name]


@dataclass(frozen=True)
class Key:
    """One key of the configuration."""

    section: str  # "" at the top
    name: str
    kind: str  # its annotation
    default: Any

    @property
    def dotted(self) -> str:
        """Its name with its section."""
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def field(self) -> str:
        """The attribute that it sets."""
        return f"{self.name}_" if keyword.iskeyword(self.name) else self.name


def _keys() -> Iterator[Key]:
    whole = Configuration()
    for of_top in dataclasses.fields(Configuration):
        value = getattr(whole, of_top.name)
        if dataclasses.is_dataclass(value):
            yield from _keys_of(of_top.name, type(value))
        elif of_top.name not in TABLES:
            yield Key("", of_top.name, str(of_top.type), value)


def _keys_of(section: str, kind: Any) -> Iterator[Key]:
    for each in dataclasses.fields(kind):
        default = each.default_factory() if callable(each.default_factory) else each.default
        yield Key(section, each.name.rstrip("_"), str(each.type), default)  # `from_` is from


TABLES: dict[str, Any] = {  # [[name]], any number of them, in the file alone
    each.name: each.metadata["table"]
    for each in dataclasses.fields(Configuration)
    if "table" in each.metadata
}
KEYS = {key.dotted: key for key in _keys()}
SECTIONS = tuple(dict.fromkeys(key.section for key in KEYS.values() if key.section))
TABLE_KEYS = {key.dotted: key for name in TABLES for key in _keys_of(name, TABLES[name])}


def read(path: Path) -> dict[str, Any]:
    """Read a file's values by dotted name. Raises: ConfigurationError."""
    try:
        content = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
        raise ConfigurationError(path, fault, "check the path and its permissions") from error
    except (ValueError, RecursionError) as error:  # TOML's own is one of the former
        raise ConfigurationError(path, f"is not TOML ({error})", "correct that line") from error
    return values_of(content, path)


def values_of(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Read the values of a TOML document by dotted name. Raises: ConfigurationError.

    Args: the document; its file, as errors name it.
    """
    values = {}
    for name, value in content.items():
        if name in SECTIONS and isinstance(value, dict):
            values.update({f"{name}.{inner}": v for inner, v in value.items()})
        else:
            values[name] = value
    for dotted, value in values.items():
        if dotted in SECTIONS:
            fault = f"must be a table, [{dotted}]. Received: {value!r}"
            raise ConfigurationError(dotted, fault, REMEDY)
        if dotted in TABLES:
            values[dotted] = _tables(path, dotted, value)
        else:
            values[dotted] = _typed(_known(path, dotted, KEYS), value)
    return values


def _known(path: Path, dotted: str, keys: Mapping[str, Key]) -> Key:
    """The key of that name. Raises: ConfigurationError."""
    if dotted not in keys:
        near = difflib.get_close_matches(dotted, (*keys, *SECTIONS, *TABLES), 1)
        remedy = f"did you mean {near[0]}?" if near else REMEDY
        raise ConfigurationError(path, f"has an unknown key {dotted}", remedy)
    return keys[dotted]


def _tables(path: Path, name: str, value: Any) -> tuple[Any, ...]:
    """Read the tables of one name. Raises: ConfigurationError, which has a table's number."""
    if not (isinstance(value, list) and all(isinstance(table, dict) for table in value)):
        fault = f"must be tables, [[{name}]]. Received: {value!r}"
        raise ConfigurationError(name, fault, REMEDY)
    made = []
    for number, table in enumerate(value, 1):
        keys = [(_known(path, f"{name}.{inner}", TABLE_KEYS), v) for inner, v in table.items()]
        try:
            made.append(TABLES[name](**{key.field: _typed(key, v) for key, v in keys}))
        except EdgeError as error:
            subject = f"{error.subject} ([[{name}]] {number})"
            raise ConfigurationError(subject, error.fault, error.remedy) from error
    return tuple(made)


def build(values: Mapping[str, Any]) -> Configuration:
    """Make a configuration of values by dotted name; the rest is default.

    Raises: ConfigurationError.
    """
    parts: dict[str, dict[str, Any]] = {section: {} for section in ("", *SECTIONS)}
    for dotted, value in values.items():
        section, _, name = dotted.rpartition(".")
        parts[section][name] = value
    makers: dict[str, Any] = {f.name: f.default_factory for f in dataclasses.fields(Configuration)}
    try:
        sections = {name: makers[name](**parts[name]) for name in SECTIONS}
        return Configuration(**parts[""], **sections)
    except ConfigurationError:
        raise
    except EdgeError as error:
        raise ConfigurationError(error.subject, error.fault, error.remedy) from error


def _typed(key: Key, value: Any) -> Any:
    """Take a TOML value as the key's kind. Raises: ConfigurationError."""
    if key.kind.endswith("None") and value == "auto":
        return None
    what, fits, turned = _KINDS[key.kind.removesuffix(" | None")]
    if not fits(value):
        raise ConfigurationError(key.dotted, f"must be {what}. Received: {value!r}", REMEDY)
    return turned(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (_is_whole(value) and abs(value) < 2**63)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_control(value: Any) -> bool:
    """Whether libcamera may know what to do with it: a table or a date it does not."""
    return isinstance(value, bool | int | float | str) or _is_list_of(_is_control)(value)


def _is_list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(fits, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value  # no path has one in it


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_control, value.values()))


_KINDS: dict[str, tuple[str, Callable[[Any], bool], Callable[[Any], Any]]] = {
    "str": ("a text", _is_text, str),
    "bool": ("true or false", lambda value: isinstance(value, bool), bool),
    "int": ("a whole number", _is_whole, int),
    "float": ("a number", _is_number, float),
    "tuple[str, ...]": ("a list of texts", _is_list_of(_is_text), tuple),
    "tuple[float, ...]": ("a list of numbers", _is_list_of(_is_number), tuple),
    "Mapping[str, Any]": ("a table of numbers, texts and lists", _is_table, dict),
}
# An option's text as the value that a file would hold; ValueError where it is none.
_OF_TEXT: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "tuple[str, ...]": lambda text: [part for part in text.split(",") if part],
    "tuple[float, ...]": lambda text: [float(part) for part in text.split(",") if part],
    "Mapping[str, Any]": json.loads,
}


def of_text(key: Key, text: str) -> Any:
    """Read an option's text as the key's kind. Raises: ConfigurationError."""
    value: Any = text
    with contextlib.suppress(ValueError, RecursionError):
        value = _OF_TEXT[key.kind.removesuffix(" | None")](text)
    return _typed(key, value)
