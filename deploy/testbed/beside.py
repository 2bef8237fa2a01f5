"""Run the commands that are the lines of a file, with tabs between their words: beside.py FILE.

As many beside each other as there are processors: one more and emulators take twice as long each.
Exits 1 if one ended badly.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def beside(tasks: Sequence[Callable[[], int]]) -> list[int]:
    """Call all tasks in threads and return what they return.

    Stopped by a signal, which `timeout` hands to all that they started too, it waits for them.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = [pool.submit(task) for task in tasks]
        try:
            return [future.result() for future in futures]
        except SystemExit:
            pool.shutdown(wait=False, cancel_futures=True)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.killpg(0, signal.SIGTERM)  # what was just being started has not heard the first
            raise


def main() -> int:
    """Run them all, whatever becomes of one."""
    commands = [line.split("\t") for line in Path(sys.argv[1]).read_text().splitlines()]
    return int(any(beside([functools.partial(subprocess.call, command) for command in commands])))


if __name__ == "__main__":
    sys.exit(main())
