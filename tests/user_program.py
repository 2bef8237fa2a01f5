"""What a user may write: test_api.py type-checks it against an installed wheel."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge import Category, EdgeError, Model, ahead, classify, photos, read_image

try:
    with Model("mine.tflite", labels=["cup", "fish"], num_threads=2) as model:
        scores: NDArray[np.float32] = model.scores("photo.jpg")
        for frame in ahead(photos(["photos", Path("a.jpg")]), model.input, jobs=2):
            best: Category = classify(model, frame, top_k=3).categories[0]
            print(frame.source, best.label.upper(), best.score + 1)
    pixels: NDArray[np.uint8] = read_image(bytearray(b""))
except EdgeError as error:
    print(error.remedy)
