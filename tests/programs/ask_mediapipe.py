"""Score pixels as MediaPipe does.

Usage: python tests/programs/ask_mediapipe.py MODEL PIXELS.npy
"""

from __future__ import annotations

import json
import sys

import mediapipe
import numpy
from mediapipe.tasks.python import BaseOptions, vision

model, pixels = sys.argv[1:]
base = BaseOptions(model_asset_path=model)
options = vision.ImageClassifierOptions(base_options=base)
with vision.ImageClassifier.create_from_options(options) as classifier:
    for picture in numpy.load(pixels):
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)
        found = classifier.classify(image).classifications[0].categories
        found = sorted(found, key=lambda category: category.index)
        print(json.dumps([[category.category_name, category.score] for category in found]))
