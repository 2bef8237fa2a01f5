"""Decode a folder into a cache.

Usage: python tests/programs/decode_photos.py FOLDER CACHE
"""

from __future__ import annotations

import sys
from pathlib import Path

from convert.data.cache import decode
from convert.data.photo import Photo, sha256_of

folder, cache = map(Path, sys.argv[1:])
photos = [Photo(path, 0, sha256_of(path)) for path in sorted(folder.iterdir())]
decode(photos, (64, 80), cache, "train")
