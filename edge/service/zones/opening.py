"""Zones by their configuration: each model is loaded once, however many zones use it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from edge.classifier.classify import UNKNOWN
from edge.classifier.facts import reframe
from edge.classifier.model import Model
from edge.classifier.selection import ModelChoice, choose_model
from edge.classifier.trial import Trying
from edge.errors import ConfigurationError
from edge.service.configuration import Configuration
from edge.service.control import Control
from edge.service.models import ModelCopies, ModelRequirements, ModelStore
from edge.service.zones.zone import Zone


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
        named |= dict.fromkeys(configuration.notify.labels, "notify.labels")
        for action in configuration.action:
            named |= dict.fromkeys(action.to, "action.to")
            named |= dict.fromkeys(action.from_, "action.from")
        named.pop(UNKNOWN, None)  # a state, and no label
    fps = configuration.pace.fps * len(zones)
    # Twice the time that there is: during its trial the running model takes its share.
    return ModelRequirements(named, 2 * 1000 / fps if fps else None)


def check_snapshots(configuration: Configuration, labels: Collection[str]) -> None:
    """Check the labels of which snapshots are saved. Raises: ConfigurationError.

    Args: the configuration; the labels of all models together.
    """
    for label in configuration.snapshots.labels:
        if label not in labels:
            remedy = "change the label, or the model"
            raise ConfigurationError("snapshots.labels", f"no model has label {label!r}", remedy)


def model_paths(configuration: Configuration) -> list[str]:
    """The models of the zones, each once; "" is the one that ships."""
    return list(dict.fromkeys(zone.model for zone in configuration.zones))


def load_models(
    configuration: Configuration, state: str, report: Callable[[str], None], *, verbose: bool
) -> Iterator[ModelStore]:
    """Load the models, each once however many zones use it.

    Args:
        configuration: with the zones.
        state: the service's state folder, for copies of models that passed validation; "" for none.
        report: takes a line about what becomes of a file.
        verbose: show the native runtime's output.

    Raises: ModelError, RuntimeMissingError, ConfigurationError.
    """
    for path in model_paths(configuration):
        folder = _copies(configuration, path)
        copies = ModelCopies(Path(state) / folder) if state else None
        yield _load_model(configuration, path, copies, report, verbose=verbose)


def model_options(configuration: Configuration, path: str) -> dict[str, Any]:
    """What the file lacks: the common model's is in the configuration, a zone's own has all."""
    return configuration.facts if path == configuration.model else {}


def _load_model(
    configuration: Configuration,
    path: str,
    copies: ModelCopies | None,
    report: Callable[[str], None],
    *,
    verbose: bool,
) -> ModelStore:
    how, facts = model_choice(configuration, path), model_options(configuration, path)

    def open_model(file: Path) -> Model:
        model = Model(
            file, num_threads=how.num_threads, runtime=how.runtime, verbose=verbose, **facts
        )
        if path == configuration.model:
            reframe(model, configuration.framing)
        for line in (*model.warnings, *(model.notes if verbose else ())):
            report(f"{model.path}: {line}")
        return model

    def start_trial(file: Path) -> Trying:
        return Trying(file, runtime=how.runtime, num_threads=how.num_threads, options=facts)

    requirements = model_requirements(configuration, path)
    return ModelStore(how.path, open_model, start_trial, requirements, report, copies=copies)


def _copies(configuration: Configuration, path: str) -> str:
    """The folder of a model's copies: one for each, since the oldest ones are removed from it."""
    if path == configuration.model:
        return "models"
    first = next(zone.name for zone in configuration.zones if zone.model == path)
    return f"models-{first}"


def make_zones(
    configuration: Configuration, models: Sequence[ModelStore], control: Control
) -> tuple[Zone, ...]:
    """Return the zones; the models are those of `load_models`."""
    by_path = dict(zip(model_paths(configuration), models, strict=True))
    check_snapshots(configuration, {label for store in models for label in store.model.labels})
    return tuple(
        Zone(
            zone,
            by_path[zone.model],
            control,
            steady=zone.steady_within(configuration.steady),
            fps=configuration.pace.fps,
        )
        for zone in configuration.zones
    )
