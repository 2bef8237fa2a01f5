"""Decode a file in four threads side by side, and print the anonymous memory (kB) that it leaves.

Usage: python tests/programs/decode_side_by_side.py FILE
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from edge.image.preprocess import resized

path = Path(sys.argv[1])
threads = [threading.Thread(target=resized, args=(path, (224, 224))) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line for line in lines if line.startswith("RssAnon")).split()[1])
