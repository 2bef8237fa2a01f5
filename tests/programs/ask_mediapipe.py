"""Score pixels as MediaPipe does; a line of JSON for each model.

Usage: python tests/programs/ask_mediapipe.py (MODEL PIXELS.npy)...

One process for all: MediaPipe's import takes seconds. It ends at the first model that is rejected,
for a classifier that is built after one that failed can hang.
"""

from __future__ import annotations

import json
import sys

import mediapipe
import numpy
from mediapipe.tasks.python import BaseOptions, vision


def scores(model: str, pixels: str) -> list[list[tuple[str, float]]]:
    base = BaseOptions(model_asset_path=model)
    options = vision.ImageClassifierOptions(base_options=base)
    with vision.ImageClassifier.create_from_options(options) as classifier:
        return [by_index(classifier, picture) for picture in numpy.load(pixels)]


def by_index(classifier: vision.ImageClassifier, pixels: numpy.ndarray) -> list[tuple[str, float]]:
    image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
    found = classifier.classify(image).classifications[0].categories
    found = sorted(found, key=lambda category: category.index)
    return [(category.category_name, category.score) for category in found]


for model, pixels in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
    print(json.dumps(scores(model, pixels)))
