"""Decode some photos, read them, print the anonymous memory (kB).

Usage: python tests/programs/decode_memory.py FOLDER CACHE COUNT
"""

from __future__ import annotations

import sys
from pathlib import Path

from convert.data.cache import decode
from convert.data.photo import Photo, sha256_of

folder, cache, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
photos = [Photo(path, 0, sha256_of(path)) for path in sorted(folder.iterdir())[:count]]
pixels = decode(photos, (64, 80), cache, "train")
sum(int(row.sum()) for row in pixels)
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line for line in lines if line.startswith("RssAnon")).split()[1])
