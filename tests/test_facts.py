"""What is said of a model means the same to edge-classify, edge-watch and edge-doctor."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from model_copies import SMALL

from edge.classifier.trial import try_model
from edge.commands.arguments import open_model
from edge.commands.classify import _parse
from edge.commands.service import say
from edge.doctor.service import describe
from edge.errors import ModelError
from edge.image.framing import Framing
from edge.service.configuration import Configuration
from edge.service.zones.opening import load_models


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "names.json"
    path.write_text('{"class_names": ["bun", "sausage"]}')
    return path


def test_the_service_sees_pictures_as_the_command_does(labels: Path) -> None:
    configuration = Configuration(
        model=str(SMALL),
        labels=str(labels),
        resize="crop",
        filter="nearest",
        roi=(0.25, 0.0, 0.5, 1.0),
        rotate=90,
    )
    options = "--resize crop --filter nearest --roi 0.25,0,0.5,1 --rotate 90 a.jpg".split()
    args = _parse(["-m", str(SMALL), "--labels", str(labels), *options])
    with (
        closing(next(load_models(configuration, "", say, verbose=False))) as models,
        open_model(args, "edge-classify") as model,
    ):
        assert models.model.labels == model.labels == ("bun", "sausage")
        assert models.model.input == model.input
        assert model.input.framing == Framing("crop", "nearest", (0.25, 0.0, 0.5, 1.0), 90)


def test_trials_and_the_doctor_are_told_as_well(labels: Path) -> None:
    trial = try_model(SMALL, options={"labels": str(labels)})
    assert trial.labels == ("bun", "sausage")
    assert describe(str(SMALL), "auto", {"labels": str(labels)})["labels"] == ["bun", "sausage"]
    with pytest.raises(ModelError, match="has no output 'x'"):
        try_model(SMALL, options={"output": "x"})
    assert "has no output 'x'" in describe(str(SMALL), "auto", {"output": "x"})["fault"]
