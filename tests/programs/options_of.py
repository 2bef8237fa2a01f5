"""Print what lines of options mean: the run that is made of each, or why there is none, as JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from convert.job import training_run
from convert.steps.arguments import given
from convert.steps.line import add_arguments
from convert.training.augment import Augmentation
from convert.training.recipes import RECIPES
from edge.errors import EdgeError

said = {
    "recipes": {name: dataclasses.asdict(recipe) for name, recipe in RECIPES.items()},
    "camera": dataclasses.asdict(Augmentation.camera()),
    "runs": {},
}
for line in json.loads(sys.argv[1]):
    words = line.split()
    step = words.pop(0) if words[0] == "train" else ""
    parser = argparse.ArgumentParser()
    add_arguments(parser, step)
    args = parser.parse_args(words)
    try:
        run = training_run(Path(args.photos), Path(args.out), step, given(parser, args))
        made: object = dataclasses.asdict(run)
    except EdgeError as error:
        made = str(error)
    said["runs"][line] = made
print(json.dumps(said, default=str))
