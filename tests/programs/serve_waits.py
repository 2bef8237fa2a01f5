"""Serve calls that wait: as many seconds as they are asked for, then words and a status."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from convert.tflite.process import serve


def main(arguments: Sequence[str]) -> int:
    """Wait, say so, and fail by the second argument."""
    print("waits", file=sys.stderr)
    time.sleep(float(arguments[0]))
    return int(arguments[1])


sys.exit(serve(main))
