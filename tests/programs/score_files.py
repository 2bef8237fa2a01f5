"""Score images.

Usage: python tests/programs/score_files.py RUNTIME MODEL PICTURE ...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from edge.classifier.model import Model

runtime, model, *pictures = sys.argv[1:]
with Model(model, runtime=runtime) as model:
    print(json.dumps([model.runtime, *[model.scores(Path(p)).tolist() for p in pictures]]))
