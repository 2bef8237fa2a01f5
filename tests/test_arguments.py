"""The options of `python -m convert`: what they take, what they mean, what they reject."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import pytest
from conftest import run

from convert import options
from convert.job import Run, training_run
from convert.names import NETWORK_NAMES, RECIPE_NAMES, VARIANTS
from convert.steps import arguments
from convert.steps.command_line import STEPS, main
from convert.steps.line import add_arguments
from convert.training.augment import Augmentation
from convert.training.recipes import RECIPES
from edge.errors import ConfigurationError


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


def run_of(line: str) -> Run:
    """The run that a line of options makes."""
    words = line.split()
    step = words.pop(0) if words[0] == "train" else ""
    made = argparse.ArgumentParser()
    add_arguments(made, step)
    args = made.parse_args(words)
    return training_run(args.photos, args.out, step, arguments.given(made, args))


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
    line: str, network: str, size: int, recipe: str, weights: str
) -> None:
    config = run_of(line).config
    assert config.network == network
    assert config.image_size == (size, size)
    assert config.recipe == RECIPES[recipe]
    assert config.weights == weights
    assert config.alpha == (0.35 if "--alpha" in line else 1.0)


def test_every_value_of_a_recipe_has_an_option() -> None:
    line = "--epochs 9 --steps-per-epoch 8 --batch-size 7 --learning-rate 0.5"
    assert run_of(f"p --recipe tutorial {line}").config.recipe == dataclasses.replace(
        RECIPES["tutorial"], epochs=9, steps_per_epoch=8, batch_size=7, learning_rate=0.5
    )
    line = "--patience 4 --fine-tune 0.25 --label-smoothing 0 --augmentation scratch"
    assert run_of(f"p {line}").config.recipe == dataclasses.replace(
        RECIPES["fine-tune"],
        patience=4,
        fine_tune=0.25,
        label_smoothing=0.0,
        augmentation=Augmentation.scratch(),
    )


def test_a_step_has_what_it_needs() -> None:
    line = "train p -o o --name n --seed 3 --resume --weigh list:2 --precision bfloat16 --devices 2"
    train = run_of(line)
    assert (train.out, train.name, train.resume) == (Path("o"), "n", True)
    assert (train.config.seed, train.config.precision) == (3, "bfloat16")
    assert (train.devices, run_of("p").devices) == ("2", "auto")
    assert train.weighed == ((Path("list"), 2.0),)
    line = "p --quantize all --calibration-photos 100 --threshold-precision 0.9 --max-drop 2"
    both = run_of(line)
    assert both.variants == VARIANTS
    assert (both.calibration_photos, both.threshold_precision) == (100, 0.9)


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
        (
            "p --network small --recipe head",
            "--recipe head: small has no trained weights below its last layer; "
            "use another --network or --recipe",
        ),
        (
            "p --devices 0",
            "--devices: must be auto or cpu, or a number of GPUs. Received: 0; use auto",
        ),
        (
            "train p --devices GPU:0",
            "--devices: must be auto or cpu, or a number of GPUs. Received: GPU:0; use auto",
        ),
        ("p --folds 1", "--folds: must be 0, or 2 or more. Received: 1; use 5"),
    ],
)
def test_what_a_network_cannot_be_is_one_line(line: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        run_of(line)
    assert str(caught.value) == told


def test_options_are_rejected_before_tensorflow_is_imported(tmp_path: Path) -> None:
    done = run("-X", "importtime", "-m", "convert", "p", "--alpha", "0.36", "-o", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("convert: --alpha 0.36: mobilenet_v2 has no")
    assert "tensorflow" not in done.stderr
    assert not (tmp_path / "out").exists()
