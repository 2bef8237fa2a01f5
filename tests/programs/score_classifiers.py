"""Score golden vectors by a folder's models.

Usage: python tests/programs/score_classifiers.py RUNTIME FOLDER [LEFT OUT ...]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from edge.classifier import golden
from edge.classifier.model import Model
from edge.image.preprocess import Normalization

expected = json.loads((Path(sys.argv[2]) / "expected.json").read_text())
found = {}
for path in sorted(Path(sys.argv[2]).glob("*.tflite")):
    if path.stem in sys.argv[3:]:
        continue
    count = max(2, len(expected[path.stem][0][-1]))  # of the last output, where there are two
    labels = [f"label {i}" for i in range(count)]
    rule = Normalization(0.0, 255.0)
    with Model(path, runtime=sys.argv[1], normalization=rule, labels=labels) as model:
        pictures = [golden.draw(seed, model.input.size) for seed in (0, 1)]
        found[path.stem] = [model.scores(picture).tolist() for picture in pictures]
print(json.dumps(found))
