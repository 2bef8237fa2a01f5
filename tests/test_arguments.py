"""The options of `python -m convert`: what they take, what they mean, what they reject."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import PROGRAMS, run

from convert import options
from convert.names import NETWORK_NAMES, RECIPE_NAMES, VARIANTS
from convert.steps import arguments
from convert.steps.command_line import STEPS, main


def parser() -> argparse.ArgumentParser:
    """That of the whole line."""
    made = argparse.ArgumentParser()
    arguments.add_photos(made)
    arguments.add_training(made)
    arguments.add_export(made)
    return made


def command(line: str) -> str:
    """The command as the card tells it."""
    made = parser()
    return options.command_of("", arguments.given(made, made.parse_args(line.split())))


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "photos --image-size x",
        "photos --image-size 0",
        "photos --image-size 96x",
        "photos --image-size 96x96x3",
        "photos --image-size 5000",
        "photos --quantize int4",
        "photos --quantize",
        "photos --epochs 0",
        "photos --epochs 1.5",
        "photos --batch-size -1",
        "photos --steps-per-epoch none",
        "photos --patience 0",
        "photos --learning-rate 0",
        "photos --learning-rate nan",
        "photos --learning-rate fast",
        "photos --alpha 0",
        "photos --fine-tune 1.1",
        "photos --label-smoothing -0.1",
        "photos --weigh list.txt",
        "photos --weigh list.txt:0",
        "photos --weigh :2",
        "photos --network resnet",
        "photos --recipe mine",
        "photos --augmentation wild",
        "photos --precision float16",
        "photos --seed -1",
        "photos --seed 4294967296",
        "photos --name ../model",
        "photos --name .model",
        "photos --calibration-photos 60",
        "photos --threshold-precision 2",
        "photos --max-drop 0",
        "photos more",
        "train",
        "train photos --quantize int8",
        "export photos --epochs 3",
        "export photos --calibration-photos 99",
        "preview",
        "check",
        "evaluate photos",
        "evaluate photos model --set all",
    ],
)
def test_wrong_usage_exits_with_2(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(wrong.split())
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("python -m convert") and said.err.count("\n") == 1


@pytest.mark.parametrize("step", ["", *STEPS])
def test_each_step_has_a_help(step: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*([step] if step else []), "--help"])
    assert caught.value.code == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith(f"usage: python -m convert {step}".rstrip())


def test_the_help_names_every_step_network_recipe_and_variant(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for name in (*STEPS, *NETWORK_NAMES, *RECIPE_NAMES, *VARIANTS):
        assert name in text, name


def test_the_command_can_be_given_again_and_has_no_path() -> None:
    line = (
        "/home/me/photos -o /home/me/out --network small --image-size 64x96 --epochs 3 "
        "--learning-rate 0.01 --weigh /home/me/phone.txt:2 --weights /home/me/x.h5 --seed 5 "
        "--resume --quantize all --max-drop 1"
    )
    assert command(line) == (
        "python -m convert PHOTOS --seed 5 --network small --weights x.h5 --image-size 64x96 "
        "--epochs 3 --learning-rate 0.01 --weigh phone.txt:2 "
        "--quantize float32,float16,dynamic,int8,int8-float"
    )


def test_the_command_leaves_defaults_out() -> None:
    assert command("photos --seed 0 --quantize float32,int8") == ("python -m convert PHOTOS")


def test_a_variant_asked_for_twice_is_made_once() -> None:
    args = parser().parse_args(["photos", "--quantize", "int8,float32,int8"])
    assert args.variants == ("int8", "float32")


def test_a_path_may_hold_a_colon() -> None:
    args = parser().parse_args(["photos", "--weigh", "a:b.txt:1.5"])
    assert args.weigh == [(Path("a:b.txt"), 1.5)]


# The networks are known to TensorFlow's side only.
LINES = (
    "p",
    "p --weights none",
    "p --weights w.h5 --alpha 0.35",
    "p --network small",
    "p --network tutorial",
    "p --network tutorial --recipe tutorial",
    "p --recipe tutorial --epochs 9 --steps-per-epoch 8 --batch-size 7 --learning-rate 0.5",
    "p --patience 4 --fine-tune 0.25 --label-smoothing 0 --augmentation camera",
    "train p -o o --name n --seed 3 --resume --weigh list:2 --precision bfloat16",
    "p --quantize all --calibration-photos 100 --threshold-precision 0.9 --max-drop 2",
    "p --network tutorial --image-size 94",
    "p --image-size 31",
    "p --image-size 96x31",
    "p --alpha 0.36",
    "p --network vgg16 --alpha 0.5",
    "p --network small --weights imagenet",
    "p --network tutorial --weights w.h5",
    "p --alpha 0.35",
)


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    """What each line means."""
    done = run(PROGRAMS / "options_of.py", json.dumps(LINES))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("line", "network", "size", "recipe", "weights"),
    [
        ("p", "efficientnet_lite0", 224, "fine-tune", "imagenet"),
        ("p --weights none", "efficientnet_lite0", 224, "scratch", "none"),
        ("p --alpha 0.35", "mobilenet_v2", 224, "fine-tune", "imagenet"),
        ("p --weights w.h5 --alpha 0.35", "mobilenet_v2", 224, "fine-tune", "w.h5"),
        ("p --network small", "small", 160, "scratch", "none"),
        ("p --network tutorial", "tutorial", 300, "scratch", "none"),
        ("p --network tutorial --recipe tutorial", "tutorial", 300, "tutorial", "none"),
    ],
)
def test_each_network_has_its_size_recipe_and_weights(
    said: dict[str, Any], line: str, network: str, size: int, recipe: str, weights: str
) -> None:
    config = said["runs"][line]["config"]
    assert config["network"] == network
    assert config["image_size"] == [size, size]
    assert config["recipe"] == said["recipes"][recipe]
    assert config["weights"] == weights
    assert config["alpha"] == (0.35 if "--alpha" in line else 1.0)


def test_every_value_of_a_recipe_has_an_option(said: dict[str, Any]) -> None:
    first, second = (said["runs"][line]["config"]["recipe"] for line in LINES[6:8])
    changed = {"epochs": 9, "steps_per_epoch": 8, "batch_size": 7, "learning_rate": 0.5}
    assert first == said["recipes"]["tutorial"] | changed
    changed = {"patience": 4, "fine_tune": 0.25, "label_smoothing": 0.0}
    assert second == said["recipes"]["fine-tune"] | changed | {"augmentation": said["camera"]}


def test_a_step_has_what_it_needs(said: dict[str, Any]) -> None:
    train, export = (said["runs"][line] for line in LINES[8:10])
    assert (train["out"], train["name"], train["resume"]) == ("o", "n", True)
    assert train["config"]["seed"] == 3
    assert train["config"]["precision"] == "bfloat16"
    assert train["weighed"] == [["list", 2.0]]
    assert export["variants"] == list(VARIANTS)
    assert export["calibration_photos"] == 100
    assert export["threshold_precision"] == 0.9


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "p --network tutorial --image-size 94",
            "--image-size 94: is too small for tutorial; use --image-size 95 or more",
        ),
        (
            "p --image-size 31",
            "--image-size 31: is too small for efficientnet_lite0; use --image-size 32 or more",
        ),
        (
            "p --image-size 96x31",
            "--image-size 31: is too small for efficientnet_lite0; use --image-size 32 or more",
        ),
        (
            "p --alpha 0.36",
            "--alpha 0.36: mobilenet_v2 has no width 0.36; "
            "choose from 0.35, 0.5, 0.75, 1, 1.3, 1.4",
        ),
        ("p --network vgg16 --alpha 0.5", "--alpha 0.5: vgg16 has no width 0.5; choose from 1"),
        (
            "p --network small --weights imagenet",
            "--weights imagenet: small is trained from scratch; remove the option",
        ),
        (
            "p --network tutorial --weights w.h5",
            "--weights w.h5: tutorial is trained from scratch; remove the option",
        ),
    ],
)
def test_what_a_network_cannot_be_is_one_line(said: dict[str, Any], line: str, told: str) -> None:
    assert said["runs"][line] == told
